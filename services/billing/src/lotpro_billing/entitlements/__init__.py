"""Entitlements: what an organisation may use, from our own snapshot."""
