"""Taking access tokens back before they expire, and telling every service so."""
