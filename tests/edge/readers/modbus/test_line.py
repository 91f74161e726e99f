"""Every line a Modbus meter may be on, and what goes wrong there: real sockets, a real terminal."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from pymodbus.framer import FramerRTU
from pymodbus.pdu import ExceptionResponse, ModbusPDU
from pymodbus.pdu.mei_message import ReadDeviceInformationResponse
from pymodbus.pdu.register_message import ReadHoldingRegistersResponse

from quince.edge.errors import ReadTimeoutError, TransportError
from quince.edge.profiles.catalogue import load_profile
from quince.edge.readers.modbus import line as modbus_line
from quince.edge.readers.modbus.line import ModbusLine, SerialSettings, open_port
from quince.edge.readers.modbus.port import AddressRefusedError, PymodbusPort
from quince.firmware_sims.load import Household, Supply
from quince.firmware_sims.modbus.config import RtuConfig, TcpConfig, serve_line
from quince.firmware_sims.modbus.faults import Faults
from quince.firmware_sims.modbus.meter import ModbusMeter
from quince.firmware_sims.modbus.serving import serve_rtu, serve_rtu_tcp, serve_tcp
from quince.model.clock import SystemClock
from quince.model.errors import InvalidValueError, RemoteProtocolError
from quince.protocols.modbus.points import Table

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

HERE = ("127.0.0.1", 0)
PROFILE = load_profile("carlo_gavazzi_em24")


def meter(device_id: int = 7) -> ModbusMeter:
    return ModbusMeter(
        Household(seed=7), Supply(), SystemClock(), profile=PROFILE, device_id=device_id
    )


async def code(url: str, device_id: int = 7) -> int:
    """Read the meter's identification code."""
    async with open_port(ModbusLine(url=url, device_id=device_id), 0.0) as port:
        (word,) = await port.read(Table.HOLDING, 11, 1)
        return word


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a fifth of a second for an answer."""
    monkeypatch.setattr(modbus_line, "REPLY_S_MAX", 0.2)


@pytest.mark.parametrize(("link", "scheme"), [("tcp", "tcp"), ("rtu+tcp", "rtu+tcp")])
async def test_a_meter_is_read_over_tcp(link: Any, scheme: str) -> None:
    async with serve_line(meter(), TcpConfig(kind=link), HERE, Faults()) as port:
        assert await code(f"modbus+{scheme}://127.0.0.1:{port}") == 45


async def test_a_meter_is_read_over_a_serial_line(tmp_path: Path) -> None:
    link = RtuConfig(kind="rtu", line=tmp_path / "meter", baud=19_200)
    async with serve_line(meter(), link, HERE, Faults()):
        assert await code(f"modbus+rtu:{tmp_path}/meter?baud=19200") == 45


async def test_meters_share_a_wire() -> None:
    async with serve_rtu([meter(1), meter(2)], None, baud=19_200) as path:
        assert await code(f"modbus+rtu:{path}?baud=19200", device_id=1) == 45
        assert await code(f"modbus+rtu:{path}?baud=19200", device_id=2) == 45


@pytest.mark.usefixtures("impatient")
async def test_at_another_baud_nobody_answers() -> None:
    async with serve_rtu([meter()], None, baud=19_200) as path:
        with pytest.raises(ReadTimeoutError, match=r"holding 11\+1: no answer to 2 requests"):
            await code(f"modbus+rtu:{path}?baud=38400")


@pytest.mark.usefixtures("impatient")
async def test_on_a_wire_nobody_answers_for_a_meter_that_is_not_there() -> None:
    async with serve_rtu_tcp([meter()], *HERE) as port:
        with pytest.raises(ReadTimeoutError):
            await code(f"modbus+rtu+tcp://127.0.0.1:{port}", device_id=8)


async def test_a_terminal_that_knows_no_parity_cannot_be_opened() -> None:
    async with serve_rtu([meter()], None, baud=9600) as path:
        with pytest.raises(TransportError, match="no connection"):
            await code(f"modbus+rtu:{path}?parity=E")


async def test_a_terminal_that_is_not_there_is_named() -> None:
    with pytest.raises(TransportError, match="/dev/nowhere"):
        await code("modbus+rtu:/dev/nowhere")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("noise", [b"\0", b"\0\0", b"\xff\x03", b"\x07\x03\x02", b"\x07\x2b\x0e"])
async def test_noise_before_an_answer_costs_one_request(noise: bytes) -> None:
    faults = Faults(noise=noise, noisy_answers=1)
    async with serve_rtu([meter()], None, baud=19_200, faults=faults) as path:
        assert await code(f"modbus+rtu:{path}?baud=19200") == 45
    assert faults.noisy_answers == 0


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("faults", [Faults(silent=True), Faults(answers_as=8)])
async def test_silence_and_strangers_are_no_answer(faults: Faults) -> None:
    async with serve_tcp([meter()], *HERE, faults=faults) as port:
        with pytest.raises(ReadTimeoutError):
            await code(f"modbus+tcp://127.0.0.1:{port}")


async def test_nobody_there_is_a_transport_error() -> None:
    with socket.create_server(HERE) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TransportError, match="Connect call failed"):
        await code(f"modbus+tcp://127.0.0.1:{port}")


@pytest.fixture
async def listen() -> AsyncIterator[Callable[[Handle], Awaitable[int]]]:
    """Start a server of a meter's own making."""
    async with AsyncExitStack() as servers:

        async def start(handle: Handle) -> int:
            async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                try:
                    await handle(reader, writer)
                finally:
                    writer.close()

            server = await servers.enter_async_context(await asyncio.start_server(hold, *HERE))
            port: int = server.sockets[0].getsockname()[1]
            return port

        yield start
        await asyncio.sleep(0)


