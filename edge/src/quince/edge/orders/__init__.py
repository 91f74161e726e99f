"""A technician's visit in one trip: orders kept offline, checks, proof of arrival, report."""
