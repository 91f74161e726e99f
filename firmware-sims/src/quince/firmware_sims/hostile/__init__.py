"""Lines that do to a meter's octets what bad lines, cheap modems and broken firmware do."""
