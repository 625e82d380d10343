"""One-time codes and invitation tokens, derived and never stored."""
