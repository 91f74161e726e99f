"""What a meter says unasked in the middle of a session."""

from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from quince.edge.pushes.in_session import SessionEar
from quince.edge.pushes.pusher import Pusher
from quince.model.event import EventKind, MeterEvent
from quince.protocols.dlms.apdu.notification import DataNotification, EventNotification
from quince.protocols.dlms.association.states import ServerPush
from quince.protocols.dlms.cosem.clock import MeterTime
from quince.protocols.dlms.cosem.names import LAST_GASP
from quince.protocols.dlms.encoding.axdr import NULL, octet_string
from quince.protocols.dlms.links.link import UnnumberedReceived
from quince.protocols.dlms.security.counters import MemoryCounters
from quince.protocols.dlms.security.credentials import Ciphering
from quince.protocols.dlms.security.suite import Keys

NOW = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
GASP = EventNotification(date_time=None, ref=LAST_GASP, data=octet_string(b"M1"))
KEYS = Ciphering(
    system_title=b"QNG\0\0\0\0\1",
    keys=Keys(encryption=bytes(16), authentication=bytes(16)),
    counters=MemoryCounters(),
)


class StoppedClock:
    def now_utc(self):
        return NOW

    def seconds_until(self, _moment_utc):
        return 0.0


@pytest.fixture
def events() -> list[MeterEvent]:
    return []


def ear(events, ciphering=None):
    pusher = Pusher(
        meter_id="M1",
        time=MeterTime(standard_offset_min=-360),
        ciphering=lambda: ciphering,
    )
    return SessionEar(pusher, events.append, StoppedClock())


async def test_a_last_gasp_in_a_session_is_an_event(events):
    ear(events).hear(ServerPush(notification=GASP))
    assert [(one.meter_id, one.kind, one.at_utc) for one in events] == [
        ("M1", EventKind.LAST_GASP, NOW)
    ]


async def test_a_last_gasp_of_a_ciphered_session_is_believed_as_the_session_is(events):
    ear(events, KEYS).hear(ServerPush(notification=GASP))
    assert len(events) == 1


async def test_an_unnumbered_frame_is_heard_too(events):
    ear(events).hear(UnnumberedReceived(apdu=GASP.encode()))
    assert len(events) == 1


async def test_a_plain_frame_beside_a_ciphered_session_is_not_believed(events):
    with capture_logs() as said:
        ear(events, KEYS).hear(UnnumberedReceived(apdu=GASP.encode()))
    assert events == []
    assert [one["event"] for one in said] == ["push_refused"]


async def test_what_makes_no_sense_ends_no_session(events):
    with capture_logs() as said:
        ear(events).hear(UnnumberedReceived(apdu=b"\xff"))
        ear(events).hear(ServerPush(notification=DataNotification(date_time=None, data=NULL)))
    assert events == []
    assert [one["event"] for one in said] == ["push_refused", "push_unknown"]
