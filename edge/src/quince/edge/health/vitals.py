"""What a running gateway says of itself: the health document and the twin.

Law: nothing in either is a secret, and nothing depends on how long the gateway has run.
"""

import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from enum import Enum
from importlib.metadata import version
from typing import Any

from quince.edge.agent.health import AgentHealth
from quince.edge.config import GatewayConfig
from quince.edge.enrolment.identity import Identity
from quince.edge.health.boot import boot_id, boot_reason
from quince.edge.health.memory import resident_kb
from quince.edge.outbox.view import outbox_document
from quince.edge.uplink.service import Uplink
from quince.model.clock import Clock
from quince.model.errors import InvalidValueError

VERSION = version("quince-edge")


class Vitals:
    """How one gateway is, asked at any moment."""

    def __init__(
        self,
        config: GatewayConfig,
        *,
        uplink: Uplink,
        meters: Callable[[], AgentHealth],
        clock: Clock,
        boot_before: str,
    ) -> None:
        """`config` is what is in force; `boot_before` is the boot of the start before this one."""
        self.config = config
        self._uplink = uplink
        self._meters = meters
        self._clock = clock
        self._started_utc = clock.now_utc()
        self._boot_id = boot_id()
        self.boot_reason = boot_reason(self._boot_id, boot_before)

    def document(self, *, running: bool = True) -> dict[str, Any]:
        """Return everything, of JSON's own types."""
        contact, last_ack_utc = self._uplink.contact, self._uplink.last_ack_utc
        return {
            "running": running,
            "gateway": self.config.gateway,
            "pid": os.getpid(),
            "version": VERSION,
            "written_utc": _iso(self._clock.now_utc()),
            "started_utc": _iso(self._started_utc),
            "boot_id": self._boot_id,
            "boot_reason": self.boot_reason.value,
            "config_revision": self.config.revision,
            "certificate_not_after": _iso(certificate_not_after(self.config)),
            "memory_kb": resident_kb(),
            "uplink": {
                "online": contact.online,
                "since_utc": _iso(contact.since_utc),
                "version": contact.version,
                "reason": contact.reason,
                "last_ack_utc": _iso(last_ack_utc),
            },
            "outbox": outbox_document(self.config.outbox),
            **_plain(asdict(self._meters())),
        }

    def twin(self) -> bytes:
        """Return what the head-end keeps of this gateway; it changes only when that does."""
        outbox = outbox_document(self.config.outbox)
        return json.dumps(
            {
                "version": VERSION,
                "python": platform.python_version(),
                "started": _iso(self._started_utc),
                "epoch": outbox.get("epoch"),
                "config_revision": self.config.revision,
                "meters": len(self.config.meters),
                "certificate_not_after": _iso(certificate_not_after(self.config)),
            }
        ).encode()

    def status(self) -> str:
        """Return it in a line for the service manager."""
        contact = self._uplink.contact
        link = f"online ({contact.version})" if contact.online else f"offline {contact.reason}"
        return f"{len(self.config.meters)} meters, {link}".strip()


def certificate_not_after(config: GatewayConfig) -> datetime | None:
    """Return until when the gateway's certificate is good, None if it has none."""
    if config.broker.tls is None:
        return None
    try:
        return Identity.of(config.broker.tls).certificate().not_after_utc
    except InvalidValueError:
        return None


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")


def _plain(value: Any) -> Any:
    """Return the same of JSON's own types."""
    match value:
        case dict():
            return {name: _plain(one) for name, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case datetime():
            return _iso(value)
        case Enum():
            return value.value
        case _:
            return value