@pytest.mark.usefixtures("impatient")
async def test_a_gateway_that_closes_is_a_transport_error(listen: Any) -> None:
    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    with pytest.raises(TransportError):
        await code(f"modbus+tcp://127.0.0.1:{await listen(close)}")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "octets",
    [
        bytes(300),
        b"\0\1\0\0\0\3\7\x83",  # cut in its exception
        b"\0\1\0\0\0\3\7\x99\2",  # an exception to a function never asked
        b"\0\1\0\0\0\5\7\3\6\0\1",  # fewer registers than it says
        b"\0\1\0\0\0\3\7\x2b\x0e",  # a device identification of nothing
        b"\0\1\0\7\0\3\7\3\0",  # another protocol
    ],
)
async def test_hostile_octets_are_a_transport_error_or_a_refusal(
    octets: bytes, listen: Any
) -> None:
    async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(100):
            writer.write(octets)

    with pytest.raises((TransportError, RemoteProtocolError)):
        await code(f"modbus+tcp://127.0.0.1:{await listen(lie)}")


def rtu(device_id: int, word: int) -> bytes:
    frame = bytes([device_id, 3, 2]) + word.to_bytes(2)
    return frame + FramerRTU.compute_CRC(frame).to_bytes(2)


@pytest.mark.usefixtures("impatient")
async def test_a_late_answer_is_not_taken_for_the_next_questions(listen: Any) -> None:
    # Each request is answered with its own address; the first too late, the last rather late.
    delays = iter([0.3, 0.0, 0.15])

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while request := await reader.read(8):
            address = int.from_bytes(request[2:4])
            loop.call_later(next(delays), writer.write, rtu(7, address))

    url = f"modbus+rtu+tcp://127.0.0.1:{await listen(answer)}"
    async with open_port(ModbusLine(url=url, device_id=7), 0.0) as port:
        assert await port.read(Table.HOLDING, 11, 1) == [11]
        assert await port.read(Table.HOLDING, 22, 1) == [22]


@pytest.mark.usefixtures("impatient")
async def test_over_tcp_an_answer_without_its_number_is_not_taken_for_the_next_questions(
    listen: Any,
) -> None:
    delays = iter([0.3, 0.0, 0.15])

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while request := await reader.read(12):
            loop.call_later(next(delays), writer.write, b"\0\0\0\0\0\5\7\3\2" + request[8:10])

    url = f"modbus+tcp://127.0.0.1:{await listen(answer)}"
    async with open_port(ModbusLine(url=url, device_id=7), 0.0) as port:
        assert await port.read(Table.HOLDING, 11, 1) == [11]
        assert await port.read(Table.HOLDING, 22, 1) == [22]


