"""Exports of the log that prove themselves: JSON Lines and CSV."""
