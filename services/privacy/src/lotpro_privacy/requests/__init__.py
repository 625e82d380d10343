"""Requests of data subjects: their clock, the collection from every service, the answer."""
