"""Vehicles in stock: by VIN, with their state, price and description."""
