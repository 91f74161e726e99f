"""What a technician asks a DLMS meter, against the simulated one."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from tests.clocks import StoppedClock

from quince.edge.errors import UnsupportedError
from quince.edge.readers.dlms.inspection import _thousandths
from quince.edge.readers.dlms.line import DlmsLine, open_dlms
from quince.edge.readers.dlms.login import InClear
from quince.edge.readers.dlms.vocabulary import class_name
from quince.firmware_sims.dlms.meter import Build, DlmsMeter
from quince.firmware_sims.dlms.server import serve_wrapper
from quince.firmware_sims.load import Household, Supply
from quince.firmware_sims.phases import Wiring
from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.dlms.cosem.register import Scale
from quince.protocols.dlms.encoding.axdr import Data
from quince.protocols.dlms.encoding.tags import Tag
from quince.protocols.dlms.security.credentials import NoSecurity, Password

NOW = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def meter():
    outages = [(NOW - 3 * HOUR, NOW - 2 * HOUR)]
    return DlmsMeter(
        device_id="M1",
        household=Household(seed=1),
        supply=Supply(outages),
        clock=StoppedClock(NOW),
        accepts=(Password(secret=b"1"), NoSecurity()),
        build=Build(wiring=Wiring(reversed_ct=frozenset({2}))),
    )


@pytest.fixture
async def door(meter):
    async with await serve_wrapper(meter, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


def session(door, authentication):
    line = DlmsLine(url=f"tcp://127.0.0.1:{door}", client_sap=1, server_sap=1)
    return open_dlms(
        line, meter_id="M1", login=InClear(authentication), utc_offset_min=-360, rng=Random(1)
    )


SECRET = Password(secret=b"1")


async def test_momentary_values_are_scaled_and_stamped_by_the_meter(door):
    async with session(door, SECRET) as reader:
        first, again = await reader.momentaries(), await reader.momentaries()
    by_name = {str(one.obis): one for one in first}
    assert by_name["1-0:32.7.0"].thousandths == 121_000
    assert by_name["1-0:32.7.0"].unit == "V"
    assert by_name["1-0:42.7.0"].thousandths > 0  # the second phase's transformer is reversed
    assert by_name["1-0:14.7.0"].at_utc == NOW
    assert first == again


async def test_events_are_those_of_the_stretch(door):
    async with session(door, SECRET) as reader:
        events = await reader.events(NOW - 4 * HOUR, NOW)
        later = await reader.events(NOW - 2 * HOUR, NOW)
    assert [(one.code, one.text) for one in events] == [(1, "power down"), (2, "power up")]
    assert [one.at_utc for one in later] == [NOW - 2 * HOUR]


async def test_the_public_client_is_shown_no_momentary_values_and_no_log(door):
    async with session(door, NoSecurity()) as reader:
        with pytest.raises(UnsupportedError, match="momentary"):
            await reader.momentaries()
        with pytest.raises(UnsupportedError, match="event log"):
            await reader.events(NOW - HOUR, NOW)


@pytest.mark.parametrize("period_s", [0, 86_401])
async def test_a_period_that_cannot_be_is_not_sent(door, period_s):
    async with session(door, SECRET) as reader:
        with pytest.raises(InvalidValueError):
            await reader.set_capture_period(period_s)
        assert await reader.capture_period_s() == 900


@pytest.mark.parametrize(
    ("data", "thousandths"),
    [(Data(Tag.INT32, -123), -12_300), (Data(Tag.FLOAT32, 1.5), 150)],
)
def test_a_value_may_be_an_integer_or_a_float(data, thousandths):
    assert _thousandths(data, Scale(scaler=-1, unit=27)) == thousandths


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_float_that_is_no_number_is_refused(number):
    with pytest.raises(CodecError):
        _thousandths(Data(Tag.FLOAT64, number), Scale(scaler=0, unit=27))


def test_a_class_without_a_name_is_told_by_its_number():
    assert (class_name(7), class_name(9999)) == ("profile", "class 9999")
