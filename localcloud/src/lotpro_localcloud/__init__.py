"""What Azure and the providers are in production, on one machine with no docker."""
