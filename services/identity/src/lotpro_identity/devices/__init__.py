"""Devices that people chose to trust: there the password is enough, and nobody else's wrong guesses lock them out."""
