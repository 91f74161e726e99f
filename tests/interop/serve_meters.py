"""Serves simulated meters, all alike but for their names, as a process of its own.

    python serve_meters.py '{"link": "wrapper", "security": "gmac", "meters": 1, …}'

prints their ports as JSON, and ends when its stdin does.
"""

import asyncio
import json
import sys
from datetime import datetime
from random import Random
from typing import Any

from quince.firmware_sims.dlms.load_profile import Captures
from quince.firmware_sims.dlms.meter import Build, DlmsMeter
from quince.firmware_sims.dlms.server import serve_hdlc, serve_wrapper
from quince.firmware_sims.load import Household, Supply
from quince.model.obis import Obis
from quince.protocols.dlms.security.counters import MemoryCounters
from quince.protocols.dlms.security.credentials import Authentication, Gmac, NoSecurity, Password
from quince.protocols.dlms.security.suite import Keys

# Behind clock and status, so that a profile has four columns: import, and import by day.
_REGISTERS = (Obis(1, 0, 1, 8, 0), Obis(1, 0, 1, 8, 1))
_SERVE = {"wrapper": serve_wrapper, "hdlc": serve_hdlc}


class _StoppedClock:
    def __init__(self, at_utc: datetime) -> None:
        self._at_utc = at_utc

    def now_utc(self) -> datetime:
        return self._at_utc

    def seconds_until(self, moment_utc: datetime) -> float:
        return max(0.0, (moment_utc - self._at_utc).total_seconds())


def _accepts(number: int, line: dict[str, Any]) -> Authentication:
    match line["security"]:
        case "none":
            return NoSecurity()
        case "password":
            return Password(secret=bytes.fromhex(line["password"]))
        case _:
            keys = Keys(
                encryption=bytes.fromhex(line["encryption"]),
                authentication=bytes.fromhex(line["authentication"]),
            )
            title = b"QNM" + number.to_bytes(5, "big")
            return Gmac(system_title=title, keys=keys, counters=MemoryCounters())


def _meter(number: int, line: dict[str, Any]) -> DlmsMeter:
    return DlmsMeter(
        device_id=f"M{number}",
        household=Household(seed=line["seed"], utc_offset_min=line["utc_offset_min"]),
        supply=Supply(),
        clock=_StoppedClock(datetime.fromisoformat(line["now_utc"])),
        accepts=(_accepts(number, line),),
        build=Build(captures=Captures(registers=_REGISTERS, days=line["profile_days"])),
        rng=Random(number),
    )


async def _main(line: dict[str, Any]) -> None:
    serve, ports = _SERVE[line["link"]], []
    for number in range(line["meters"]):
        server = await serve(_meter(number, line), "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


asyncio.run(_main(json.loads(sys.argv[1])))
