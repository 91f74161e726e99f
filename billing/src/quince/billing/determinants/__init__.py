"""Determinants: what a meter used, peaked and lacked per bucket. They know no money."""
