"""What only a serial line does: seven bits or eight, an echo or none, at any time."""

import os
import tty
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import serial

from quince.edge.errors import ReadTimeoutError, TransportError
from quince.edge.transports import serial as serial_line
from quince.edge.transports.serial import SerialTransport


@dataclass(frozen=True)
class Terminal:
    master: int
    path: str


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    master, slave = os.openpty()
    tty.setraw(slave)
    yield Terminal(master, os.ttyname(slave))
    os.close(slave)
    os.close(master)


async def test_seven_bits_become_eight_and_seven_again(terminal: Terminal) -> None:
    line = SerialTransport.open(terminal.path, baud=300, seven_bits=True)
    await line.set_line(9600, seven_bits=False)
    await line.write(b"/?!")
    assert os.read(terminal.master, 9) == b"/?!"
    await line.set_line(300, seven_bits=True)
    await line.write(b"/?!")
    assert os.read(terminal.master, 9) == bytes((0xAF, 0x3F, 0x21))
    await line.aclose()


async def test_a_switch_of_baud_alone_leaves_the_bits(terminal: Terminal) -> None:
    line = SerialTransport.open(terminal.path, baud=300, seven_bits=True)
    await line.set_line(9600)
    os.write(terminal.master, bytes((0xAF,)))
    assert await line.read(5) == b"/"
    await line.aclose()


async def test_as_much_as_was_written_is_echo_and_the_rest_is_read(terminal: Terminal) -> None:
    line = SerialTransport.open(terminal.path, baud=9600, seven_bits=False)
    await line.set_line(9600, echoes=True)
    await line.write(b"ask")
    os.write(terminal.master, b"ask")
    with pytest.raises(ReadTimeoutError):
        await line.read(0.05)
    os.write(terminal.master, b"answer")
    assert await line.read(5) == b"answer"
    await line.aclose()


async def test_an_echo_and_its_answer_may_come_at_once(terminal: Terminal) -> None:
    line = SerialTransport.open(terminal.path, baud=9600, seven_bits=False)
    await line.set_line(9600, echoes=True)
    await line.write(b"ask")
    os.write(terminal.master, b"askanswer")
    assert await line.read(5) == b"answer"
    await line.aclose()


async def test_a_line_told_that_it_echoes_no_more_forgets_what_was_to_come(
    terminal: Terminal,
) -> None:
    line = SerialTransport.open(terminal.path, baud=9600, seven_bits=False)
    await line.set_line(9600, echoes=True)
    await line.write(b"ask")
    await line.set_line(9600, echoes=False)
    os.write(terminal.master, b"answer")
    assert await line.read(5) == b"answer"
    await line.aclose()


async def test_a_baud_that_no_port_has_is_a_transport_error(terminal: Terminal) -> None:
    line = SerialTransport.open(terminal.path, baud=9600, seven_bits=False)
    with pytest.raises(TransportError, match="cannot set"):
        await line.set_line(-1)
    await line.aclose()


class StuckPort(serial.Serial):
    """Takes what it is given, and never sends it: an adapter that hangs."""

    out_waiting = 1

    def flush(self) -> None:
        raise AssertionError("waits for ever, and every other line with it")


async def test_a_port_that_does_not_send_stops_no_other_line(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial_line, "WRITE_S_MAX", 0.05)
    port = StuckPort(terminal.path, 9600, timeout=0)
    line = SerialTransport(port, seven_bits=False)
    with pytest.raises(TransportError, match="not taken"):
        await line.write(b"ask")
    await line.aclose()
