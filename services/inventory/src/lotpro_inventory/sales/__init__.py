"""Sales: who sold which vehicle to whom, for how much."""
