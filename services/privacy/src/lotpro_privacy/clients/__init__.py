"""Other services, as far as privacy needs them."""
