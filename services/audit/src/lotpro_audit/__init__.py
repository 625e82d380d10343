"""The security log: who did what, when and where, for 180 days."""
