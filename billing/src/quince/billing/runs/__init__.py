"""Billing runs: read the final intervals, compute a bill, keep it; and compute it again."""
