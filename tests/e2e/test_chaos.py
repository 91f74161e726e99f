"""Law 1 with real processes: broker, head-end and gateway killed at random lose nothing."""

import random
import shutil
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from demo.run import HERE, ROOT
from demo.stage import Stage, fill_in, free_ports

from quince.firmware_sims.load import Household
from quince.headend.intervals.service import read_stretch
from quince.headend.intervals.store import SqliteIntervalStore
from quince.headend.platform.sqlite import open_connection
from quince.model.interval import STEP

pytestmark = pytest.mark.e2e

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
MIDNIGHT = datetime(2026, 4, 30, 6, 0, tzinfo=UTC)
SLOTS = 192
KILLS = 9


class Plant:
    """Broker, head-end and gateway on a stage; each can be killed and started again."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.ports = free_ports(
            "broker", "dlms_wrapper", "dlms_hdlc", "modbus", "push", "dashboard"
        )
        now = datetime.now(UTC)  # noqa: TID251 - real processes need a real anchor
        clock = f"2026-05-02T06:00:00Z@{now.isoformat()}x10"
        database = str(stage.folder / "headend.db")
        stage.environment |= {
            "QUINCE_FIRMWARE_SIMS_CLOCK": clock,
            "QUINCE_EDGE_CLOCK": clock,
            "QUINCE_HEADEND_CLOCK": clock,
            "QUINCE_HEADEND_DATABASE": database,
            "QUINCE_HEADEND_CELL": "sv-1",
            "QUINCE_HEADEND_MQTT_PORT": str(self.ports["broker"]),
            "QUINCE_HEADEND_HTTP_PORT": str(self.ports["dashboard"]),
        }
        names = {f"{name}_port": str(port) for name, port in self.ports.items()} | {
            "optical_line": str(stage.folder / "optical"),
            "modbus_profile": str(ROOT / "edge/src/quince/edge/profiles/schneider_iem3155.toml"),
        }
        self.meters = fill_in(HERE / "meters.toml", names, stage.folder)
        self.gateway = fill_in(HERE / "gateway.toml", names, stage.folder)
        (stage.folder / "mosquitto.conf").write_text(
            f"listener {self.ports['broker']} 127.0.0.1\nallow_anonymous true\n"
        )
        stage.run("quince-headend", "import", str(HERE / "assets.toml"))

    def start(self, name: str) -> None:
        command = {
            "broker": [str(MOSQUITTO), "-c", str(self.stage.folder / "mosquitto.conf")],
            "headend": ["quince-headend", "run"],
            "meters": ["quince-firmware-sims", "run", "--scenario", str(self.meters)],
            "gateway": ["quince-edge", "run", "--config", str(self.gateway)],
        }[name]
        self.stage.start(name, *command)

    def kill(self, name: str) -> None:
        process = self.stage._processes[name]
        process.kill()
        process.wait()

    def complete(self) -> bool:
        stored = [self.stored(meter["id"]) for meter in self.profiled()]
        return all(len(values) == SLOTS for values in stored)

    def profiled(self) -> list[dict[str, object]]:
        meters = tomllib.loads(self.meters.read_text())["meters"]
        return [meter for meter in meters if meter["kind"] != "modbus"]

    def stored(self, meter_id: object) -> dict[datetime, int]:
        connection = open_connection(self.stage.folder / "headend.db")
        store = SqliteIntervalStore(connection)
        found: dict[datetime, int] = {}
        for channel in store.channels(tenant_id=1, meter_ids=[str(meter_id)]):
            stretch = read_stretch(
                store,
                tenant_id=1,
                channel_id=channel.channel_id,
                start_utc=MIDNIGHT,
                end_utc=MIDNIGHT + SLOTS * STEP,
            )
            values = enumerate(stretch.values.tolist())
            found |= {MIDNIGHT + i * STEP: value for i, value in values if value >= 0}
        connection.close()
        return found


@pytest.fixture
def plant(tmp_path: Path):
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed (`make mosquitto`)")
    with Stage(tmp_path / "stage") as stage:
        yield Plant(stage)


def test_killing_everything_at_random_loses_nothing_and_invents_nothing(plant):
    rng = random.Random(15)
    for name in ("broker", "headend", "meters", "gateway"):
        plant.start(name)
    for _ in range(KILLS):
        pause = datetime.now(UTC) + timedelta(seconds=rng.uniform(0.5, 2.5))  # noqa: TID251 - as above
        plant.stage.wait_until("the moment", lambda until=pause: datetime.now(UTC) > until, 5)  # noqa: TID251 - as above
        victim = rng.choice(["broker", "headend", "gateway"])
        plant.kill(victim)
        plant.start(victim)
    plant.stage.wait_until("both days of every meter", plant.complete, 120)
    for meter in plant.profiled():
        household = Household(seed=meter["seed"], base_wh=meter.get("base_wh", 100))
        stored = plant.stored(meter["id"])
        assert stored == {start: household.interval_wh(start) for start in stored}
        assert len(stored) == SLOTS
