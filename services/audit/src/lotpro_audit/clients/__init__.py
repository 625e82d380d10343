"""What audit asks of the outside."""
