"""Meters that behave, and misbehave, as real ones: real servers, real bytes, simulated energy."""
