"""How unusual a sign-in is, and what follows from that."""
