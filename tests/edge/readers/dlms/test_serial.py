"""A DLMS meter on a serial line that keeps its baud."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from tests.clocks import StoppedClock

from quince.edge.errors import ReadTimeoutError
from quince.edge.readers.dlms import dialogue as dlms_dialogue
from quince.edge.readers.dlms.line import DlmsLine, open_dlms
from quince.edge.readers.dlms.login import InClear
from quince.firmware_sims.dlms.meter import DlmsMeter
from quince.firmware_sims.dlms.serial_door import serve_serial
from quince.firmware_sims.load import Household, Supply
from quince.model.interval import STEP
from quince.protocols.dlms.security.credentials import Password

NOW = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)
START = datetime(2026, 5, 2, 4, 0, tzinfo=UTC)
HOUSEHOLD = Household(seed=1)
PASSWORD = Password(secret=b"12345678")


METER = DlmsMeter(
    device_id="M1",
    household=HOUSEHOLD,
    supply=Supply(),
    clock=StoppedClock(NOW),
    accepts=(PASSWORD,),
)


def session_at(url):
    line = DlmsLine(url=url, client_sap=1, server_sap=1)
    rng, who = random.SystemRandom(), InClear(PASSWORD)
    return open_dlms(line, meter_id="M1", login=who, utc_offset_min=-360, rng=rng)


async def test_a_meter_on_a_serial_line_is_read():
    async with (
        serve_serial(METER, None, 19_200) as path,
        session_at(f"serial:{path}?baud=19200") as reader,
    ):
        piece = await reader.intervals(START, START + timedelta(hours=1))
    assert list(piece.series.values) == [HOUSEHOLD.interval_wh(START + i * STEP) for i in range(4)]


async def test_at_another_baud_nobody_answers(monkeypatch):
    monkeypatch.setattr(dlms_dialogue, "ANSWER_S_MAX", 0.1)
    async with serve_serial(METER, None, 19_200) as path:
        with pytest.raises(ReadTimeoutError):
            async with session_at(f"serial:{path}?baud=9600"):
                pass
