from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quince.model.obis import Obis
from quince.protocols.dlms.apdu.reference import AccessResult, Ref
from quince.protocols.dlms.association.session import Closed
from quince.protocols.dlms.association.states import (
    Reply,
)
from quince.protocols.dlms.cosem.clock import MeterTime
from quince.protocols.dlms.cosem.names import ACTIVE_IMPORT
from quince.protocols.dlms.cosem.profile import PROFILE_BUFFER
from quince.protocols.dlms.cosem.selection import Range, range_access
from quince.protocols.dlms.encoding.axdr import NULL, Data, array, octet_string, structure
from quince.protocols.dlms.encoding.date_time import encode_date_time
from quince.protocols.dlms.encoding.tags import Tag
from quince.protocols.dlms.errors import (
    AccessRefusedError,
    AuthenticationError,
)
from quince.protocols.dlms.links.wrapper import WrapperLink
from quince.protocols.dlms.security.envelopes import decode_envelope
from quince.protocols.dlms.security.suite import Keys

LINKS = ["wrapper", "hdlc-128", "hdlc-1024"]
SECURITIES = ["none", "password", "gmac"]
KEYS = Keys(encryption=bytes(range(16)), authentication=bytes(range(0xD0, 0xE0)))
OTHER_KEYS = Keys(encryption=bytes(16), authentication=bytes(16))
REGISTER = ACTIVE_IMPORT
VALUE = Data(Tag.UINT32, 123_456)
CLIENT_TITLE, METER_TITLE = b"CLI\x00\x00\x00\x00\x01", b"MTR\x00\x00\x00\x00\x01"
START = datetime(2025, 3, 3, 6, 0, tzinfo=UTC)


def _two_days() -> Data:
    stamps = (START + row * timedelta(minutes=15) for row in range(192))
    return array(
        structure(octet_string(encode_date_time(stamp, utc_offset_min=-360)), VALUE, VALUE)
        for stamp in stamps
    )


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("security", SECURITIES)
def test_two_days_of_a_profile_cross_every_link_and_security(
    line: Callable[..., Any], link: str, security: str
) -> None:
    meter = line(link, security)
    meter.shelf.attributes[PROFILE_BUFFER] = _two_days()
    selection = Range(from_utc=START, to_utc=START + timedelta(days=2))
    access = range_access(selection, MeterTime(standard_offset_min=-360))
    meter.associate()
    assert meter.get(PROFILE_BUFFER, access).require() == _two_days()
    assert meter.shelf.selections == [access]


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("security", SECURITIES)
def test_reading_writing_calling_and_leaving_work_everywhere(
    line: Callable[..., Any], link: str, security: str
) -> None:
    meter = line(link, security)
    meter.associate()
    meter.session.set(REGISTER, VALUE)
    assert meter.until(Reply) == Reply(result=AccessResult.SUCCESS)
    assert meter.get(REGISTER).require() == VALUE
    meter.session.action(REGISTER, octet_string(bytes(200)))
    assert meter.until(Reply).require() == VALUE
    meter.session.action(Ref(70, Obis(0, 0, 96, 3, 10), 1))
    assert meter.until(Reply).require() == NULL
    meter.session.stop()
    assert meter.until(Closed) == Closed()


def test_nothing_readable_crosses_a_ciphered_line(line: Callable[..., Any]) -> None:
    meter = line("wrapper", "gmac")
    meter.associate()
    meter.session.set(REGISTER, octet_string(b"a secret value"))
    meter.until(Reply)
    assert meter.get(REGISTER).require() == octet_string(b"a secret value")
    assert b"secret" not in b"".join(meter.sent + meter.answered)


def test_no_counter_is_used_twice_in_either_direction(line: Callable[..., Any]) -> None:
    meter = line("wrapper", "gmac")
    meter.associate()
    meter.get(REGISTER)
    for octets in (meter.sent, meter.answered):
        frames = WrapperLink().receive(b"".join(octets))[1:]
        envelopes = [decode_envelope(frame.apdu) for frame in frames]  # type: ignore[union-attr] # a wrapper has APDUs alone
        counters = [int.from_bytes(one.sealed[1:5], "big") for one in envelopes if one]
        # 1 is the initiate's, 2 the proof's.
        assert counters == [3, 4]


def test_a_refused_object_is_a_reply_and_the_session_goes_on(line: Callable[..., Any]) -> None:
    meter = line("wrapper", "gmac")
    meter.associate()
    refused = meter.get(REGISTER)
    assert refused == Reply(result=AccessResult.OBJECT_UNDEFINED)
    with pytest.raises(AccessRefusedError):
        refused.require()
    assert meter.get(REGISTER) == refused


def test_other_keys_are_refused_by_the_meter(line: Callable[..., Any]) -> None:
    with pytest.raises(AuthenticationError, match="AUTHENTICATION_FAILED"):
        line("wrapper", "gmac", their_keys=OTHER_KEYS).associate()
