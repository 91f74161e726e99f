"""Mode E: a DLMS meter behind an optical head, signed on to and handed over to HDLC."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.clocks import StoppedClock

from quince.edge.errors import ReadTimeoutError, UnsupportedError
from quince.edge.readers.dlms.line import DlmsLine, open_dlms
from quince.edge.readers.dlms.login import InClear
from quince.edge.readers.dlms.reader import DlmsReader
from quince.edge.readers.optical import session as optical_session
from quince.edge.readers.optical.session import Session
from quince.firmware_sims.dlms.meter import DlmsMeter
from quince.firmware_sims.lines.faults import Faults
from quince.firmware_sims.load import Household, Supply
from quince.firmware_sims.optical.memory import Memory
from quince.firmware_sims.optical.meter import OpticalMeter
from quince.model.errors import RemoteProtocolError
from quince.protocols.dlms.security.credentials import Password
from quince.protocols.optical.iec62056_21.messages import (
    DataBlock,
    Identification,
    Message,
    Mode,
    OptionSelect,
)

NOW = datetime(2026, 5, 2, 12, 7, 3, tzinfo=UTC)
HOUSEHOLD = Household(seed=7)
PASSWORD = Password(secret=b"12345678")
METER = Identification(maker="QUi", baud_character="5", name="\\2SIM")
CONSENT = OptionSelect(baud_character="5", mode=Mode.HDLC)


class Script:
    """A meter that gives its answers in turn, one after each thing said to it, then is silent."""

    def __init__(self, *answers: Message | bytes) -> None:
        self.answers = [bytes(answer) for answer in answers]
        self.heard: list[bytes] = []
        self.pending = b""
        self.lines: list[tuple[int, bool | None, bool | None]] = []

    async def read(self, deadline_s: float) -> bytes:
        if not self.pending:
            raise ReadTimeoutError(f"nothing in {deadline_s} s")
        pending, self.pending = self.pending, b""
        return pending

    async def write(self, data: bytes) -> None:
        self.heard.append(data)
        self.pending += self.answers.pop(0) if self.answers else b""

    async def set_line(
        self, baud: int, *, seven_bits: bool | None = None, echoes: bool | None = None
    ) -> None:
        self.lines.append((baud, seven_bits, echoes))

    async def aclose(self) -> None:
        self.pending = b""


def meter() -> OpticalMeter:
    supply, clock = Supply(), StoppedClock(NOW)
    memory = Memory(household=HOUSEHOLD, supply=supply, serial="12345678", utc_offset_min=-360)
    dlms = DlmsMeter(
        device_id="QN-1", household=HOUSEHOLD, supply=supply, clock=clock, accepts=(PASSWORD,)
    )
    return OpticalMeter(memory, clock, password="secret", dlms=dlms)


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[DlmsReader]:
    line = DlmsLine(url=f"optical:{path}", client_sap=1, server_sap=1)
    async with open_dlms(
        line,
        meter_id="m-1",
        login=InClear(PASSWORD),
        utc_offset_min=-360,
        rng=random.Random(1),
    ) as reader:
        yield reader


async def test_a_dlms_meter_is_read_through_its_optical_head() -> None:
    async with meter().serve() as path, opened(path) as reader:
        (reading, *_) = await reader.registers()
        assert reading.value == HOUSEHOLD.register_wh(NOW)


async def test_a_dlms_meter_is_read_through_a_head_that_echoes() -> None:
    async with meter().serve(faults=Faults(echoes=True)) as path, opened(path) as reader:
        assert await reader.clock() == NOW


async def test_the_line_ends_at_the_offered_baud_in_eight_bits() -> None:
    script = Script(METER, CONSENT)
    assert await Session(script, "12345678").hand_over() == 9600
    assert script.heard == [b"/?12345678!\r\n", b"\x06252\r\n"]
    assert script.lines == [(300, True, False), (9600, None, None), (9600, False, False)]


@pytest.mark.parametrize("answer", [b"", b"\x06\x1a\x1a"])
async def test_a_meter_that_confirms_nothing_is_taken_at_its_word(answer: bytes) -> None:
    script = Script(METER, answer)
    assert await Session(script, "").hand_over() == 9600


async def test_a_meter_that_gives_its_read_out_instead_is_refused() -> None:
    script = Script(METER, DataBlock(text="1.8.0(1*kWh)\r\n!\r\n"))
    with pytest.raises(RemoteProtocolError, match="DataBlock"):
        await Session(script, "").hand_over()


async def test_a_meter_that_talks_on_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optical_session, "_CONSENT_S_MAX", 0.05)

    class Talkative(Script):
        async def read(self, deadline_s: float) -> bytes:
            await asyncio.sleep(0.001)
            return await super().read(deadline_s) if self.pending else b"\x021.8.0(1"

    with pytest.raises(RemoteProtocolError, match="talks on"):
        await Session(Talkative(METER), "").hand_over()


async def test_a_mode_a_meter_speaks_no_hdlc() -> None:
    old = Identification(maker="QUi", baud_character="X", name="")
    with pytest.raises(UnsupportedError, match="mode A"):
        await Session(Script(old), "").hand_over()
