"""Proving that the log is as it was written: the database from inside, an export from outside."""
