"""Changing a password, and getting back in when it is forgotten."""
