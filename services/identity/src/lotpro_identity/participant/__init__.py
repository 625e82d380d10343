"""What identity answers the privacy service about a person."""
