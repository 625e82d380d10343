"""Azure's identity endpoint and Key Vault, SendGrid, Twilio, Stripe and an inbox: the providers, on one machine."""
