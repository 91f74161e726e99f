"""A place to commission: meters on sockets, a gateway that reads and delivers, a head-end's door.

They run in a thread of their own, as the command has the main one; an hour takes a minute there.
"""

import asyncio
import random
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
import uvicorn

from quince.edge.agent.service import Agent
from quince.edge.cli import main as cli
from quince.edge.cli.language import speak
from quince.edge.config import DlmsMeterConfig, GatewayConfig, load_config
from quince.edge.orders.configuration import ordered_meter
from quince.edge.orders.technician import keep_token, technician_key
from quince.edge.outbox.store import Outbox, Round
from quince.edge.pushes.listener import PushListener
from quince.edge.readers.dlms.counters import CounterStore
from quince.edge.reload import Reload
from quince.edge.workshop import Workshop
from quince.firmware_sims.dlms.meter import Build, DlmsMeter
from quince.firmware_sims.dlms.push import send_last_gasp, send_power_up
from quince.firmware_sims.dlms.server import serve_wrapper
from quince.firmware_sims.load import Household, Supply
from quince.headend import wiring
from quince.headend.assets.rules import read_registration
from quince.headend.field.app import create_field_app
from quince.headend.identity.rules import Principal, Role
from quince.headend.ingest.service import Received
from quince.headend.work_orders.endpoints import work_order_router
from quince.headend.work_orders.rules import Technician, read_orders
from quince.model.clock import ScaledClock, SystemClock
from quince.model.event import MeterEvent
from quince.protocols.dlms.security.credentials import Password
from quince.protocols.gateway.messages import Content, Envelope, Watermark, encode_uplink
from quince.protocols.gateway.topics import GatewayAddress, Lane, way_of

# A minute and a half before a quarter-hour ends: so long does a test wait for its arrival.
START_UTC = datetime(2026, 5, 2, 14, 13, 30, tzinfo=UTC)
SPEED = 60

REGISTRATION = """
[tenant]
id = 1
name = "Cooperativa Quince"
cells = ["north"]
[[gateway]]
id = "gw-1"
cell = "north"
"""
CONFIG = """\
# The substation at Ateos.
gateway = "gw-1"
cell = "north"
outbox = "outbox.db"
backfill_days = 1
broker = {{ host = "127.0.0.1", port = 1883 }}
headend = {{ url = "http://127.0.0.1:{door}" }}

[[meters]] # the old one
kind = "dlms"
id = "M0"
url = "tcp://127.0.0.1:{old}"
utc_offset_min = -360
client_sap = 1
server_sap = 1
equipment_id = "M0"
security = {{ kind = "lls", password = "12345678" }}
"""
ORDERS = """
[[order]]
order_id = "WO-1"
kind = "commission"
metering_point = "mp-1"
premise = "Panadería El Rosario"
address = "Km 28, Ateos"
zone = "America/El_Salvador"
gateway = "gw-1"
serial = "M1"
meter = {meter}

[[order]]
order_id = "WO-2"
kind = "swap"
old_meter_id = "M0"
metering_point = "mp-1"
premise = "Panadería El Rosario"
zone = "America/El_Salvador"
gateway = "gw-1"
serial = "M1"
meter = {meter}

[[order]]
order_id = "WO-3"
kind = "visit"
metering_point = "mp-1"
premise = "Panadería El Rosario"
zone = "America/El_Salvador"
gateway = "gw-1"
serial = "M1"
meter = {meter}
"""
METER = (
    '{{ kind = "dlms", id = "M1", url = "tcp://127.0.0.1:{port}", utc_offset_min = -360,'
    ' client_sap = 1, server_sap = 1, equipment_id = "M1",'
    ' security = {{ kind = "lls", password = "12345678" }} }}'
)


