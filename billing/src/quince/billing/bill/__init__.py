"""The bill: an immutable document with the evidence to compute it again, and its text."""
