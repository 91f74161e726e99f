"""A whole gateway in one process, on simulated meters behind sockets, without a broker."""

import asyncio
import signal
import socket
import sqlite3
from contextlib import AsyncExitStack, closing

import pytest

from quince.edge.wiring import run
from quince.firmware_sims.dlms.meter import DlmsMeter
from quince.firmware_sims.dlms.server import serve_wrapper
from quince.firmware_sims.load import Household, Supply
from quince.model.clock import SystemClock
from quince.protocols.dlms.security.credentials import Password

HEAD = """
gateway = "gw-1"
cell = "sv-1"
outbox = "outbox.db"
backfill_days = 1
broker = {{ host = "127.0.0.1", port = {port} }}
"""
METER = """
[[meters]]
kind = "dlms"
id = "{name}"
url = "tcp://127.0.0.1:{port}"
utc_offset_min = -360
client_sap = 1
server_sap = 1
equipment_id = "{name}"
security = {{ kind = "lls", password = "12345678" }}
"""


@pytest.fixture
def nobody():
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@pytest.fixture
async def ports():
    """Two meters' ports."""
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(await serve_wrapper(meter(name), "127.0.0.1", 0))
            for name in ("M1", "M2")
        ]
        yield [server.sockets[0].getsockname()[1] for server in servers]


def meter(name):
    return DlmsMeter(
        device_id=name,
        household=Household(seed=1),
        supply=Supply(),
        clock=SystemClock(),
        accepts=(Password(secret=b"12345678"),),
    )


async def until_read(outbox, names):
    """Wait until the outbox covers something of each of the meters."""
    async with asyncio.timeout(20):
        while covered(outbox) != names:  # noqa: ASYNC110 - a file has no event for it
            await asyncio.sleep(0.05)


def covered(outbox):
    with closing(sqlite3.connect(outbox)) as database:
        tables = "select count(*) from sqlite_master where name = 'coverage'"
        if database.execute(tables).fetchone() == (0,):
            return set()
        return {name for (name,) in database.execute("select distinct meter_id from coverage")}


async def test_a_meter_written_into_the_file_is_read_without_a_restart(tmp_path, nobody, ports):
    path, outbox = tmp_path / "gateway.toml", tmp_path / "outbox.db"
    first = HEAD.format(port=nobody) + METER.format(name="M1", port=ports[0])
    path.write_text(first)
    running = asyncio.ensure_future(run(path, SystemClock()))
    await until_read(outbox, {"M1"})
    path.write_text(first + METER.format(name="M2", port=ports[1]))
    signal.raise_signal(signal.SIGHUP)
    await until_read(outbox, {"M1", "M2"})
    signal.raise_signal(signal.SIGTERM)
    await asyncio.wait([running], timeout=10)
    assert running.done()
