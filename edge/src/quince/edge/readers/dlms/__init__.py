"""DLMS/COSEM meters: the line, the dialogue, what is read and what is told."""
