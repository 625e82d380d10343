"""Moving an account to another e-mail address or phone number, with both sides told."""
