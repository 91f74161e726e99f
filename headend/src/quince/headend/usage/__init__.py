"""The read side: final intervals for bills, completeness and conservation for operations."""
