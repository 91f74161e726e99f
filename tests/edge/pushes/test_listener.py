"""Last gasps heard over real sockets, from simulated meters and from real ones' captures."""

import asyncio
import json
from contextlib import asynccontextmanager, closing, suppress
from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import example, given, settings, strategies as st
from tests.clocks import StoppedClock

from quince.edge.pushes import listener as push
from quince.edge.pushes.listener import PushListener
from quince.edge.pushes.octets import Joiner, PushStream
from quince.edge.pushes.pusher import EVENTS_MAX, Pusher
from quince.firmware_sims.dlms.meter import DlmsMeter
from quince.firmware_sims.dlms.push import Carrier, send_last_gasp, send_power_up
from quince.firmware_sims.load import Household, Supply
from quince.model.errors import CodecError, QuinceError
from quince.model.event import EventKind, MeterEvent
from quince.protocols.dlms.apdu.notification import DataNotification, EventNotification
from quince.protocols.dlms.association.general_blocks import BlockTransfer
from quince.protocols.dlms.cosem.clock import ClockQuirk, MeterTime
from quince.protocols.dlms.cosem.names import EVENT_CODE, LAST_GASP
from quince.protocols.dlms.encoding.axdr import Data, octet_string, structure
from quince.protocols.dlms.encoding.tags import Tag
from quince.protocols.dlms.links.hdlc import HdlcLink, Role
from quince.protocols.dlms.links.hdlc_frame import HdlcAddress
from quince.protocols.dlms.links.wrapper import WrapperLink
from quince.protocols.dlms.security.counters import MemoryCounters
from quince.protocols.dlms.security.credentials import Gmac, NoSecurity
from quince.protocols.dlms.security.envelopes import Form
from quince.protocols.dlms.security.protection import Protection
from quince.protocols.dlms.security.suite import Keys

NOW = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
LOCAL = MeterTime(standard_offset_min=-360)
KEYS = Keys(encryption=bytes(range(16)), authentication=bytes(range(16, 32)))
OTHER_KEYS = Keys(encryption=bytes(16), authentication=bytes(16))
OURS, THEIRS, OTHERS = b"QNG\0\0\0\0\1", b"QNM\0\0\0\0\1", b"QNM\0\0\0\0\2"


def plain(meter_id="M1"):
    return Pusher(meter_id=meter_id, time=LOCAL)


def ciphered(meter_id="M1", title=THEIRS, keys=KEYS, **more):
    own = Gmac(system_title=OURS, keys=keys, counters=MemoryCounters(), peer_title=title)
    return Pusher(meter_id=meter_id, time=LOCAL, ciphering=lambda: own, **more)


def listener(heard, pushers):
    return PushListener(
        pushers=pushers, accept=heard.append, clock=StoppedClock(NOW), rng=Random(1)
    )


@asynccontextmanager
async def listening(heard, pushers):
    async with await listener(heard, pushers).serve("127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def listening_to_datagrams(heard, pushers):
    with closing(await listener(heard, pushers).serve_udp("127.0.0.1", 0)) as door:
        yield door.get_extra_info("sockname")[1]


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


async def throw(port, *datagrams):
    loop = asyncio.get_running_loop()
    socket, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=("127.0.0.1", port)
    )
    for datagram in datagrams:
        socket.sendto(datagram)
    socket.close()


class Heard(list[MeterEvent]):
    """The events so far, and a wait for more."""

    def __init__(self):
        super().__init__()
        self._stirred = asyncio.Event()

    def append(self, event):
        super().append(event)
        self._stirred.set()

    async def until(self, count):
        async with asyncio.timeout(5):
            while len(self) < count:
                self._stirred.clear()
                await self._stirred.wait()


def meter(name="E-1", accepts=None):
    return DlmsMeter(
        device_id=name,
        household=Household(seed=1),
        supply=Supply(),
        clock=StoppedClock(NOW),
        accepts=(accepts or NoSecurity(),),
    )


def gasp(name=b"E-1", date_time=None, ref=LAST_GASP):
    return EventNotification(date_time=date_time, ref=ref, data=octet_string(name)).encode()


def wrapped(apdu):
    return WrapperLink(own_port=0x67, peer_port=0x66).send(apdu)


