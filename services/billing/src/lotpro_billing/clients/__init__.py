"""What billing asks of others: a protocol and its adapter each."""
