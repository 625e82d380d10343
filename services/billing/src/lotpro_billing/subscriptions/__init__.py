"""Subscriptions: which organisation pays for what, and Stripe's side of it."""
