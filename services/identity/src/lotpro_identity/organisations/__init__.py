"""Organisations, their stores, members and invitations."""
