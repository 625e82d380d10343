"""Templates: how messages look and read."""
