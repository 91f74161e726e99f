"""A simulated Modbus meter behind a TCP gateway."""
