"""What gateways are told to do: asked for, approved, signed, published, and how it ended."""
