"""The words every part of Quince shares: OBIS codes, intervals, quality, events, time.

Law: values refuse to be wrong. Nothing here does I/O or reads a clock by itself.
"""
