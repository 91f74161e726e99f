"""The operator's page: what is complete, what is dark, who is in contact."""
