"""DLMS/COSEM, client and server, without I/O: octets in, events and octets out.

Reading order: reader, axdr, time; the APDUs (reference, apdu, ber, acse, initiate); what protects
them (security, protection); association, client, server; the links (link, wrapper, hdlc_frame,
hdlc); what the objects say (cosem); and session, which joins a link and an association.

Law: whatever octets arrive, a decoder returns a value or raises CodecError, in bounded time and
memory.
"""
