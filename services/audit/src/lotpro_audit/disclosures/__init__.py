"""The register of what was handed to authorities: who asked, on which ground, what was given, who was told."""
