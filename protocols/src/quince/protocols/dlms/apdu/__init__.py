"""The messages of the application layer, as values."""
