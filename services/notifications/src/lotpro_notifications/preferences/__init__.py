"""Preferences: which messages a person wants on which channel."""
