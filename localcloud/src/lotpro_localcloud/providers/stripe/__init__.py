"""The part of Stripe that a subscription needs, as its own SDK speaks it."""
