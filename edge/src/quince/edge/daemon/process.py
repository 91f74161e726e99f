"""One configuration, one event loop, log lines as JSON; an error is one line on stderr."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog

from quince.edge.wiring import run
from quince.model.clock import parse_clock
from quince.model.errors import QuinceError

_LOG_LINES = (
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    structlog.processors.JSONRenderer(),
)
USAGE = 2  # as every command of the tool says it


def serve(arguments: Sequence[str]) -> int:
    """Run the gateway of a configuration file, by a clock, telling a service manager if any."""
    path, clock, notify = arguments
    structlog.configure(processors=[*_LOG_LINES])
    try:
        asyncio.run(run(Path(path), parse_clock(clock), notify=notify or None))
    except QuinceError as error:
        sys.stderr.write(f"{error.code}: {error}\n")
        return USAGE
    return 0
