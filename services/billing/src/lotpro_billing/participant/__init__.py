"""What billing answers when a person asks what is kept about them."""
