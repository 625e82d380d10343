"""The Merkle tree over the log (RFC 6962) and its signed checkpoints."""
