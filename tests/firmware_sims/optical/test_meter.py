"""The simulated optical meter on a real pseudo-terminal, spoken to by a bare serial line."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.clocks import StoppedClock

from quince.edge.errors import ReadTimeoutError
from quince.edge.transports import Transport, open_transport
from quince.firmware_sims.load import Household, Supply
from quince.firmware_sims.optical.memory import Memory
from quince.firmware_sims.optical.meter import OpticalMeter
from quince.protocols.optical.iec62056_21.messages import Command, DataBlock

NOW = datetime(2026, 5, 1, 18, 7, tzinfo=UTC)
NOTHING = "P.01(02505010015;02505020000)"  # a year ago
IDENTIFICATION = b"/QUi5SIM-OPTICAL\r\n"


class BrokenClock(StoppedClock):
    """It breaks at the first look."""

    def now_utc(self) -> datetime:
        raise ZeroDivisionError


def memory(supply: Supply) -> Memory:
    return Memory(
        household=Household(seed=7), supply=supply, serial="12345678", utc_offset_min=-360
    )


def meter(supply: Supply) -> OpticalMeter:
    return OpticalMeter(memory(supply), StoppedClock(NOW), password="secret")


@pytest.fixture
async def line() -> AsyncIterator[Transport]:
    async with meter(Supply()).serve() as path:
        transport = await open_transport(f"optical:{path}")
        yield transport
        await transport.aclose()


async def read_to(line: Transport, end: bytes) -> bytes:
    heard = b""
    while not heard.endswith(end):
        heard += await line.read(3)
    return heard


async def command(line: Transport, message: Command, end: bytes) -> bytes:
    await line.write(bytes(message))
    return await read_to(line, end)


async def enter(line: Transport) -> None:
    await line.write(b"/?12345678!\r\n")
    await read_to(line, IDENTIFICATION)
    await line.write(b"\x06051\r\n")
    await line.set_line(9600)
    await read_to(line, bytes(Command(name="P0", data="(12345678)")))


async def test_the_meter_identifies_itself_at_300_baud(line: Transport) -> None:
    await line.write(b"/?!\r\n")
    assert await read_to(line, b"\r\n") == IDENTIFICATION


async def test_the_wrong_baud_gets_no_answer_and_the_right_one_does(line: Transport) -> None:
    await line.set_line(9600)
    await line.write(b"/?!\r\n")
    with pytest.raises(ReadTimeoutError):
        await line.read(0.5)
    await line.set_line(300)
    await line.write(b"/?!\r\n")
    assert await read_to(line, b"\r\n") == IDENTIFICATION


async def test_a_client_that_does_not_follow_to_9600_hears_nothing(line: Transport) -> None:
    await line.write(b"/?!\r\n")
    await read_to(line, IDENTIFICATION)
    await line.write(b"\x06050\r\n")
    with pytest.raises(ReadTimeoutError):
        await line.read(0.5)


async def test_after_silence_the_meter_listens_at_300_baud_again(line: Transport) -> None:
    await line.write(b"/?!\r\n")
    await read_to(line, IDENTIFICATION)
    await line.write(b"\x06050\r\n")
    with pytest.raises(ReadTimeoutError):
        await line.read(2.5)
    await line.write(b"/?!\r\n")
    assert await read_to(line, b"\r\n") == IDENTIFICATION


async def test_a_wrong_password_ends_the_session_at_300_baud(line: Transport) -> None:
    await enter(line)
    refusal = bytes(Command(name="B0"))
    assert await command(line, Command(name="P1", data="(guess)"), refusal) == refusal
    await line.set_line(300)
    await line.write(b"/?!\r\n")
    assert await read_to(line, b"\r\n") == IDENTIFICATION


@pytest.mark.parametrize(
    ("data", "answer"),
    [("9.9.9()", "(ERROR)"), ("P.01(;)", "(ERROR)"), (NOTHING, "P.01(ERROR)")],
)
async def test_what_the_meter_does_not_know_is_an_error(
    line: Transport, data: str, answer: str
) -> None:
    await enter(line)
    await command(line, Command(name="P1", data="(secret)"), b"\x06")
    expected = bytes(DataBlock(text=answer))
    assert await command(line, Command(name="R5", data=data), expected) == expected


async def test_what_breaks_the_meter_is_not_hidden() -> None:
    broken = OpticalMeter(memory(Supply()), BrokenClock(NOW), password="")
    with pytest.raises(ZeroDivisionError):
        await request_once(broken)


async def request_once(meter: OpticalMeter) -> None:
    async with meter.serve() as path:
        line = await open_transport(f"optical:{path}")
        await line.write(b"/?!\r\n")
        await asyncio.sleep(0.3)
        await line.aclose()


async def test_without_mains_the_meter_is_silent() -> None:
    outage = (datetime(2026, 5, 1, 18, 0, tzinfo=UTC), datetime(2026, 5, 1, 19, 0, tzinfo=UTC))
    async with meter(Supply([outage])).serve() as path:
        line = await open_transport(f"optical:{path}")
        await line.write(b"/?!\r\n")
        with pytest.raises(ReadTimeoutError):
            await line.read(0.5)
        await line.aclose()


async def test_the_line_has_a_name_of_its_own_while_it_is_served(tmp_path: Path) -> None:
    link = tmp_path / "meter"
    link.symlink_to("/nowhere")
    async with meter(Supply()).serve(link) as path:
        assert path == link
        assert link.resolve().is_char_device()
    assert not link.is_symlink()
