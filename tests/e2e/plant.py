"""A plant of real processes: meters, a gateway, a broker, a head-end; each can be killed."""

import os
import shutil
import signal
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from demo.stage import Stage, free_ports

from quince.firmware_sims.load import Household
from quince.headend.intervals.rules import EMPTY
from quince.headend.intervals.service import read_stretch
from quince.headend.intervals.store import SqliteIntervalStore
from quince.headend.platform.sqlite import open_connection
from quince.model.interval import STEP

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
START = datetime(2026, 5, 2, 6, 0, tzinfo=UTC)  # midnight in El Salvador
VICTIMS = ("broker", "headend", "gateway")
_TENANT_ID = 1
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantConfig:
    """How many DLMS meters, how many days they look back, how many quarter-hours are lived."""

    meters: int
    backfill_days: int
    live_slots: int
    speed: int

    @property
    def slots(self) -> int:
        """How many quarter-hours each meter has to have at the end."""
        return self.backfill_days * 96 + self.live_slots

    @property
    def first_utc(self) -> datetime:
        """The first of them."""
        return START - self.backfill_days * _DAY

    @property
    def live_s(self) -> float:
        """How many real seconds the live quarter-hours take."""
        return self.live_slots * STEP.total_seconds() / self.speed


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What arrived: of all quarter-hours, how many are lost, doubled, or not what was measured."""

    readings: int
    lost: int
    doubled: int
    wrong: int


class Plant:
    """Broker, head-end, meters and gateway on a stage.

    Proxies may stand between: `broker_doors` are the ports the gateway and the head-end find the
    broker at, `meter_doors` those the gateway finds the meters at.
    """

    def __init__(self, stage: Stage, config: PlantConfig) -> None:
        self.stage, self.config = stage, config
        self.meters = [f"M-{number:03}" for number in range(1, config.meters + 1)]
        ports = free_ports("broker", "dashboard", *self.meters)
        self.broker_port, self.dashboard_port = ports.pop("broker"), ports.pop("dashboard")
        self.meter_ports = list(ports.values())
        self.households = {
            meter_id: Household(seed=seed) for seed, meter_id in enumerate(self.meters, start=1)
        }
        self._database = stage.folder / "headend.db"

    # --- setting it up ----------------------------------------------------------------------

    def set_up(
        self, *, broker_doors: tuple[int, int] | None = None, meter_doors: Sequence[int] = ()
    ) -> None:
        """Write every configuration and register everybody; the clock starts now."""
        gateway_door, headend_door = broker_doors or (self.broker_port, self.broker_port)
        self._write("mosquitto.conf", self._broker_text())
        self._write("meters.toml", self._meters_text())
        self._write("gateway.toml", self._gateway_text(gateway_door, meter_doors))
        self._write("assets.toml", self._assets_text())
        now = datetime.now(UTC)  # noqa: TID251 - real processes need a real anchor
        clock = f"{START:%Y-%m-%dT%H:%M:%SZ}@{now.isoformat()}x{self.config.speed}"
        self.stage.environment |= {
            "QUINCE_FIRMWARE_SIMS_CLOCK": clock,
            "QUINCE_EDGE_CLOCK": clock,
            "QUINCE_HEADEND_CLOCK": clock,
            "QUINCE_HEADEND_DATABASE": str(self._database),
            "QUINCE_HEADEND_CELL": "sv-1",
            "QUINCE_HEADEND_MQTT_PORT": str(headend_door),
            "QUINCE_HEADEND_HTTP_PORT": str(self.dashboard_port),
        }
        self.stage.run("quince-headend", "import", "assets.toml")

    def start(self, name: str) -> None:
        """Start one of broker, headend, meters, gateway."""
        command = {
            "broker": [str(MOSQUITTO), "-c", "mosquitto.conf"],
            "headend": ["quince-headend", "run"],
            "meters": ["quince-firmware-sims", "run", "--scenario", "meters.toml"],
            "gateway": ["quince-edge", "run", "--config", "gateway.toml"],
        }[name]
        self.stage.start(name, *command)

    def start_all(self) -> None:
        """Start everything, the broker first."""
        for name in ("broker", "headend", "meters", "gateway"):
            self.start(name)

    def kill(self, name: str) -> None:
        """End a process as a power cut does."""
        process = self.stage._processes[name]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    # --- what arrived -----------------------------------------------------------------------

    def is_complete(self) -> bool:
        """Say whether every quarter-hour of every meter arrived."""
        return self.tally().lost == 0

    def tally(self) -> Tally:
        """Compare what the head-end has with what the meters measured."""
        found = self._stored()
        readings = self.config.meters * self.config.slots
        wrong = sum(
            self.households[meter_id].interval_wh(start_utc) != value
            for meter_id, values in found.items()
            for start_utc, value in values.items()
        )
        return Tally(
            readings=readings,
            lost=readings - sum(map(len, found.values())),
            doubled=self._conflicts(),
            wrong=wrong,
        )

    def _stored(self) -> dict[str, dict[datetime, int]]:
        with closing(open_connection(self._database)) as connection:
            store = SqliteIntervalStore(connection)
            channels = store.channels(tenant_id=_TENANT_ID, meter_ids=self.meters)
            return {one.meter_id: self._values(store, one.channel_id) for one in channels}

    def _values(self, store: SqliteIntervalStore, channel_id: int) -> dict[datetime, int]:
        first_utc = self.config.first_utc
        stretch = read_stretch(
            store,
            tenant_id=_TENANT_ID,
            channel_id=channel_id,
            start_utc=first_utc,
            end_utc=first_utc + self.config.slots * STEP,
        )
        values = enumerate(stretch.values.tolist())
        return {first_utc + i * STEP: value for i, value in values if value != EMPTY}

    def _conflicts(self) -> int:
        with closing(open_connection(self._database)) as connection:
            (count,) = connection.execute("select count(*) from interval_conflict").fetchone()
        return int(count)

    # --- the files --------------------------------------------------------------------------

    def _write(self, name: str, text: str) -> Path:
        path = self.stage.folder / name
        path.write_text(text)
        return path

    def _broker_text(self) -> str:
        return f"listener {self.broker_port} 127.0.0.1\nallow_anonymous true\npersistence false\n"

    def _meters_text(self) -> str:
        return "".join(
            f'[[meters]]\nkind = "dlms"\nid = "{meter_id}"\nseed = {seed}\nlink = "wrapper"\n'
            f"port = {port}\npush_port = 1\n{_security(seed, 'system_title')}"
            for seed, (meter_id, port) in enumerate(
                zip(self.meters, self.meter_ports, strict=True), start=1
            )
        )

    def _gateway_text(self, broker_port: int, meter_doors: Sequence[int]) -> str:
        doors = meter_doors or self.meter_ports
        head = (
            'gateway = "gw-1"\ncell = "sv-1"\noutbox = "outbox.db"\n'
            f"backfill_days = {self.config.backfill_days}\n"
            f'broker = {{ host = "127.0.0.1", port = {broker_port}, username = "gw-1" }}\n'
        )
        return head + "".join(
            f'[[meters]]\nkind = "dlms"\nid = "{meter_id}"\nequipment_id = "{meter_id}"\n'
            f'url = "tcp://127.0.0.1:{port}"\nutc_offset_min = -360\n'
            f"client_sap = 1\nserver_sap = 1\n{_security(seed, 'meter_system_title')}"
            'system_title = "514e470000000001"\n'
            for seed, (meter_id, port) in enumerate(zip(self.meters, doors, strict=True), start=1)
        )

    def _assets_text(self) -> str:
        head = (
            'tenant = { id = 1, name = "One", cells = ["sv-1"] }\n'
            '[[gateway]]\nid = "gw-1"\ncell = "sv-1"\n'
        )
        return head + "".join(
            f'[[meter]]\nid = "{meter_id}"\npremise = "-"\nzone = "America/El_Salvador"\n'
            for meter_id in self.meters
        )


def _security(seed: int, title: str) -> str:
    """Return keys: authenticated and ciphered, so that a flipped bit is a broken message."""
    return (
        f'[meters.security]\nkind = "hls-gmac"\n{title} = "514e4d{seed:010x}"\n'
        f'encryption_key = "{seed:032x}"\nauthentication_key = "{seed + 4096:032x}"\n'
    )
