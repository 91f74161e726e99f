"""What is registered: tenants and their cells, gateways, meters and where they stand."""
