"""The demo organisation: a dealer with two stores, three people who can sign in, and a lot full of vehicles."""
