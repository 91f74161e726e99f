"""The command line: `quince-edge`, for gateways and for technicians."""
