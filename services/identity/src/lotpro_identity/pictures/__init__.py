"""People's pictures: read safely, made anew without what came with them, kept encrypted in Blob Storage."""
