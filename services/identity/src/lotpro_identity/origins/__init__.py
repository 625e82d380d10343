"""Where requests come from, in words that people recognise: browser, operating system, place."""
