"""Lines by URL: real TCP, real pseudo-terminals."""

import asyncio
import os
import socket
import termios
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from quince.edge.errors import ReadTimeoutError, TransportError
from quince.edge.transports import open_transport, tcp, udp
from quince.edge.transports.address import bus_of
from quince.model.errors import InvalidValueError


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


@pytest.fixture
async def echo_url() -> AsyncIterator[str]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_octets_go_and_come_over_tcp(echo_url: str) -> None:
    line = await open_transport(echo_url)
    await line.set_line(9600)
    await line.write(b"\x7e\xa0\x0a")
    assert await line.read(5) == b"\x7e\xa0\x0a"
    await line.aclose()


async def test_a_connection_closed_by_the_meter_is_told(echo_url: str) -> None:
    line = await open_transport(echo_url)
    await line.write(b"\x01")
    await line.read(5)
    with pytest.raises(TransportError, match="closed"):
        await line.read(5)
    await line.aclose()


async def test_a_silent_connection_ends_at_its_deadline(echo_url: str) -> None:
    line = await open_transport(echo_url)
    with pytest.raises(ReadTimeoutError):
        await line.read(0.01)
    await line.aclose()


async def test_what_the_far_end_does_not_take_does_not_keep_the_line_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tcp, "WRITE_S_MAX", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line: Any = await open_transport(f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        connection = line._writer.get_extra_info("socket")
        with pytest.raises(TransportError, match="not taken"):
            await line.write(bytes(20_000_000))
        await line.aclose()
        await asyncio.sleep(0)
    assert connection.fileno() == -1


async def test_small_frames_are_sent_at_once(echo_url: str) -> None:
    line = await open_transport(echo_url)
    connection = line._writer.get_extra_info("socket")  # type: ignore[attr-defined]  # no other way to see it
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    await line.aclose()


async def test_a_reset_connection_is_a_transport_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line = await open_transport(f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        peer, _ = listener.accept()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        peer.close()
    with pytest.raises(TransportError):
        await line.read(5)
    with pytest.raises(TransportError, match="cannot send"):
        await line.write(b"\x01")
    await line.aclose()


async def test_a_refused_connection_is_a_transport_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TransportError, match=f"127.0.0.1:{port}"):
        await open_transport(f"tcp://127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("tcp://meter", "expected tcp://host:port"),
        ("tcp://:4059", "expected tcp://host:port"),
        ("tcp://meter:70000", "out of range"),
        ("tcp://[::1:4059", "IPv6"),
        ("hdlc+tcp://meter", r"expected hdlc\+tcp://host:port"),
        ("udp://meter", "expected udp://host:port"),
        ("serial:", "expected serial:/dev"),
        ("serial://dev/ttyUSB0", "expected serial:/dev"),
        ("serial:/dev/ttyUSB0?baud=9601", "baud=9601"),
        ("serial:/dev/ttyUSB0?baud=", "baud="),
        ("serial:/dev/ttyUSB0?speed=9600", "speed"),
        ("optical:", "expected optical:/dev"),
        ("meter", "expected tcp://"),
        ("", "expected tcp://"),
    ],
)
async def test_a_url_that_names_no_line_is_refused(url: str, reason: str) -> None:
    with pytest.raises(InvalidValueError, match=reason):
        await open_transport(url)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("serial:/dev/ttyUSB0", "serial:/dev/ttyUSB0?baud=300"),
        ("serial:/dev/ttyUSB0", "optical:/dev/ttyUSB0"),
        ("tcp://meter:4059", "hdlc+tcp://meter:4059"),
        ("modbus+tcp://meter:502", "tcp://meter:502"),
    ],
)
def test_what_is_one_line_is_one_bus(one: str, other: str) -> None:
    assert bus_of(one) == bus_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("serial:/dev/ttyUSB0", "serial:/dev/ttyUSB1"),
        ("tcp://meter:4059", "udp://meter:4059"),
        ("tcp://meter:4059", "tcp://meter:4060"),
        ("meter", "other"),
    ],
)
def test_what_are_two_lines_are_two_buses(one: str, other: str) -> None:
    assert bus_of(one) != bus_of(other)


async def test_hdlc_over_tcp_is_a_tcp_line(echo_url: str) -> None:
    line = await open_transport(f"hdlc+{echo_url}")
    await line.write(b"\x7e")
    assert await line.read(5) == b"\x7e"
    await line.aclose()


async def test_an_ipv6_address_stands_in_brackets() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(echo, "::1", 0)
    async with server:
        line = await open_transport(f"tcp://[::1]:{server.sockets[0].getsockname()[1]}")
        await line.write(b"\x7e")
        assert await line.read(5) == b"\x7e"
        await line.aclose()


# -- datagrams -----------------------------------------------------------------------------


class Echo(asyncio.DatagramProtocol):
    """Sends back what it hears, `times` times."""

    def __init__(self, times: int) -> None:
        self._times = times

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket: Any = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        for number in range(self._times):
            self._socket.sendto(data + bytes((number,)), addr)


