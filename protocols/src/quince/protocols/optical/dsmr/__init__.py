"""DSMR P1, the port meters of the Low Countries push to, without I/O.

`objects` reads a telegram's clock, registers and children; `encryption` opens the sealed ones of
Luxembourg and Austria. The telegram itself is `quince.protocols.optical.telegram`.
"""
