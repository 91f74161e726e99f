"""SML, the Smart Message Language German meters push through their optical head, without I/O.

From the wire up: `transport` (files out of a stream), `fields` (their typed fields), `messages`
(the lists of values in them).
"""
