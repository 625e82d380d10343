"""How much of what looks like an attack there was, day by day."""
