"""Inventory: vehicles, sales, customers and deliveries of dealers, isolated by store."""
