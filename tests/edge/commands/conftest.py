"""A gateway's commands over one simulated meter on a real socket, and a head-end that signs."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from quince.edge.commands.configuration import Configuration
from quince.edge.commands.firmware import FirmwareDoor
from quince.edge.commands.meter_work import Meters, MeterWork
from quince.edge.commands.own_key import OwnKey
from quince.edge.commands.service import Commands
from quince.edge.config import GatewayConfig, HeadendConfig, load_config
from quince.edge.errors import ReadTimeoutError
from quince.edge.outbox.store import Outbox
from quince.edge.readers.dlms import control as dlms_control
from quince.edge.readers.dlms.counters import CounterStore
from quince.edge.readers.dlms.line import DlmsLine, open_dlms
from quince.edge.readers.dlms.login import InClear, Login, login
from quince.edge.readers.dlms.reader import DlmsReader
from quince.firmware_sims.dlms.meter import Build, DlmsMeter
from quince.firmware_sims.dlms.server import serve_wrapper
from quince.firmware_sims.load import Household, Supply
from quince.protocols.dlms.security.counters import MemoryCounters
from quince.protocols.dlms.security.credentials import Gmac, Password
from quince.protocols.dlms.security.suite import Keys
from quince.protocols.gateway.commands import Command, GatewayOperation, Operation
from quince.protocols.gateway.messages import (
    CommandResult,
    Content,
    Envelope,
    Stage,
    decode_uplink,
    encode_uplink,
)
from quince.protocols.gateway.signing import sign_command
from quince.protocols.gateway.topics import GatewayAddress, Lane

NOW = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
ADDRESS = GatewayAddress(cell="north", gateway="gw-1")
LLS = Password(secret=b"12345678")
KEYS = Keys(
    encryption=bytes(range(16)),
    authentication=bytes(range(16, 32)),
    master=bytes(range(32, 48)),
)
GATEWAY_TOML = """
gateway = "gw-1"
cell = "north"
outbox = "outbox.db"
[broker]
host = "127.0.0.1"
port = 1883
[[meters]]
kind = "dlms"
id = "M1"
url = "tcp://127.0.0.1:4059"
utc_offset_min = -360
client_sap = 1
server_sap = 1
equipment_id = "E-1"
security = { kind = "none" }
"""


class TickingClock:
    """Goes on a little each time it is asked, so that every wait of a meter ends."""

    def __init__(self) -> None:
        self.at_utc = NOW

    def now_utc(self) -> datetime:
        self.at_utc += timedelta(milliseconds=20)
        return self.at_utc

    def seconds_until(self, moment_utc: datetime) -> float:
        return max(0.0, (moment_utc - self.at_utc).total_seconds())


class HeadEnd:
    """Signs commands, and numbers them."""

    def __init__(self, clock: TickingClock) -> None:
        self.key = Ed25519PrivateKey.from_private_bytes(bytes(32))
        self._clock = clock
        self._count = 0

    def command(self, operation: Operation, *, life_s: int = 600, **more: Any) -> Command:
        self._count += 1
        meter_id = "" if isinstance(operation, GatewayOperation) else "M1"
        said: dict[str, Any] = {
            "command_id": self._count.to_bytes(16),
            "address": ADDRESS,
            "meter_id": meter_id,
            "issued_utc": self._clock.at_utc,
            "not_after_utc": self._clock.at_utc + timedelta(seconds=life_s),
            **more,
        }
        return Command(operation=operation, **said)

    def sign(self, command: Command) -> bytes:
        return sign_command(command, signer="ops", key=self.key)


class Sessions:
    """One meter behind a port, as the agent offers it."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self.connect = connect
        self.asked = 0

    async def ask(
        self, meter_id: str, job: Callable[[DlmsReader], Awaitable[Any]], *, within_s: float
    ) -> Any:
        assert meter_id == "M1"
        self.asked += 1
        try:
            async with asyncio.timeout(within_s), self.connect() as reader:
                return await job(reader)
        except TimeoutError as error:
            raise ReadTimeoutError("too long") from error

    async def reread(self, meter_id: str, start_utc: datetime, end_utc: datetime) -> int:
        job = partial(_values, start_utc=start_utc, end_utc=end_utc)
        return int(await self.ask(meter_id, job, within_s=60))


async def _values(reader: DlmsReader, start_utc: datetime, end_utc: datetime) -> int:
    piece = await reader.intervals(start_utc, end_utc)
    return len(piece.series.values) - piece.series.values.count(None)