@asynccontextmanager
async def _echo(times: int = 1) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    door, _ = await loop.create_datagram_endpoint(lambda: Echo(times), local_addr=("127.0.0.1", 0))
    yield f"udp://127.0.0.1:{door.get_extra_info('sockname')[1]}"
    door.close()


async def test_a_read_is_one_datagram() -> None:
    async with _echo(2) as url:
        line = await open_transport(url)
        await line.set_line(9600)
        await line.write(b"\x00\x01")
        assert [await line.read(5), await line.read(5)] == [b"\x00\x01\x00", b"\x00\x01\x01"]
        await line.aclose()


async def test_a_flood_of_datagrams_does_not_grow_us() -> None:
    async with _echo(100) as url:
        line = await open_transport(url)
        await line.write(b"\x00")
        await line.read(5)
        await asyncio.sleep(0.05)
        read = [await line.read(5) for _ in range(udp.DATAGRAMS_MAX - 1)]
        assert len(read) < 100
        with pytest.raises(ReadTimeoutError):
            [await line.read(0.01) for _ in range(100)]
        await line.aclose()


async def test_a_port_nobody_listens_on_is_a_transport_error() -> None:
    async with _echo() as url:
        pass
    line = await open_transport(url)
    await line.write(b"\x00")
    with pytest.raises(TransportError, match="refused"):
        await line.read(5)
    with pytest.raises(ReadTimeoutError):
        await line.read(0.01)
    await line.aclose()


async def test_a_closed_socket_sends_nothing() -> None:
    async with _echo() as url:
        line = await open_transport(url)
        await line.aclose()
        await line.aclose()
        with pytest.raises(TransportError, match="closed"):
            await line.write(b"\x00")


async def test_a_name_nobody_knows_is_a_transport_error() -> None:
    with pytest.raises(TransportError, match="invalid"):
        await open_transport("udp://meter.invalid:4059")


# -- serial lines --------------------------------------------------------------------------


async def test_a_serial_line_is_opened_at_its_baud(terminal: Terminal) -> None:
    line = await open_transport(f"serial:{terminal.path}?baud=300")
    assert termios.tcgetattr(terminal.master)[5] == termios.B300
    await line.aclose()


async def test_an_optical_line_has_seven_bits_and_even_parity(terminal: Terminal) -> None:
    line = await open_transport(f"optical:{terminal.path}")
    await line.write(b"/?!")
    assert os.read(terminal.master, 100) == bytes((0xAF, 0x3F, 0x21))
    os.write(terminal.master, bytes((0xAF, 0x3F, 0x20)))
    assert await line.read(5) == b"/?\x1a"
    await line.aclose()


async def test_a_serial_line_carries_eight_bits_as_they_are(terminal: Terminal) -> None:
    line = await open_transport(f"serial:{terminal.path}")
    octets = bytes(range(256))
    await line.write(octets)
    assert os.read(terminal.master, 300) == octets
    os.write(terminal.master, octets)
    assert await line.read(5) == octets
    await line.aclose()


async def test_the_far_end_sees_the_baud(terminal: Terminal) -> None:
    line = await open_transport(f"optical:{terminal.path}")
    before = termios.tcgetattr(terminal.master)[5]
    await line.set_line(9600)
    assert (before, termios.tcgetattr(terminal.master)[5]) == (termios.B300, termios.B9600)
    await line.aclose()


async def test_a_silent_line_ends_at_its_deadline(terminal: Terminal) -> None:
    line = await open_transport(f"optical:{terminal.path}")
    with pytest.raises(ReadTimeoutError):
        await line.read(0.01)
    await line.aclose()


async def test_a_line_is_held_by_one_alone(terminal: Terminal) -> None:
    line = await open_transport(f"serial:{terminal.path}")
    with pytest.raises(TransportError, match=terminal.path):
        await open_transport(f"serial:{terminal.path}")
    await line.aclose()


async def test_a_line_that_is_not_there_is_a_transport_error() -> None:
    with pytest.raises(TransportError, match="/dev/nowhere"):
        await open_transport("serial:/dev/nowhere")


async def test_a_line_whose_far_end_is_gone_is_a_transport_error() -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    line = await open_transport(f"serial:{os.ttyname(slave)}")
    os.close(slave)
    os.close(master)
    with pytest.raises(TransportError):
        await line.read(1)
    with pytest.raises(TransportError, match="cannot send"):
        await line.write(b"\x01")
    with pytest.raises(TransportError, match="cannot set"):
        await line.set_line(300)
    await line.aclose()


async def test_a_closed_line_is_a_transport_error(terminal: Terminal) -> None:
    line = await open_transport(f"serial:{terminal.path}")
    await line.aclose()
    await line.aclose()
    with pytest.raises(TransportError):
        await line.read(1)
