"""Finding meters: on serial lines of unknown settings, and on networks."""
