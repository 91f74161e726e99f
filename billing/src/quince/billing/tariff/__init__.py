"""Tariffs: which season, day type and block a quarter-hour belongs to, and what it costs."""
