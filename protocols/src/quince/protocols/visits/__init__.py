"""A technician's visit, between head-end and technician: the order, and the signed report."""
