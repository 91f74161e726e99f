"""Modbus meters as data: register profiles, block reads that tear no value, exact integers.

`points` and `profiles` are the values, `documents` reads them from TOML, `registers` turns words
into integers, `planning` says what to read and `sunspec` where. The wire itself is pymodbus's,
behind the edge's port and the simulator's server.
"""
