"""The messages of an SML file, and the list of values that is the point of them.

A file a meter pushes holds three: it opens, it gives a list, it closes. Only lists are looked
into; each value has an OBIS name, a unit, a power of ten, and sometimes a status.

Law: content that is not exactly messages raises CodecError and nothing else. A message's own check
is not looked at: that of the file covers the same octets, and Holley's are of another kind.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from quince.model.errors import CodecError, InvalidValueError
from quince.model.obis import REGISTER_D, Obis
from quince.model.unit import whole_units
from quince.protocols.crc import crc_x25
from quince.protocols.optical.sml import fields
from quince.protocols.optical.sml.fields import Field, parse_fields

_OPEN, _CLOSE, _LIST = 0x0101, 0x0201, 0x0701
_NAME_OCTETS = 6
_SCALER_MAX = 127
_CURRENT_F = 255
_REGISTER_MAX = 2**63 - 1  # what every store behind this holds
# Units of the Blue Book's table: 30 Wh, 32 varh.
UNIT_WH, UNIT_VARH = 30, 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One value: a number is `value` · 10^`scaler` in `unit` (the Blue Book's number for it)."""

    obis: Obis
    value: int | bytes | bool
    unit: int | None = None
    scaler: int = 0
    status: int | bytes | None = None

    def __post_init__(self) -> None:
        if abs(self.scaler) > _SCALER_MAX:
            raise InvalidValueError("entry.scaler", self.scaler, f"within ±{_SCALER_MAX}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueList:
    """What one meter gives at one moment; `server_id` is its name."""

    server_id: bytes
    entries: tuple[Entry, ...]


def parse_lists(content: bytes) -> list[ValueList]:
    """Return the lists of a file; CodecError if it is not made of messages."""
    bodies = [_body(message) for message in parse_fields(content)]
    return [_value_list(_items(body, 7)) for tag, body in bodies if tag == _LIST]


def cumulative_registers(entries: Iterable[Entry]) -> dict[Obis, int]:
    """Return the current energy registers, in the whole Wh or varh they have gone through.

    What ends in anything but *255 is of another time: makers keep there what a day, a week or a
    month took. CodecError for one that no meter lives long enough to show.
    """
    registers = {
        entry.obis: whole_units(entry.value, entry.scaler)
        for entry in entries
        if entry.obis.a == 1 and entry.obis.d == REGISTER_D and entry.obis.f == _CURRENT_F
        if entry.unit in (UNIT_WH, UNIT_VARH)
        if isinstance(entry.value, int) and not isinstance(entry.value, bool) and entry.value >= 0
    }
    if any(value > _REGISTER_MAX for value in registers.values()):
        raise CodecError(f"a register above {_REGISTER_MAX}")
    return registers


def serial_number(server_id: bytes) -> str:
    """Return a server's name as it is printed on the meter: `1 EMH00 04321088`, else its digits.

    Ten octets are `0A`, the medium, the maker's three letters, and five octets of number.
    Source: DIN 43863-5, from memory; the recordings agree.
    """
    if len(server_id) != 10 or server_id[:1] not in (b"\x0a", b"\x09"):  # noqa: PLR2004 - above
        return server_id.hex()
    maker = server_id[2:5]
    if not maker.isalpha():
        return server_id.hex()
    number = int.from_bytes(server_id[6:], "big")
    return f"{server_id[1]:x}{maker.decode('ascii')}{server_id[5]:02x}{number:08}"


# --- parsing ----------------------------------------------------------------------------


def _body(message: Field) -> tuple[int, Field]:
    """Return tag and body of a message, which is a list of six: the last is its end."""
    items = _items(message, 6)
    tag, body = _items(items[3], 2)
    if items[5] is not None or not isinstance(tag, int):
        raise CodecError(f"not a message: {items[3]!r:.60}")
    return tag, body


def _items(field: Field, count: int) -> tuple[Field, ...]:
    if not isinstance(field, tuple) or len(field) != count:
        raise CodecError(f"expected a list of {count}: {field!r:.60}")
    return field


def _value_list(body: tuple[Field, ...]) -> ValueList:
    """Read client, server, name, sensor time, values, signature, gateway time."""
    server_id, entries = body[1], body[4]
    if not isinstance(server_id, bytes) or not isinstance(entries, tuple):
        raise CodecError(f"not a list of values: {body!r:.60}")
    found = (_entry(_items(entry, 7)) for entry in entries)
    return ValueList(
        server_id=server_id, entries=tuple(entry for entry in found if entry is not None)
    )


def _entry(field: tuple[Field, ...]) -> Entry | None:
    """Read name, status, time, unit, scaler, value, signature; None where it has no plain value.

    The time is not looked at: it is a counter of seconds, and Holley's is not what it should be.
    """
    name, status, _time, unit, scaler, value, _signature = field
    if not isinstance(name, bytes) or len(name) != _NAME_OCTETS:
        raise CodecError(f"not a name: {name!r:.60}")
    if not isinstance(value, int | bytes) or value == b"":
        return None
    exponent = _optional_integer(scaler) or 0
    if abs(exponent) > _SCALER_MAX:
        raise CodecError(f"{name.hex()} has the scaler {exponent}")
    return Entry(
        obis=Obis.from_bytes(name),
        value=value,
        unit=_optional_integer(unit),
        scaler=exponent,
        status=status if isinstance(status, int | bytes) and status != b"" else None,
    )


def _optional_integer(field: Field) -> int | None:
    if field == b"":
        return None
    if not isinstance(field, int):
        raise CodecError(f"not a number: {field!r:.60}")
    return field


# --- rendering --------------------------------------------------------------------------


def render_content(values: ValueList, number: int) -> bytes:
    """Return the content of a file that pushes `values`: open, list, close; `number` names it."""
    server = fields.octet_string(values.server_id)
    absent = fields.ABSENT
    opening = [absent, absent, fields.octet_string(number.to_bytes(4, "big")), server]
    listing = [absent, server, absent, absent, _render_entries(values.entries), absent, absent]
    bodies = ((_OPEN, [*opening, absent, absent]), (_LIST, listing), (_CLOSE, [absent]))
    return b"".join(_render_message(number + i, tag, body) for i, (tag, body) in enumerate(bodies))


def _render_message(number: int, tag: int, body: list[bytes]) -> bytes:
    choice = [fields.unsigned(tag, 2), fields.field_list(body)]
    head = [
        fields.octet_string(number.to_bytes(4, "big")),
        fields.unsigned(0, 1),
        fields.unsigned(0, 1),
        fields.field_list(choice),
    ]
    # The head of a list of six is one octet, and the check covers it.
    checked = bytes((0x76,)) + b"".join(head)
    check = int.from_bytes(crc_x25(checked).to_bytes(2, "little"), "big")
    return checked + fields.unsigned(check, 2) + fields.END_OF_MESSAGE


def _render_entries(entries: Iterable[Entry]) -> bytes:
    return fields.field_list(fields.field_list(_render_entry(entry)) for entry in entries)


def _render_entry(entry: Entry) -> list[bytes]:
    absent = fields.ABSENT
    plain = entry.unit is None
    return [
        fields.octet_string(bytes(entry.obis)),
        _render_status(entry.status),
        absent,
        absent if entry.unit is None else fields.unsigned(entry.unit, 1),
        absent if plain else fields.signed(entry.scaler, 1),
        _render_value(entry.value),
        absent,
    ]


def _render_status(status: int | bytes | None) -> bytes:
    if status is None:
        return fields.ABSENT
    return fields.unsigned(status, 4) if isinstance(status, int) else fields.octet_string(status)


def _render_value(value: int | bytes | bool) -> bytes:  # noqa: FBT001 - one value of three types
    if isinstance(value, bool):
        return fields.boolean(value=value)
    return fields.signed(value, 8) if isinstance(value, int) else fields.octet_string(value)
