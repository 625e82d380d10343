"""Stores, as far as inventory must know them."""
