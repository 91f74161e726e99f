"""How this device becomes a gateway, and stays one."""
