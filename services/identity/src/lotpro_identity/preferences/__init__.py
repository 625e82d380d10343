"""What a browser remembers of how somebody likes to see lotPro: one cookie, nothing on the server."""
