"""Plumbing that at least two services use; it knows no noun of the dealer's domain."""
