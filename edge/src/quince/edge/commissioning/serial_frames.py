"""What serial and optical ports carry as layers: IEC 62056-21 messages, telegrams, SML files."""

import re
from collections.abc import Callable
from itertools import islice

from quince.edge.commissioning.layer import Layer
from quince.edge.commissioning.values import explain_value
from quince.model.errors import CodecError
from quince.protocols.optical.iec62056_21.datasets import parse_data_sets
from quince.protocols.optical.iec62056_21.messages import (
    LINE_BYTES_MAX,
    Acknowledge,
    Command,
    DataBlock,
    Identification,
    OptionSelect,
    RepeatRequest,
    Request,
)
from quince.protocols.optical.line import check_parity
from quince.protocols.optical.sml.messages import parse_lists
from quince.protocols.optical.sml.transport import FileReader
from quince.protocols.optical.telegram import TelegramReader

_SML_START = b"\x1b\x1b\x1b\x1b\x01\x01\x01\x01"
_FIRSTS = b"/\x01\x02\x06\x15"  # sign-on and identification, SOH, STX, ACK, NAK
# Where each message of a capture ends: at a line's end, or at the check behind its ETX or EOT. What
# another message begins in has no end: no octet is looked at again and again.
_MESSAGE = re.compile(
    rb"/[^\r\n]{0,%d}\r?\n" % LINE_BYTES_MAX
    + rb"|\x06[^\r\n]{3}\r\n|[\x06\x15]"
    + rb"|\x01[^\x01\x03\x04]*[\x03\x04].|\x02[^\x01\x02\x03\x04]*[\x03\x04].",
    re.DOTALL,
)
_TELEGRAM_BEGIN = re.compile(rb"/[^(!/]*\(")
_READ_OUT_END = b"!\r\n\x03"  # the ETX makes it a read-out
_SEVEN_BITS = 0x7F
# By how they begin.
_Kinds = dict[bytes, tuple[str, Callable[[bytes], object]]]
_LONGER: _Kinds = {
    b"/?": ("sign-on", Request.parse),
    b"\x060": ("acknowledge, and option select", OptionSelect.parse),
    b"\x062": ("acknowledge, and option select", OptionSelect.parse),
}
_KINDS: _Kinds = {
    b"/": ("identification", Identification.parse),
    b"\x06": ("acknowledge", Acknowledge.parse),
    b"\x15": ("please repeat", RepeatRequest.parse),
    b"\x01": ("command, check fits", Command.parse),
    b"\x02": ("data block, check fits", DataBlock.parse),
}
_DAMAGED = "damaged: "
# How many messages, files or telegrams of one capture are explained.
FRAMES_MAX = 100


def is_sml(octets: bytes) -> bool:
    """Whether an SML file begins somewhere in `octets`."""
    return _SML_START in octets


def is_telegram(octets: bytes) -> bool:
    """Whether `octets` hold a telegram of a P1 port or a mode D meter: begun by /, ended by !."""
    position = 0
    while (begin := _TELEGRAM_BEGIN.search(octets, position)) is not None:
        position = octets.find(b"!", begin.end())
        if position < 0:
            return False
        if not octets.startswith(_READ_OUT_END, position):
            return True
    return False


def is_iec62056_21(octets: bytes) -> bool:
    """Whether `octets` begin as a message of IEC 62056-21 does, parity or not."""
    return octets[:1] != b"" and octets[0] & 0x7F in _FIRSTS


def explain_sml(octets: bytes) -> Layer:
    """Explain every file in a capture; a damaged one is named and passed over."""
    reader = FileReader()
    reader.receive_data(octets)

    def next_file() -> Layer | None:
        content = reader.next_file()
        if content is None:
            return None
        lists = tuple(explain_value("values of one meter", one) for one in parse_lists(content))
        return Layer(name="file, check sequence fits", inner=lists)

    return _all(_each(next_file), "SML")


def explain_telegram(octets: bytes) -> Layer:
    """Explain every telegram in a capture; a damaged one is named and passed over."""
    reader = TelegramReader()
    reader.receive_data(octets)

    def next_telegram() -> Layer | None:
        telegram = reader.next_telegram()
        return None if telegram is None else explain_value("telegram", telegram)

    return _all(_each(next_telegram), "DSMR P1, or mode D")


def _each(next_layer: Callable[[], Layer | None]) -> list[Layer]:
    """Return the first FRAMES_MAX layers, with a name alone where CodecError was raised."""
    layers: list[Layer] = []
    while len(layers) < FRAMES_MAX:
        try:
            layer = next_layer()
        except CodecError as error:
            layer = Layer(name=f"{_DAMAGED}{error}")
        if layer is None:
            break
        layers.append(layer)
    return layers


def explain_iec62056_21(octets: bytes) -> Layer:
    """Explain every message of a capture, of either side; parity is taken off where it is on."""
    if any(octet > _SEVEN_BITS for octet in octets):
        octets = check_parity(octets)
    found = [match[0] for match in islice(_MESSAGE.finditer(octets), FRAMES_MAX)]
    if not found:
        raise CodecError("no whole message")
    return _all([_message(one) for one in found], "IEC 62056-21")


def _message(octets: bytes) -> Layer:
    try:
        return _explained(octets)
    except CodecError as error:
        return Layer(name=f"{_DAMAGED}{error}")


def _explained(octets: bytes) -> Layer:
    name, parse = _LONGER.get(octets[:2]) or _KINDS[octets[:1]]
    message = parse(octets)
    layer = _block(message) if isinstance(message, DataBlock) else explain_value(name, message)
    if not isinstance(message, Identification):
        return layer
    baud = ("baud offered", str(message.baud))
    return Layer(name=layer.name, fields=(*layer.fields, baud), inner=layer.inner)


def _block(block: DataBlock) -> Layer:
    lines = block.text.removesuffix("!\r\n")
    try:
        sets = parse_data_sets(lines)
    except CodecError:
        return explain_value("data block, check fits", block)
    return explain_value("data block, check fits", tuple(sets))


def _all(layers: list[Layer], name: str) -> Layer:
    """Return all of them; CodecError if not one is whole."""
    if all(layer.name.startswith(_DAMAGED) for layer in layers):
        raise CodecError(layers[0].name if layers else "none whole")
    return Layer(name=f"{name}: {len(layers)}", inner=tuple(layers))
