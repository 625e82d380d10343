"""Security events: taken in, kept for their days, shown to those who may see them."""
