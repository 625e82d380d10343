"""The published policy, for everybody to read and for machines to compare."""
