"""One question to a line each, and whether a meter answers it: passive, sign-on, HDLC, Modbus.

Law: an answer is a whole frame that verifies; noise, echoes and other people's answers are none.
"""

import asyncio
from dataclasses import dataclass

from quince.edge.errors import TransportError
from quince.edge.readers.dlms.line import DlmsLine
from quince.edge.readers.dlms.reader import DlmsReader
from quince.edge.readers.reader import Identity
from quince.edge.transports import Transport
from quince.model.errors import CodecError, QuinceError, RemoteProtocolError
from quince.model.rng import Rng
from quince.protocols.crc import crc_modbus
from quince.protocols.dlms.association.client import ClientAssociation
from quince.protocols.dlms.association.session import MeterSession
from quince.protocols.dlms.errors import AssociationRefusedError, ServiceRefusedError
from quince.protocols.dlms.security.credentials import NoSecurity
from quince.protocols.optical.dsmr.objects import equipment_id
from quince.protocols.optical.iec62056_21.client import Client
from quince.protocols.optical.iec62056_21.messages import Identification
from quince.protocols.optical.sml.messages import parse_lists, serial_number
from quince.protocols.optical.sml.transport import FileReader
from quince.protocols.optical.telegram import TelegramReader

# Whoever talks is waited for: an SML file and a telegram are over by then at any baud, and a meter
# has said who it is.
_EXTENDED_S = 12.0
_READ_HOLDING, _REFUSED = 3, 0x80
_MBAP_OCTETS = 6
# What a Modbus gateway answers for a device that it does not reach, some by "device failure".
_NOBODY_THERE = (0x04, 0x0A, 0x0B)
_HEARD_OCTETS_MAX = 1024  # what a Modbus answer hides in at most: an echo and noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Somebody answered, as a `kind` of a configuration; `remark` is why it tells no more."""

    kind: str
    identity: Identity
    remark: str = ""


async def listen(transport: Transport, within_s: float) -> Answer | None:
    """Wait for a meter that pushes: SML, or text telegrams of P1 ports and mode D."""
    files, telegrams = FileReader(), TelegramReader()
    try:
        async with asyncio.timeout(within_s) as patience:
            line = _Extending(transport, patience)
            while True:
                octets = await line.read(_EXTENDED_S)
                if (answer := _pushed(files, telegrams, octets)) is not None:
                    return answer
    except (TimeoutError, TransportError):
        return None


def _pushed(files: FileReader, telegrams: TelegramReader, octets: bytes) -> Answer | None:
    files.receive_data(octets)
    telegrams.receive_data(bytes(octet & 0x7F for octet in octets))
    try:
        if (content := files.next_file()) is not None and (lists := parse_lists(content)):
            return Answer(kind="sml", identity=Identity(serial=serial_number(lists[0].server_id)))
    except CodecError:  # the end of one that had begun before
        pass
    try:
        telegram = telegrams.next_telegram()
    except CodecError:
        return None
    if telegram is None:
        return None
    name = telegram.identification
    identity = Identity(serial=equipment_id(telegram), maker=name[:3].upper(), model=name[3:])
    return Answer(kind="dsmr", identity=identity)


async def sign_on(transport: Transport, within_s: float) -> Answer | None:
    """Ask whoever hears us, as IEC 62056-21 does, for its identification; then break off."""
    client = Client()
    try:
        async with asyncio.timeout(within_s):
            await transport.write(client.sign_on(""))
            while True:
                client.receive_data(await transport.read(within_s))
                event = client.next_event()
                if isinstance(event, Identification):
                    break
                if event is not None:
                    return None
        await transport.write(client.leave())
    except (TimeoutError, TransportError, CodecError, RemoteProtocolError):
        return None
    return Answer(
        kind="optical", identity=Identity(serial="", maker=event.maker.upper(), model=event.name)
    )


