"""IEC 62056-21, modes A to E, without I/O: messages, data sets, the load profile, both ends.

From the wire up: `messages` (frames), `datasets` (their text), `profile` (the load profile's
text), `client` and `server` (who may say what, when).
"""
