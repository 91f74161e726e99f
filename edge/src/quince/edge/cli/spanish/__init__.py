"""The Spanish catalogue: one file for each module of commands."""