async def ask_dlms(
    transport: Transport, line: DlmsLine, rng: Rng, within_s: float
) -> Answer | None:
    """Associate as the public client, and ask for the names; a refusal is an answer too."""
    link = line.link()
    session = MeterSession(
        link, ClientAssociation(NoSecurity(), rng=rng, pdu_octets_max=line.pdu_octets_max)
    )
    try:
        async with asyncio.timeout(within_s) as patience:
            reader = DlmsReader(
                _Extending(transport, patience), session, meter_id="", utc_offset_min=0
            )
            await reader.associate()
            identity = await reader.identify()
            await reader.release()
    except (AssociationRefusedError, ServiceRefusedError) as refusal:
        return Answer(kind="dlms", identity=Identity(serial=""), remark=str(refusal))
    except (TimeoutError, QuinceError) as error:
        if line.url.startswith("tcp:") or not link.is_connected:
            return None
        return Answer(kind="dlms", identity=Identity(serial=""), remark=str(error) or "silent")
    return Answer(kind="dlms", identity=identity)


class _Extending:
    """A transport that gives whoever says something more time, once."""

    def __init__(self, transport: Transport, patience: asyncio.Timeout) -> None:
        self._transport = transport
        self._patience: asyncio.Timeout | None = patience

    async def read(self, deadline_s: float) -> bytes:
        """Read, and be patient from then on."""
        octets = await self._transport.read(deadline_s)
        if self._patience is not None:
            self._patience.reschedule(asyncio.get_running_loop().time() + _EXTENDED_S)
            self._patience = None
        return octets

    async def write(self, data: bytes) -> None:
        """Write."""
        await self._transport.write(data)

    async def set_line(
        self, baud: int, *, seven_bits: bool | None = None, echoes: bool | None = None
    ) -> None:
        """Set the line."""
        await self._transport.set_line(baud, seven_bits=seven_bits, echoes=echoes)

    async def aclose(self) -> None:
        """Leave it open: the next question is put on it."""


async def ask_modbus(
    transport: Transport, device_id: int, within_s: float, *, rtu: bool
) -> Answer | None:
    """Read one register, whichever it is: a refusal is an answer too."""
    request = bytes((device_id, _READ_HOLDING, 0, 0, 0, 1))
    header = b"" if rtu else device_id.to_bytes(2, "big") + b"\0\0\0\6"
    check = crc_modbus(request).to_bytes(2, "little") if rtu else b""
    heard = b""
    try:
        async with asyncio.timeout(within_s):
            await transport.write(header + request + check)
            while len(heard) < _HEARD_OCTETS_MAX:
                heard += await transport.read(within_s)
                function, code = (
                    _rtu_answer(heard, device_id)
                    if rtu
                    else _tcp_answer(heard, header[:2], device_id)
                )
                if function == _READ_HOLDING | _REFUSED and code in _NOBODY_THERE:
                    return None
                if function:
                    return Answer(kind="modbus", identity=Identity(serial=""))
    except (TimeoutError, TransportError):
        return None
    return None


def _rtu_answer(heard: bytes, device_id: int) -> tuple[int, int]:
    """Return function and code of a whole answer, wherever it begins; zeros if there is none."""
    for begin in range(len(heard)):
        for function, length in ((_READ_HOLDING, 7), (_READ_HOLDING | _REFUSED, 5)):
            frame = heard[begin : begin + length]
            if len(frame) != length or frame[0] != device_id or frame[1] != function:
                continue
            if crc_modbus(frame[:-2]) == int.from_bytes(frame[-2:], "little"):
                return function, frame[2]
    return 0, 0


def _tcp_answer(heard: bytes, transaction: bytes, device_id: int) -> tuple[int, int]:
    """Return the same of an answer with a header."""
    body = heard[_MBAP_OCTETS:]
    if len(body) < 3 or heard[:4] != transaction + b"\0\0" or body[0] != device_id:  # noqa: PLR2004 - device, function, code
        return 0, 0
    is_ours = body[1] & ~_REFUSED == _READ_HOLDING
    return (body[1], body[2]) if is_ours else (0, 0)
