"""Billing: subscriptions, entitlements and invoices through Stripe."""
