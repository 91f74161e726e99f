"""The gateway's own process: what runs for years carries no command line with it.

`quince-edge run` becomes it, and keeps its process id.
"""
