"""How a gateway is: what it writes down while it runs, and what can be found out beside it."""
