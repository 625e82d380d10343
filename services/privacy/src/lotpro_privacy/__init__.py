"""Data-subject rights, and the policy itself."""
