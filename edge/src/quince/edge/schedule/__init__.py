"""When to read, and what is still to be read."""
