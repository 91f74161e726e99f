"""Octets to typed values and back: A-XDR, BER, dates."""
