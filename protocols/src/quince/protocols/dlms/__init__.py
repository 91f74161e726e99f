"""DLMS/COSEM, client and server, without I/O: octets in, events and octets out.

Reading order, from the line to the meaning: `links` (wrapper, HDLC) carry APDUs; `security` opens
and seals them; `apdu` holds them as values, on `encoding` (A-XDR, BER, dates); `association` says
who may ask and matches answers to questions; `cosem` knows what a meter's objects say.

Law: whatever octets arrive, a decoder returns a value or raises CodecError, in bounded time and
memory.
"""
