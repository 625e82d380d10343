"""Page views as clients report them, and counts of use without any person."""
