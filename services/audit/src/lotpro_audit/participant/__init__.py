"""What audit answers the privacy service about a person."""
