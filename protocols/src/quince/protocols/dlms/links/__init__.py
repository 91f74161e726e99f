"""How APDUs travel: the wrapper over TCP and UDP, HDLC over serial lines."""
