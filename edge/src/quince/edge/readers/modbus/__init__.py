"""Modbus meters: the line, the port, what the registers say."""
