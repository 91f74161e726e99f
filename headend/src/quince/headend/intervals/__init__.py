"""The interval store: what meters sent, a block per channel and day, filled and never changed."""
