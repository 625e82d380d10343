"""Legal holds: what must outlive its day, who ordered it, and until when."""
