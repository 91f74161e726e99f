"""Keys, counters, and what is sealed under them."""
