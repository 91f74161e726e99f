"""How a device becomes a gateway of ours, what it may do at the broker, and how that ends."""
