"""What the gateway has promised to deliver, on its own disk."""
