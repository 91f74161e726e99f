"""Last gasps heard over real sockets, from simulated meters and from real ones' captures."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from quince.edge.readers import push
from quince.edge.readers.push import Pusher, PushListener
from quince.firmware_sims.dlms.meter import DlmsMeter
from quince.firmware_sims.dlms.push import send_last_gasp, send_power_up
from quince.firmware_sims.load import Household, Supply
from quince.model.event import EventKind, MeterEvent
from quince.protocols.dlms.apdu.services import EventNotification
from quince.protocols.dlms.cosem import objects as cosem
from quince.protocols.dlms.encoding.axdr import octet_string
from quince.protocols.dlms.links.wrapper import WrapperLink

NOW = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)


class StoppedClock:
    def now_utc(self):
        return NOW

    def seconds_until(self, moment_utc):
        return (moment_utc - NOW).total_seconds()


@asynccontextmanager
async def listening(heard, **equipment):
    pushers = {
        name: Pusher(meter_id=meter_id, utc_offset_min=-360) for name, meter_id in equipment.items()
    }
    listener = PushListener(pushers=pushers, accept=heard.append, clock=StoppedClock())
    async with await listener.serve("127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def say(port, *chunks):
    """Send octets in chunks, and wait until the listener has hung up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for chunk in chunks:
        writer.write(chunk)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
    await reader.read()
    writer.close()


def meter(name="E-1"):
    return DlmsMeter(
        device_id=name, household=Household(seed=1), supply=Supply(), clock=StoppedClock()
    )


async def test_a_last_gasp_becomes_an_event_at_the_meters_own_time():
    heard: list[MeterEvent] = []
    async with listening(heard, **{"E-1": "M1"}) as port:
        await send_last_gasp(meter(), "127.0.0.1", port)
        await send_power_up(meter(), "127.0.0.1", port)
        await say(port)
    assert sorted(event.kind for event in heard) == [EventKind.LAST_GASP, EventKind.POWER_UP]
    assert {(event.meter_id, event.at_utc) for event in heard} == {("M1", NOW)}


async def test_a_real_meters_last_gasp_is_heard(public_data):
    captures = json.loads((public_data / "protocols/dlms/gxf_push_last_gasp.json").read_text())
    heard: list[MeterEvent] = []
    async with listening(heard, KA6P005039021110="M7") as port:
        await say(port, bytes.fromhex(captures[0]["hex"]))
    (event,) = heard
    assert (event.meter_id, event.kind) == ("M7", EventKind.LAST_GASP)
    assert event.at_utc.date().isoformat() == "2023-07-06"


async def test_a_push_may_come_octet_by_octet(public_data):
    captures = json.loads((public_data / "protocols/dlms/gxf_push_last_gasp.json").read_text())
    octets = bytes.fromhex(captures[1]["hex"])
    heard: list[MeterEvent] = []
    async with listening(heard, KAL7005088116712="M7") as port:
        await say(port, *(octets[i : i + 1] for i in range(len(octets))))
    assert [event.kind for event in heard] == [EventKind.POWER_UP]


async def test_a_stranger_is_not_believed():
    heard: list[MeterEvent] = []
    async with listening(heard, **{"E-1": "M1"}) as port:
        await send_last_gasp(meter("E-9"), "127.0.0.1", port)
        await say(port)
    assert heard == []


async def test_noise_is_refused_and_the_next_meter_is_heard():
    heard: list[MeterEvent] = []
    async with listening(heard, **{"E-1": "M1"}) as port:
        await say(port, b"\xff" * 64)
        await say(port, bytes.fromhex("00010067006600021100"))
        await say(port, b"\x00\x01\x00\x67\x00\x66\x20\x00" + bytes(5000))
        await send_last_gasp(meter(), "127.0.0.1", port)
        await say(port)
    assert [event.kind for event in heard] == [EventKind.LAST_GASP]


async def test_whoever_lingers_is_cut_off(monkeypatch):
    monkeypatch.setattr(push, "CONNECTION_S_MAX", 0.05)
    async with listening([]) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()


async def test_more_than_a_street_at_once_is_refused_at_the_door(monkeypatch):
    monkeypatch.setattr(push, "CONNECTIONS_MAX", 0)
    heard: list[MeterEvent] = []
    async with listening(heard, **{"E-1": "M1"}) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()
    assert heard == []


@pytest.mark.parametrize(
    ("stamp", "at_utc"),
    [
        ("07ea0502ff000500ff8000 00", datetime(2026, 5, 2, 6, 5, tzinfo=UTC)),  # deviation left out
        ("07ea0502ff000500ff0168 01", NOW),  # the clock says of itself that it is invalid
        ("07b20101ff000000ff0000 00", NOW),  # a clock that was never set: 1970
        ("ffffffffffffffffffffff ff", NOW),  # no time at all
    ],
)
async def test_a_last_gasp_is_kept_whatever_its_stamp_is_worth(stamp, at_utc):
    notification = EventNotification(
        date_time=bytes.fromhex(stamp), ref=cosem.LAST_GASP, data=octet_string(b"E-1")
    )
    heard: list[MeterEvent] = []
    async with listening(heard, **{"E-1": "M1"}) as port:
        link = WrapperLink(own_port=0x67, peer_port=0x66)
        await say(port, link.send(notification.encode()))
    assert [event.at_utc for event in heard] == [at_utc]


async def test_a_last_gasp_with_octets_behind_it_is_kept():
    notification = EventNotification(date_time=None, ref=cosem.LAST_GASP, data=octet_string(b"E-1"))
    heard: list[MeterEvent] = []
    async with listening(heard, **{"E-1": "M1"}) as port:
        link = WrapperLink(own_port=0x67, peer_port=0x66)
        await say(port, link.send(notification.encode()) + b"\xff" * 8)
    assert len(heard) == 1
