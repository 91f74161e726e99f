"""Writes the health file and feeds the watchdog, from the loop that does the gateway's work.

Law: a loop that stands still writes nothing and feeds nobody, and is restarted for it.
"""

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import structlog

from quince.edge.config import GatewayConfig
from quince.edge.health.notify import ServiceManager
from quince.edge.health.vitals import Vitals

log = structlog.get_logger()

BEAT_S = 30.0  # a third of the unit's WatchdogSec
HEALTH_BYTES_MAX = 1024 * 1024  # 500 meters are some 120 kB


def health_file(config: GatewayConfig) -> Path:
    """Return where a gateway's health is written: beside its outbox."""
    return config.outbox.with_suffix(".health")


def read_health(path: Path) -> dict[str, Any] | None:
    """Return what was written last, None if there is nothing that can be read."""
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(HEALTH_BYTES_MAX))
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def boot_before(config: GatewayConfig) -> str:
    """Return the boot in which this gateway last wrote its health, empty if it never did."""
    return str((read_health(health_file(config)) or {}).get("boot_id", ""))


async def keep_beating(vitals: Vitals, manager: ServiceManager) -> NoReturn:
    """Beat until cancelled; the last beat says that it ended."""
    manager.tell(READY="1", STATUS=vitals.status())
    path = health_file(vitals.config)
    try:
        while True:
            _write(path, vitals.document())
            manager.tell(WATCHDOG="1", STATUS=vitals.status())
            await asyncio.sleep(BEAT_S)
    finally:
        manager.tell(STOPPING="1")
        _write(path, vitals.document(running=False))


def _write(path: Path, document: dict[str, Any]) -> None:
    """Put it in the old one's place; it is not forced to the disk, which would wear it out."""
    beside = path.with_name(f"{path.name}.new")
    try:
        beside.write_text(json.dumps(document), encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        log.warning("health_not_written", reason=str(error))
        with suppress(OSError):
            beside.unlink(missing_ok=True)
