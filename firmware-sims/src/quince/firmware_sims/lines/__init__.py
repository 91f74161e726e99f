"""Lines between meters and readers: terminals that keep their baud, shared wires, mischief."""
