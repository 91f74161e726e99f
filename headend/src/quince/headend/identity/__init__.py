"""Who is asking: opaque bearer tokens, kept only as hashes."""
