"""Hot reload: the configuration file is read again when it changes, and its meters are served.

Law: a file that is wrong changes nothing; what only a restart can change is said, and not done.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import structlog

from quince.edge.config import GatewayConfig, load_config
from quince.model.errors import InvalidValueError

log = structlog.get_logger()

LOOK_S = 5.0
_HOT = frozenset({"meters", "backfill_days", "revision"})

_Stamp = tuple[int, int, int]  # moment of change, octets, and which file: editors write a new one


class Reload:
    """Watches one configuration file."""

    def __init__(
        self, path: Path, config: GatewayConfig, *, serve: Callable[[GatewayConfig], None]
    ) -> None:
        """`config` is in force; `serve` puts another in force, or raises InvalidValueError."""
        self._path = path
        self._config = config
        self._serve = serve
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Read the file now, though it may not look changed."""
        self._asked.set()

    async def run(self) -> NoReturn:
        """Look every few seconds, until cancelled."""
        seen = _stamp(self._path)
        while True:
            asked = await self._wait()
            stamp = _stamp(self._path)
            if asked or stamp != seen:
                seen = stamp
                self._reload()

    async def _wait(self) -> bool:
        """Return whether somebody asked."""
        try:
            async with asyncio.timeout(LOOK_S):
                await self._asked.wait()
        except TimeoutError:
            return False
        self._asked.clear()
        return True

    def _reload(self) -> None:
        try:
            config = load_config(self._path)
            self._serve(config)
        except InvalidValueError as error:
            log.error("configuration_refused", code=error.code, reason=str(error))  # noqa: TRY400 - no bug of ours: the reason says all
            return
        cold = GatewayConfig.model_fields.keys() - _HOT
        changed = sorted(
            name for name in cold if getattr(config, name) != getattr(self._config, name)
        )
        if changed:
            log.warning("configuration_needs_a_restart", changed=changed)
        log.info("configuration_reloaded", meters=len(config.meters))


def _stamp(path: Path) -> _Stamp | None:
    """Return what tells a file from its later self, None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
