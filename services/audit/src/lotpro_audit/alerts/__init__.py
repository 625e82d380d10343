"""Alerts of an organisation on its log: what to watch for, and who is told."""
