"""Reads a meter's profile as a gateway does: the edge's own reader, its counters on disk."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from random import SystemRandom
from typing import Any

from quince.edge.readers.dlms.counters import CounterStore
from quince.edge.readers.dlms.line import DlmsLine, open_dlms
from quince.edge.readers.dlms.login import InClear, Login, login
from quince.edge.readers.reader import ProfilePiece
from quince.protocols.dlms.security.counters import MemoryCounters
from quince.protocols.dlms.security.credentials import Gmac, Password
from quince.protocols.dlms.security.suite import Keys

_SCHEME = {"wrapper": "tcp", "hdlc": "hdlc+tcp"}


class Session:
    """An association with the meter at a port of this machine; it lasts as long as its process."""

    def __init__(self, link: str, security: str, port: int, line: dict[str, Any]) -> None:
        self._range = [datetime.fromisoformat(moment) for moment in line["profile_utc"]]
        self._loop = asyncio.new_event_loop()
        self._open = AsyncExitStack()
        folder = tempfile.TemporaryDirectory()
        self._open.enter_context(folder)
        counters = self._open.enter_context(CounterStore(Path(folder.name) / "counters.db"))
        reader = open_dlms(
            DlmsLine(
                url=f"{_SCHEME[link]}://127.0.0.1:{port}",
                client_sap=line["client"],
                server_sap=line["server"],
            ),
            meter_id="M",
            login=authenticate(security, line, counters),
            utc_offset_min=line["utc_offset_min"],
            rng=SystemRandom(),
        )
        self._reader = self._loop.run_until_complete(self._open.enter_async_context(reader))

    def columns(self) -> list[list[Any]]:
        """Return nothing: the reader asks the meter itself."""
        return []

    def read_profile(self, columns: list[list[Any]]) -> ProfilePiece:
        """Return the intervals that the whole profile holds."""
        del columns
        return self._loop.run_until_complete(self._reader.intervals(*self._range))

    def growth_wh(self, piece: ProfilePiece) -> int:
        """Return what the register grew by from the first row to the last."""
        return sum(value or 0 for value in piece.series.values)


def authenticate(security: str, line: dict[str, Any], counters: CounterStore) -> Login:
    """Return how a gateway proves itself."""
    if security == "password":
        return InClear(Password(secret=bytes.fromhex(line["password"])))
    keys = Keys(
        encryption=bytes.fromhex(line["encryption"]),
        authentication=bytes.fromhex(line["authentication"]),
    )
    return login(
        Gmac(system_title=b"QNG\0\0\0\0\1", keys=keys, counters=MemoryCounters()),
        counters,
        meter_id="M1",
    )
