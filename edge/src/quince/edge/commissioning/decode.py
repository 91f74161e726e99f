"""Which protocol octets are of, and what they say: the technician's first question to a capture.

Law: what is recognised is explained whole or refused with the reason; nothing is guessed from
half a frame.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from quince.edge.commissioning.dlms_frames import (
    Opener,
    explain_apdu,
    explain_data,
    explain_hdlc,
    explain_wrapper,
    is_hdlc,
    is_wrapper,
)
from quince.edge.commissioning.layer import Layer
from quince.edge.commissioning.modbus_frames import (
    explain_rtu,
    explain_tcp,
    is_modbus_rtu,
    is_modbus_tcp,
)
from quince.edge.commissioning.serial_frames import (
    explain_iec62056_21,
    explain_sml,
    explain_telegram,
    is_iec62056_21,
    is_sml,
    is_telegram,
)
from quince.model.errors import CodecError, InvalidValueError

# A meter's longest read-out is some 10 kB; a capture of hours is for other tools.
OCTETS_MAX = 2**20


@dataclass(frozen=True, slots=True)
class _Kind:
    """A protocol: how its octets begin, and what explains them."""

    name: str
    recognises: Callable[[bytes], bool]
    explain: Callable[[bytes, Opener | None], Layer]


def explain(octets: bytes, opener: Opener | None = None) -> Layer:
    """Return what `octets` say, layer by layer; CodecError says what was tried and why not."""
    reasons = []
    for kind in _KINDS:
        if kind.recognises(octets):
            try:
                return kind.explain(octets, opener)
            except CodecError as error:
                reasons.append(f"{kind.name}: {error}")
    raise CodecError("; ".join(reasons) or "no octets")


def read_octets(text: str) -> bytes:
    """Return the octets of a file, or of hexadecimal digits with anything usual between them.

    InvalidValueError if `text` is neither, or too long. A file of hexadecimal digits is read as
    such.
    """
    if _is_file(text):
        content = _content(Path(text))
        return _from_digits(content.decode("latin-1")) or content
    octets = _from_digits(text)
    if not octets:
        raise InvalidValueError("frame", text[:40], "hexadecimal digits, or the name of a file")
    return octets


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # a frame of some length is too long for a name
        return False


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(OCTETS_MAX + 1)
    except OSError as error:
        raise InvalidValueError("file", str(path), str(error)) from error
    if len(content) > OCTETS_MAX:
        raise InvalidValueError("file", str(path), f"at most {OCTETS_MAX} octets")
    return content


def _from_digits(text: str) -> bytes:
    """Return octets; none if anything but digits and separators is there."""
    digits = text.replace("0x", "")
    for separator in " \t\r\n:-,":
        digits = digits.replace(separator, "")
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return b""


def _alone(explain_frame: Callable[[bytes], Layer]) -> Callable[[bytes, Opener | None], Layer]:
    """Return an explanation of a protocol whose frames need no keys."""
    return lambda octets, _opener: explain_frame(octets)


# The surest sign first: a check sequence that fits beats a first octet that could be anything.
_KINDS = (
    _Kind("SML", is_sml, _alone(explain_sml)),
    _Kind("HDLC", is_hdlc, explain_hdlc),
    _Kind("wrapper", is_wrapper, explain_wrapper),
    _Kind("Modbus TCP", is_modbus_tcp, _alone(explain_tcp)),
    _Kind("Modbus RTU", is_modbus_rtu, _alone(explain_rtu)),
    _Kind("telegram", is_telegram, _alone(explain_telegram)),
    _Kind("IEC 62056-21", is_iec62056_21, _alone(explain_iec62056_21)),
    _Kind("APDU", bool, explain_apdu),
    _Kind("COSEM data", bool, _alone(explain_data)),
)
