"""The ledger: every state an invoice was ever in, kept seven years and changed by nobody."""
