"""Who is without supply, since when, and on whose word."""
