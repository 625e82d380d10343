"""Accounts, organisations, mandatory MFA, sessions and roles."""