class Place:
    """What stands at the place, and how a test reaches it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ScaledClock(
            start_utc=START_UTC, anchor_utc=SystemClock().now_utc(), speed=SPEED, real=SystemClock()
        )
        self.clock_text = f"{START_UTC.isoformat()}@{self.clock.anchor_utc.isoformat()}x{SPEED}"
        self.config = folder / "gateway.toml"
        self.database = folder / "headend.sqlite"
        self.key = technician_key(folder / "state" / "orders", random.Random(3))
        self.old, self.new = (self._meter(name, seed) for name, seed in (("M0", 1), ("M1", 2)))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def _meter(self, name: str, seed: int) -> DlmsMeter:
        return DlmsMeter(
            device_id=name,
            household=Household(seed=seed),
            supply=Supply(),
            clock=self.clock,
            accepts=(Password(secret=b"12345678"),),
            build=Build(),
        )

    def start(self) -> None:
        self._thread.start()
        self.do(self._open())

    def stop(self) -> None:
        self.do(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def do(self, what: Coroutine[Any, Any, Any]) -> Any:
        """Do something at the place, and wait until it is done."""
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(30)

    def close_door(self) -> None:
        """Take the head-end away."""
        self.do(self._close_door())

    def put_clock_forward(self, seconds: int) -> None:
        """Let the new meter's clock be wrong."""

        async def put() -> None:
            self.new.meter_clock.set_to(self.clock.now_utc() + timedelta(seconds=seconds))

        self.do(put())

    def break_supply(self) -> None:
        """Cut the new meter off: it says so with its last breath."""
        self.do(send_last_gasp(self.new, "127.0.0.1", self.push_port))

    def restore_supply(self) -> None:
        self.do(send_power_up(self.new, "127.0.0.1", self.push_port))

    async def _open(self) -> None:
        self._stack = AsyncExitStack()
        await self._open_headend()
        servers = [await serve_wrapper(meter, "127.0.0.1", 0) for meter in (self.old, self.new)]
        for server in servers:
            self._stack.callback(server.close)
        old, new = (server.sockets[0].getsockname()[1] for server in servers)
        self.config.write_text(CONFIG.format(door=self.door_port, old=old))
        self.orders = read_orders(ORDERS.format(meter=METER.format(port=new)))
        ana = Technician(name="ana", public_key=self.key.public_key().public_bytes_raw())
        async with wiring.open_order_book(self.database) as book:
            await book.put(tenant_id=1, orders=self.orders)
            await book.put_technician(tenant_id=1, person=ana)
        await self._open_gateway()

    async def _open_headend(self) -> None:
        await wiring.register(self.database, read_registration(REGISTRATION))
        identity = await self._stack.enter_async_context(wiring.open_identity(self.database))
        self.token = await identity.issue_token(Principal(tenant_id=1, role=Role.STAFF))
        work_orders = await self._stack.enter_async_context(
            wiring.open_work_orders(self.database, self.clock)
        )
        app = create_field_app([work_order_router(identity, work_orders)])
        config = uvicorn.Config(app, port=0, log_config=None, lifespan="off", ws="none")
        self._door = uvicorn.Server(config)
        self._serving = asyncio.create_task(self._door.serve())
        self._stack.push_async_callback(self._close_door)
        while not self._door.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        self.door_port = self._door.servers[0].sockets[0].getsockname()[1]
        self._ingest = self._stack.enter_context(wiring.open_ingest(self.database))

    async def _close_door(self) -> None:
        self._door.should_exit = True
        await self._serving

    async def _open_gateway(self) -> None:
        config, rng = load_config(self.config), random.Random(1)
        files = self._stack.enter_context(ExitStack())
        self._outbox = files.enter_context(Outbox(config.outbox, rng))
        counters = files.enter_context(CounterStore(config.outbox.with_suffix(".counters")))
        workshop = Workshop(self.clock, counters, rng, accept=self._accept)
        agent = Agent(
            gateway="gw-1",
            plans=[workshop.plan(meter) for meter in config.meters],
            backfill_days=1,
            outbox=self._outbox,
            stir=self._deliver,
            clock=self.clock,
            boot="this one",
        )

        def serve(changed: GatewayConfig) -> None:
            agent.replace([workshop.plan(meter) for meter in changed.meters], backfill_days=1)

        new = ordered_meter(self.orders[0])
        assert isinstance(new, DlmsMeterConfig)
        listener = PushListener(
            pushers={"M1": workshop.pusher(new)}, accept=self._accept, clock=self.clock, rng=rng
        )
        pushes = await listener.serve("127.0.0.1", 0)
        self._stack.callback(pushes.close)
        self.push_port = pushes.sockets[0].getsockname()[1]
        for work in (agent.run(), Reload(self.config, config, serve=serve).run()):
            task: asyncio.Task[None] = asyncio.create_task(work)
            self._stack.push_async_callback(_cancelled, task)

    def _accept(self, event: MeterEvent) -> None:
        self._outbox.record(Round(messages=((Lane.EVENTS, Content(events=(event,))),)))
        self._deliver()

    def _deliver(self) -> None:
        """Hand on what waits, as uplink, broker and consumer do, while the head-end is there."""
        if self._door.should_exit:
            return
        address = GatewayAddress(cell="north", gateway="gw-1")
        for one in self._outbox.messages():
            envelope = Envelope(
                epoch=self._outbox.epoch,
                lane=one.lane,
                seq=one.seq,
                oldest_seq=one.seq,
                sent_utc=self.clock.now_utc(),
            )
            payload = encode_uplink(envelope, one.body)
            topic = address.up(way_of(one.lane))
            self._ingest(
                [Received(topic=topic, payload=payload, received_utc=self.clock.now_utc())]
            )
            mark = Watermark(epoch=self._outbox.epoch, lane=one.lane, upto=one.seq)
            self._outbox.acknowledge(mark)


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait([task])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr("quince.edge.reload.LOOK_S", 0.05)
    # The gateway in this process speaks to nobody: stdout is the command's.
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    here = Place(tmp_path)
    here.start()
    yield here
    here.stop()
    structlog.reset_defaults()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    def command(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["quince-edge", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0)

    yield command
    speak("en")


@pytest.fixture
def at_place(
    place: Place, run: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """Run a command of a technician who has a token, and whose key the head-end knows."""
    monkeypatch.setenv("QUINCE_EDGE_CONFIG", str(place.config))
    monkeypatch.setenv("QUINCE_EDGE_CLOCK", place.clock_text)
    monkeypatch.setenv("QUINCE_EDGE_STATE", str(place.folder / "state"))
    keep_token(place.folder / "state" / "orders", place.token)
    return run
