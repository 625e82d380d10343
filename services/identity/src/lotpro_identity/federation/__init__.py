"""Sign-in with an organisation's own identity provider (OpenID Connect), and the domains it has proven."""
