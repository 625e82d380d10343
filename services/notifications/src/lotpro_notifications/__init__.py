"""Notifications: e-mail and SMS through SendGrid and Twilio."""
