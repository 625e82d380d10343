"""What notifications asks of others: a protocol and its adapter each."""
