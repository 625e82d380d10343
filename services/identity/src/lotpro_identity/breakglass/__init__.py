"""The platform's own people in a dealer's organisation: with a reason, for a while, and never unseen."""
