"""Getting an account back: from somebody else, or without one's second factor."""
