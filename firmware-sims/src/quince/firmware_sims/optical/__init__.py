"""Simulated meters behind optical heads and customer ports, on pseudo-terminals with a baud."""