class FakeClient:
    """Answers at once, and remembers when it was asked."""

    def __init__(self, reply: ModbusPDU) -> None:
        self.reply = reply
        self.asked_s: list[float] = []

    async def read_holding_registers(self, _address: int, **_: int) -> ModbusPDU:
        self.asked_s.append(asyncio.get_running_loop().time())
        return self.reply

    read_input_registers = read_holding_registers

    async def read_device_information(self, **_: int) -> ModbusPDU:
        return self.reply


def port_of(client: Any, gap_s: float = 0.0) -> PymodbusPort:
    return PymodbusPort(client, 7, gap_s=gap_s, late_s=0.0)


def test_a_meter_has_its_silence_before_every_request(in_virtual_time: Any) -> None:
    client = FakeClient(ReadHoldingRegistersResponse(registers=[1]))

    async def thrice() -> None:
        port = port_of(client, gap_s=0.05)
        for _ in range(2):
            await port.read(Table.HOLDING, 0, 1)
        await asyncio.sleep(1)
        await port.read(Table.HOLDING, 0, 1)

    in_virtual_time(thrice())
    assert client.asked_s == pytest.approx([0.05, 0.10, 1.10])


async def test_more_registers_than_asked_for_are_refused() -> None:
    port = port_of(FakeClient(ReadHoldingRegistersResponse(registers=[1, 2])))
    with pytest.raises(RemoteProtocolError, match=r"input 0\+1 answered by 2 registers"):
        await port.read(Table.INPUT, 0, 1)


async def test_a_register_that_is_not_there_is_told_apart() -> None:
    with pytest.raises(AddressRefusedError, match="no such register"):
        await port_of(FakeClient(ExceptionResponse(3, 2))).read(Table.HOLDING, 0, 1)


async def test_a_name_is_read_as_ascii() -> None:
    reply = ReadDeviceInformationResponse(information={0: b"AB\xff", 1: [b"C", b"D"]})
    assert await port_of(FakeClient(reply)).device_identification() == {0: "AB"}


async def test_an_identification_answered_by_something_else_is_refused() -> None:
    port = port_of(FakeClient(ReadHoldingRegistersResponse(registers=[1])))
    with pytest.raises(RemoteProtocolError, match="answered by ReadHoldingRegistersResponse"):
        await port.device_identification()


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        ("modbus+rtu:/dev/ttyUSB0", SerialSettings(path="/dev/ttyUSB0")),
        (
            "modbus+rtu:/dev/ttyS1?baud=19200&parity=E&stop=2",
            SerialSettings(path="/dev/ttyS1", baud=19_200, parity="E", stop=2),
        ),
    ],
)
def test_a_serial_lines_settings_stand_in_its_url(url: str, settings: SerialSettings) -> None:
    assert SerialSettings.of(url) == settings


def test_the_silence_between_frames_is_as_the_baud_is() -> None:
    assert SerialSettings(path="/dev/x", baud=1200, parity="E").silence_s == 3.5 * 11 / 1200
    assert SerialSettings(path="/dev/x", baud=115_200).silence_s == 0.00175


@pytest.mark.parametrize(
    "url",
    [
        "tcp://127.0.0.1:502",
        "modbus+tcp://127.0.0.1",
        "modbus+tcp://[::1:502",
        "modbus+rtu+tcp:/dev/ttyUSB0",
        "modbus+tls://127.0.0.1:802",
        "modbus+rtu://host/dev",
        "modbus+rtu:ttyUSB0",
        "modbus+rtu:/dev/ttyUSB0?baud=fast",
        "modbus+rtu:/dev/ttyUSB0?baud=0",
        f"modbus+rtu:/dev/ttyUSB0?baud={'9' * 5000}",
        "modbus+rtu:/dev/ttyUSB0?parity=M",
        "modbus+rtu:/dev/ttyUSB0?stop=3",
        "modbus+rtu:/dev/ttyUSB0?speed=9600",
    ],
)
def test_a_url_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(InvalidValueError):
        ModbusLine(url=url, device_id=1)
