"""Modbus meters as data: register profiles, block reads that tear no value, exact integers.

The wire itself is pymodbus's, behind the edge's port and the simulator's server.
"""
