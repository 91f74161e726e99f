"""Starts the gateway's process, without what it never uses."""

import sys

if __name__ == "__main__":
    # structlog loads rich wherever it is installed, to colour tracebacks for a terminal; with what
    # rich loads it is 5 MiB of the 64 a gateway may hold, and a gateway logs JSON.
    sys.modules["rich"] = None  # type: ignore[assignment] # documented: its import fails
    from quince.edge.daemon.process import serve

    sys.exit(serve(sys.argv[1:]))