def sealed(apdu, *, form=Form.GENERAL_GLO, title=THEIRS, keys=KEYS, counter=1):
    own = Gmac(system_title=title, keys=keys, counters=MemoryCounters(counter), form=form)
    protection = Protection(own, rng=Random(counter))
    protection.meet(OURS)
    return protection.seal_apdu(apdu)


def pushed_list(*items):
    return DataNotification(date_time=None, data=structure(*items)).encode()


def blocks(apdu):
    return BlockTransfer(pdu_octets_max=20, window=0).send(apdu)


# -- what is heard -------------------------------------------------------------------------


async def test_a_last_gasp_becomes_an_event_at_the_meters_own_time():
    heard = Heard()
    async with listening(heard, {"E-1": plain()}) as port:
        await send_last_gasp(meter(), "127.0.0.1", port)
        await send_power_up(meter(), "127.0.0.1", port)
        await say(port)
    assert sorted(event.kind for event in heard) == [EventKind.LAST_GASP, EventKind.POWER_UP]
    assert {(event.meter_id, event.at_utc) for event in heard} == {("M1", NOW)}


@pytest.fixture(scope="session")
def captures(public_data):
    text = (public_data / "protocols/dlms/gxf_push_last_gasp.json").read_text()
    return [bytes.fromhex(capture["hex"]) for capture in json.loads(text)]


