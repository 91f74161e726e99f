"""Simulated Modbus meters of any profile, on every kind of line, good or bad."""
