"""People: who they are, how they confirm their address, their password."""
