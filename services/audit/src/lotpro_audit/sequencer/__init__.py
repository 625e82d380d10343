"""The sequencer: what comes in is put in order and written into the log and its tree, by one process at a time."""
