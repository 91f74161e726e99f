"""Reads one simulated meter with one library, as a process of its own: the licence stays in it.

    python read_meter.py with_gurux '{"link": "wrapper", "security": "gmac", "port": 4059, …}'

prints what was read as one line of JSON. With `"again": true` it associates, says so, and then
reads the whole profile each time it is told to by a line on stdin; `check` says what it last read.
"""

import importlib
import json
import sys
from contextlib import redirect_stdout
from typing import Any

_REGISTER, _MISSING = "1.0.1.8.0.255", "1.0.99.8.0.255"


def main() -> None:
    """Read as the arguments say."""
    library, asked = sys.argv[1], json.loads(sys.argv[2])
    answers = sys.stdout
    with redirect_stdout(sys.stderr):  # gurux_dlms says on stdout that it ciphers
        session = importlib.import_module(library).Session(
            asked["link"], asked["security"], asked["port"], asked
        )
        for answer in _again(session) if asked.get("again") else _once(session, asked):
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


def _once(session: Any, asked: dict[str, Any]) -> Any:
    columns = session.columns()
    found = {
        "clock": session.clock(),
        "register": session.register(_REGISTER),
        "several": session.several([_REGISTER, _REGISTER]),
        "missing": session.missing(_MISSING),
        "columns": columns,
        "profile": session.rows(session.read_profile(columns)),
        "between": session.between(columns, *asked["between"]),
    }
    if hasattr(session, "entries"):
        found["entries"] = session.entries(columns, *asked["entries"])
    session.close()
    yield found


def _again(session: Any) -> Any:
    columns = session.columns()
    profile = None
    yield "associated"
    for command in sys.stdin:
        if command == "check\n":
            yield session.growth_wh(profile)
        else:
            profile = session.read_profile(columns)
            yield "read"


main()
