"""Work orders: what technicians are asked to do, what they reported, and what came of it."""