class Gateway:
    """One life of a gateway's commands over an outbox that outlives it."""

    def __init__(
        self,
        folder: Path,
        head_end: HeadEnd,
        clock: TickingClock,
        meters: Meters,
        outbox: Outbox,
        url: str | None = None,
    ) -> None:
        self.outbox = outbox
        self.config = load_config(folder / "gateway.toml")
        self.served: list[GatewayConfig] = []
        own_key = OwnKey(folder / "gateway.key")
        self.configuration = Configuration(self.config, own_key, serve=self.served.append)
        self.bundle = b"zip"
        self.stirred = asyncio.Event()
        self._head_end = head_end
        headend = None if url is None else HeadendConfig(url=url)
        door = FirmwareDoor(headend, folder)
        self.commands = Commands(
            address=ADDRESS,
            signers={"ops": head_end.key.public_key()},
            outbox=outbox,
            meter_work=MeterWork(meters, door, own_key, clock),
            configuration=self.configuration,
            diagnose=lambda: self.bundle,
            stir=self.stirred.set,
            clock=clock,
        )

    def contents(self, lane: Lane = Lane.RESULTS) -> list[Content]:
        """Return what waits in a lane, as the head-end will read it."""
        return [
            decode_uplink(
                encode_uplink(
                    Envelope(epoch=1, lane=lane, seq=1, oldest_seq=1, sent_utc=NOW), one.body
                )
            )[1]
            for one in self.outbox.pending(lane, 0, 10_000)
        ]

    def results(self, command: Command) -> list[CommandResult]:
        return [
            result
            for content in self.contents()
            for result in content.results
            if result.command_id == command.command_id
        ]

    def stages(self, command: Command) -> list[Stage]:
        return [result.stage for result in self.results(command)]

    def last(self, command: Command) -> CommandResult:
        return self.results(command)[-1]

    def document(self, command: Command) -> Any:
        return json.loads(self.last(command).body)

    async def do(self, operation: Operation, **more: Any) -> Command:
        """Take a command and wait until it ended."""
        command = self._head_end.command(operation, **more)
        self.commands.take(self._head_end.sign(command))
        await self.settle(command)
        return command

    async def settle(self, command: Command) -> None:
        async with running(self.commands):
            async with asyncio.timeout(20):
                while not (self.results(command) and self.last(command).stage.is_final):
                    self.stirred.clear()
                    await self.stirred.wait()


@asynccontextmanager
async def running(commands: Commands) -> AsyncIterator[None]:
    task = asyncio.create_task(commands.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture(autouse=True)
def _ask_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlms_control, "POLL_S", 0.001)


@pytest.fixture
def clock() -> TickingClock:
    return TickingClock()


@pytest.fixture
def head_end(clock: TickingClock) -> HeadEnd:
    return HeadEnd(clock)


@pytest.fixture
def own_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def folder(tmp_path: Path, own_key: ec.EllipticCurvePrivateKey) -> Path:
    """A gateway's folder: its configuration and its key."""
    (tmp_path / "gateway.toml").write_text(GATEWAY_TOML)
    (tmp_path / "gateway.key").write_bytes(
        own_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return tmp_path


@pytest.fixture
def outbox(folder: Path) -> Iterator[Outbox]:
    with Outbox(folder / "outbox.db", random.Random(1)) as opened:
        yield opened


@pytest.fixture
def meter(clock: TickingClock) -> DlmsMeter:
    """A meter with a switch, firmware and keys; its build can be replaced by a test's own."""
    gmac = Gmac(system_title=b"QNM\0\0\0\0\1", keys=KEYS, counters=MemoryCounters())
    return DlmsMeter(
        device_id="M1",
        household=Household(seed=1),
        supply=Supply(),
        clock=clock,
        accepts=(LLS, gmac),
        build=Build(),
    )


@pytest.fixture
async def port(meter: DlmsMeter) -> AsyncIterator[int]:
    async with await serve_wrapper(meter, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
def connector(port: int) -> Callable[[Login], Callable[[], Any]]:
    def of(how: Login) -> Callable[[], Any]:
        return lambda: open_dlms(
            DlmsLine(url=f"tcp://127.0.0.1:{port}", client_sap=1, server_sap=1),
            meter_id="M1",
            login=how,
            utc_offset_min=-360,
            rng=random.SystemRandom(),
        )

    return of


@pytest.fixture
def sessions(connector: Callable[[Login], Callable[[], Any]]) -> Sessions:
    return Sessions(connector(InClear(LLS)))


class Door:
    """The head-end's door: an HTTP/1.1 server that knows ranges, and breaks off when told to."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.break_behind: list[int] = []  # octets of the next answers' bodies
        self.knows_ranges = True
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = head.split()[1]
        asked = next(line for line in head.split("\r\n") if line.lower().startswith("range:"))
        self.asked.append(asked.partition("bytes=")[2])
        start = int(self.asked[-1].rstrip("-")) if self.knows_ranges else 0
        whole = self.files.get(path)
        status, body = (b"404 Not Found", b"") if whole is None else self._part(whole, start)
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        limit = self.break_behind.pop(0) if self.break_behind else None
        writer.write(b"HTTP/1.1 " + status + b"\r\n" + length + body[:limit])
        await writer.drain()
        writer.close()

    def _part(self, whole: bytes, start: int) -> tuple[bytes, bytes]:
        if not self.knows_ranges:
            return b"200 OK", whole
        said = b"206 Partial Content\r\nContent-Range: bytes %d-%d/%d"
        return said % (start, len(whole) - 1, len(whole)), whole[start:]


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    opened = Door()
    async with await asyncio.start_server(opened.answer, "127.0.0.1", 0) as server:
        opened.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield opened


@pytest.fixture
def counters(folder: Path) -> Iterator[CounterStore]:
    with CounterStore(folder / "outbox.counters") as opened:
        yield opened


@pytest.fixture
def ciphered(counters: CounterStore) -> Callable[[], Login]:
    """Return how a freshly started gateway logs in under the configured keys."""
    gmac = Gmac(system_title=b"QNG\0\0\0\0\1", keys=KEYS, counters=MemoryCounters())
    return lambda: login(gmac, counters, meter_id="M1")


@pytest.fixture
def start(
    folder: Path, head_end: HeadEnd, clock: TickingClock, sessions: Sessions, outbox: Outbox
) -> Callable[..., Gateway]:
    """Start a gateway, another life of it each time."""

    def started(meters: Any = None, url: str | None = None, outbox: Any = outbox) -> Gateway:
        gateway = Gateway(folder, head_end, clock, meters or sessions, outbox, url)
        gateway.commands.resume()
        return gateway

    return started


@pytest.fixture
def gateway(start: Callable[..., Gateway]) -> Gateway:
    return start()
