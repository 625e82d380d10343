"""Streams of an organisation's log into its own systems."""
