"""IEC 62056-21 mode C, without I/O: messages, data sets, the load profile, both ends of a session.

From the wire up: `line` (characters), `messages` (frames), `datasets` (their text), `profile` (the
load profile's text), `client` and `server` (who may say what, when).
"""