async def test_a_meter_that_came_later_is_heard_and_one_that_went_is_not():
    heard = Heard()
    changing = listener(heard, {"E-1": plain(), "E-2": plain("M2")})
    changing.replace({"E-1": plain(), "E-3": plain("M3"), "E-4": ciphered("M4")})
    async with await changing.serve("127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        for name in (b"E-2", b"E-3"):
            await say(port, wrapped(gasp(name)))
        await say(port, wrapped(sealed(gasp(b"E-4"))))
    assert {event.meter_id for event in heard} == {"M3", "M4"}


async def test_a_real_meters_last_gasp_is_heard(captures):
    heard = Heard()
    async with listening(heard, {"KA6P005039021110": plain("M7")}) as port:
        await say(port, captures[0])
    (event,) = heard
    assert (event.meter_id, event.kind) == ("M7", EventKind.LAST_GASP)
    assert event.at_utc.date().isoformat() == "2023-07-06"


async def test_a_real_meters_last_gasp_is_heard_over_udp(captures):
    heard = Heard()
    async with listening_to_datagrams(heard, {"KA6P005039021110": plain("M7")}) as port:
        await throw(port, captures[0])
        await heard.until(1)
    assert [event.kind for event in heard] == [EventKind.LAST_GASP]


async def test_a_real_meters_last_gasp_is_heard_without_its_eight_octets(captures):
    heard = Heard()
    async with listening(heard, {"KA6P005039021110": plain("M7")}) as port:
        await say(port, captures[0][8:])
    assert [event.kind for event in heard] == [EventKind.LAST_GASP]


async def test_a_push_may_come_octet_by_octet(captures):
    octets = captures[1]
    heard = Heard()
    async with listening(heard, {"KAL7005088116712": plain("M7")}) as port:
        await say(port, *(octets[i : i + 1] for i in range(len(octets))))
    assert [event.kind for event in heard] == [EventKind.POWER_UP]


async def test_a_bare_push_may_come_octet_by_octet():
    heard = Heard()
    async with listening(heard, {"E-1": plain()}) as port:
        await say(port, *(bytes((octet,)) for octet in gasp()))
    assert len(heard) == 1


async def test_a_bare_push_is_heard_before_its_sender_hangs_up():
    heard = Heard()
    async with listening(heard, {"E-1": plain()}) as port:
        _reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(gasp())
        await heard.until(1)
        writer.close()
        await writer.wait_closed()


async def test_a_push_in_a_frame_of_hdlc_is_heard():
    there = HdlcLink(
        Role.SERVER, server=HdlcAddress(upper=1, lower=17), client=HdlcAddress(upper=16)
    )
    heard = Heard()
    async with listening(heard, {"E-1": plain()}) as port:
        await say(port, there.send_unnumbered(gasp()))
    assert len(heard) == 1


@pytest.mark.parametrize("wrap", [wrapped, bytes])
async def test_a_push_in_blocks_is_put_together(wrap):
    octets = [wrap(block) for block in blocks(gasp(date_time=bytes(12)))]
    heard = Heard()
    async with listening_to_datagrams(heard, {"E-1": plain()}) as port:
        await throw(port, *octets, *octets)
        await heard.until(2)
    assert len(octets) > 1


def test_blocks_of_two_pushes_are_not_made_one():
    lost, whole = gasp(b"E-1", date_time=bytes(12)), gasp(b"E-2", date_time=bytes(12))
    joiner = Joiner()
    for block in blocks(lost)[:-1]:
        assert joiner.join(block) is None
    joined = [joiner.join(block) for block in blocks(whole)]
    assert joined[-1] == whole


async def test_blocks_over_tcp_are_put_together_too():
    heard = Heard()
    async with listening(heard, {"E-1": plain()}) as port:
        await say(port, b"".join(wrapped(block) for block in blocks(gasp(date_time=bytes(12)))))
    assert len(heard) == 1


@pytest.mark.parametrize(
    ("setup", "register", "kinds"),
    [
        ("0003190900ff", 0b01, [EventKind.LAST_GASP]),
        ("0003190900ff", 0b10, []),
        ("0001190900ff", 0b100, [EventKind.POWER_UP]),
        ("0000190900ff", 0b111, []),
    ],
)
async def test_the_alarm_register_behind_a_push_setup_is_understood(setup, register, kinds):
    apdu = pushed_list(
        octet_string(b"E-1"), octet_string(bytes.fromhex(setup)), Data(Tag.UINT32, register)
    )
    heard = Heard()
    async with listening(heard, {"E-1": plain()}) as port:
        await say(port, wrapped(apdu))
    assert [event.kind for event in heard] == kinds


@pytest.mark.parametrize(
    "stamp_and_moment",
    [
        ("07ea0502ff000500ff8000 00", datetime(2026, 5, 2, 6, 5, tzinfo=UTC)),  # no deviation
        ("07ea0502ff000500ff0168 01", NOW),  # the clock says of itself that it is invalid
        ("07b20101ff000000ff0000 00", NOW),  # a clock that was never set: 1970
        ("ffffffffffffffffffffff ff", NOW),  # no time at all
        ("08330101ff000000ff0168 00", NOW),  # 2099: ahead of all that can have happened
    ],
)
async def test_a_last_gasp_is_kept_whatever_its_stamp_is_worth(stamp_and_moment):
    stamp, at_utc = stamp_and_moment
    heard = Heard()
    async with listening(heard, {"E-1": plain()}) as port:
        await say(port, wrapped(gasp(date_time=bytes.fromhex(stamp))))
    assert [event.at_utc for event in heard] == [at_utc]


async def test_a_stamp_is_read_with_its_meters_quirks():
    bent = MeterTime(standard_offset_min=-360, quirks={ClockQuirk.DEVIATION_INVERTED})
    heard = Heard()
    async with listening(heard, {"E-1": Pusher(meter_id="M1", time=bent)}) as port:
        await say(port, wrapped(gasp(date_time=bent.write(NOW))))
    assert [event.at_utc for event in heard] == [NOW]


async def test_a_last_gasp_with_octets_behind_it_is_kept():
    heard = Heard()
    async with listening(heard, {"E-1": plain()}) as port:
        await say(port, wrapped(gasp()) + b"\xff" * 8)
    assert len(heard) == 1


# -- who is believed -----------------------------------------------------------------------


async def test_a_stranger_is_not_believed():
    heard = Heard()
    async with listening(heard, {"E-1": plain()}) as port:
        await send_last_gasp(meter("E-9"), "127.0.0.1", port)
        await say(port)
    assert heard == []


@pytest.mark.parametrize("carrier", Carrier)
async def test_a_meter_with_keys_is_believed_under_them(carrier):
    own = Gmac(system_title=THEIRS, keys=KEYS, counters=MemoryCounters())
    heard = Heard()
    doors = {Carrier.TCP: listening, Carrier.UDP: listening_to_datagrams}
    async with doors[carrier](heard, {"E-1": ciphered()}) as port:
        await send_last_gasp(meter(accepts=own), "127.0.0.1", port, carrier)
        await heard.until(1)
    assert [(event.meter_id, event.at_utc) for event in heard] == [("M1", NOW)]


@pytest.mark.parametrize("form", [Form.GENERAL_GLO, Form.SERVICE_SPECIFIC, Form.GENERAL_CIPHERING])
async def test_every_way_of_sealing_a_push_is_opened(form):
    heard = Heard()
    pushers = {"E-1": ciphered(), "E-2": ciphered("M2", OTHERS, OTHER_KEYS)}
    other = sealed(gasp(b"E-2"), form=form, title=OTHERS, keys=OTHER_KEYS)
    async with listening(heard, pushers) as port:
        await say(port, wrapped(other) + wrapped(sealed(gasp(), form=form)))
    assert [event.meter_id for event in heard] == ["M2", "M1"]


async def test_a_meter_with_keys_is_not_believed_in_clear():
    heard = Heard()
    async with listening(heard, {"E-1": ciphered()}) as port:
        await say(port, wrapped(gasp()))
    assert heard == []


async def test_a_meter_with_keys_that_pushes_in_clear_is_believed_if_that_is_known():
    heard = Heard()
    async with listening(heard, {"E-1": ciphered(believed_in_clear=True)}) as port:
        await say(port, wrapped(gasp()))
    assert len(heard) == 1


@pytest.mark.parametrize(
    "forged",
    [
        sealed(gasp(), keys=OTHER_KEYS),
        sealed(gasp(), title=OTHERS),
        sealed(gasp(), form=Form.SERVICE_SPECIFIC, keys=OTHER_KEYS),
        sealed(gasp(b"E-2")),
        sealed(b"\xc4\x01\xc1\x00\x00"),
    ],
)
async def test_what_is_sealed_by_others_or_for_others_is_not_believed(forged):
    heard = Heard()
    async with listening(heard, {"E-1": ciphered(), "E-2": plain("M2")}) as port:
        await say(port, wrapped(forged))
    assert heard == []


@pytest.mark.parametrize("form", [Form.GENERAL_GLO, Form.SERVICE_SPECIFIC])
async def test_what_was_heard_once_is_not_believed_twice(form):
    heard = Heard()
    octets = wrapped(sealed(gasp(), form=form))
    async with listening(heard, {"E-1": ciphered()}) as port:
        await say(port, octets)
        await say(port, octets)
    assert len(heard) == 1


async def test_the_keys_say_who_pushed_where_the_push_does_not():
    heard = Heard()
    async with listening(heard, {"E-1": ciphered()}) as port:
        await say(port, wrapped(sealed(gasp(b"\xff\xfe"))))
    assert [event.meter_id for event in heard] == ["M1"]


async def test_too_many_keys_are_not_tried(monkeypatch):
    monkeypatch.setattr(push, "_SENDERS_TRIED_MAX", 0)
    heard = Heard()
    async with listening(heard, {"E-1": ciphered()}) as port:
        await say(port, wrapped(sealed(gasp(), form=Form.SERVICE_SPECIFIC)))
        await say(port, wrapped(sealed(gasp(), counter=2)))
    assert len(heard) == 1


@pytest.mark.parametrize(
    "apdu",
    [
        gasp(ref=EVENT_CODE),
        pushed_list(),
        pushed_list(octet_string(b"E-1"), octet_string(b"\x01"), Data(Tag.UINT32, 5)),
        pushed_list(Data(Tag.UINT8, 1)),
        DataNotification(date_time=None, data=octet_string(b"E-1")).encode(),
    ],
)
async def test_a_push_that_says_something_else_is_no_event(apdu):
    heard = Heard()
    async with listening(heard, {"E-1": plain()}) as port:
        await say(port, wrapped(apdu))
    assert heard == []


DOORS = [
    b"",
    b"\xc2\x00",
    b"\xc2\x09\x0c",
    b"\x0f",
    b"\xdb\x08" + THEIRS,
    b"\xca",
    b"\xdd",
    b"\xe0",
]


@settings(max_examples=200)
@given(st.sampled_from(DOORS), st.binary(max_size=60))
@example(b"\xc2\x00", bytes(10))  # a stranger's well-formed word
def test_hostile_octets_are_typed_errors_or_nothing(door, octets):
    heard = Heard()
    ear = listener(heard, {"E-1": ciphered()})

    async def hear():
        with suppress(QuinceError):
            ear.take(door + octets, Joiner())

    asyncio.run(hear())
    assert heard == []


@settings(max_examples=100)
@given(st.binary(max_size=200), st.data())
def test_hostile_streams_are_typed_errors_or_apdus(octets, data):
    stream = PushStream()
    with suppress(CodecError):
        while octets:
            size = data.draw(st.integers(1, len(octets)))
            stream.receive_data(octets[:size])
            octets = octets[size:]
            assert len(list(iter(stream.next_apdu, None))) <= 200


# -- floods --------------------------------------------------------------------------------

NOISE = [
    b"\xff" * 64,
    bytes.fromhex("00010067006600021100"),
    b"\x00\x01\x00\x67\x00\x66\x20\x00" + bytes(5000),
    b"\x7e\xa0\x07" + bytes(10),
    b"\xe0",
    b"\xe0\x80\x00\x05\x00\x00",
    b"\xdb\x08",
    b"\xc0\x01\xc1\x00",
    b"",
]


@pytest.mark.parametrize("noise", NOISE)
async def test_noise_is_refused_and_the_next_meter_is_heard(noise):
    heard = Heard()
    async with listening(heard, {"E-1": plain()}) as port:
        await say(port, noise)
        await say(port, wrapped(gasp()))
    assert len(heard) == 1


async def test_datagrams_of_noise_are_dropped_alone():
    heard = Heard()
    async with listening_to_datagrams(heard, {"E-1": plain()}) as port:
        await throw(port, *NOISE, b"\x00\x01", gasp())
        await heard.until(1)


async def test_whoever_lingers_is_cut_off(monkeypatch):
    monkeypatch.setattr(push, "CONNECTION_S_MAX", 0.05)
    async with listening([], {}) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()


async def test_a_gateway_that_stops_cuts_off_whoever_is_speaking_without_a_complaint():
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, what: complaints.append(what))
    before = asyncio.all_tasks()
    heard = Heard()
    async with listening(heard, {"E-1": plain()}) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(wrapped(gasp()))
        await heard.until(1)
        (handler,) = asyncio.all_tasks() - before
        handler.cancel()
        assert await reader.read() == b""
        writer.close()
    assert complaints == []


