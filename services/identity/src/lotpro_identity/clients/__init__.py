"""What identity calls outside: the web, but only its public part, and organisations' identity providers."""
