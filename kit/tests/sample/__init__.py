"""A tiny service that uses every part of the kit: notes of a store."""
