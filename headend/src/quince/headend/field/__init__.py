"""The door for gateways and technicians: HTTPS, beside the broker."""
