"""Deliveries: when a sold vehicle is handed over."""