async def test_more_than_a_street_at_once_is_refused_at_the_door(monkeypatch):
    monkeypatch.setattr(push, "CONNECTIONS_MAX", 0)
    heard = Heard()
    async with listening(heard, {"E-1": plain()}) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()
    assert heard == []


async def test_a_meter_that_never_stops_is_heard_a_few_times():
    heard = Heard()
    async with listening(heard, {"E-1": plain(), "E-2": plain("M2")}) as port:
        await say(port, *(wrapped(gasp()) for _ in range(40)))
        await say(port, wrapped(gasp(b"E-2")))
    assert [event.meter_id for event in heard] == ["M1"] * EVENTS_MAX + ["M2"]


async def test_one_connection_does_not_grow_us():
    heard = Heard()
    endless = wrapped(gasp(b"E-9")) * 200
    async with listening(heard, {"E-1": plain()}) as port:
        await say(port, endless + wrapped(gasp()))
    assert heard == []


async def test_blocks_without_end_do_not_grow_us():
    heard = Heard()
    endless = BlockTransfer(pdu_octets_max=1000, window=0).send(gasp(bytes(6000)))
    async with listening_to_datagrams(heard, {"E-1": plain()}) as port:
        await throw(port, *endless, gasp())
        await heard.until(1)


async def test_a_flood_of_datagrams_is_not_even_looked_at(monkeypatch):
    monkeypatch.setattr(push, "DATAGRAMS_MAX", 2)
    monkeypatch.setattr(push, "DATAGRAMS_PER_S_MAX", 0.0)
    heard = Heard()
    async with listening_to_datagrams(heard, {"E-1": plain()}) as port:
        await throw(port, gasp(), gasp(), gasp(), gasp())
        await heard.until(2)
        await asyncio.sleep(0.02)
    assert len(heard) == 2


async def test_blocks_of_many_peers_are_not_all_kept(monkeypatch):
    monkeypatch.setattr(push, "_JOINERS_MAX", 1)
    first, *rest = blocks(gasp(date_time=bytes(12)))
    heard = Heard()
    async with listening_to_datagrams(heard, {"E-1": plain()}) as port:
        loop = asyncio.get_running_loop()
        slow, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=("127.0.0.1", port)
        )
        slow.sendto(first)
        await throw(port, gasp())
        await heard.until(1)
        slow.sendto(rest[0])
        await throw(port, gasp())
        await heard.until(2)
        slow.close()
    assert len(heard) == 2
