"""Webhooks: what the payment provider says happened, stored first and then looked into."""
