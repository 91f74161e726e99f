"""The command line: `quince-headend`, one module for each group of commands."""
