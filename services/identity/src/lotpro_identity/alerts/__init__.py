"""Telling people what happened on their account, with a way to say it was not them."""
