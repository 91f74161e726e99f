"""What optical meters show, in a technician's words: lines, and the momentary values in them.

Of the momentary values what is no number, or in no unit known here, is left out: a display shows
much else.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from quince.edge.readers.reader import ListedObject, Momentary
from quince.model.obis import Obis
from quince.protocols.dlms.cosem.register import UNITS
from quince.protocols.optical.iec62056_21.datasets import DataSet
from quince.protocols.optical.sml.messages import Entry

_ADDRESS = re.compile(r"(?:1-(\d{1,2}):)?(\d{1,2})\.7(?:\.(\d{1,2}))?(?:\*255)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]{1,9}(?:\.[0-9]{1,6})?", re.ASCII)
# Each unit at scaler 0, and the power of ten to it. Dutch meters write kvar, Swedish ones kVAr.
_UNITS = {
    "w": ("W", 0),
    "kw": ("W", 3),
    "var": ("var", 0),
    "kvar": ("var", 3),
    "va": ("VA", 0),
    "kva": ("VA", 3),
    "v": ("V", 0),
    "kv": ("V", 3),
    "a": ("A", 0),
    "ma": ("A", -3),
    "hz": ("Hz", 0),
    "deg": ("°", 0),
    "": ("", 0),
}
_MOMENTARY_D = 7
_CURRENT_F = 255
_QUANTITIES = range(1, 82)
_THOUSANDTHS = 3


def shown_momentaries(data_sets: Iterable[DataSet], at_utc: datetime) -> list[Momentary]:
    """Return those of a read-out or a telegram; an address without medium and channel is 1-0's."""
    found = []
    for data_set in data_sets:
        match = _ADDRESS.fullmatch(data_set.address)
        value = data_set.values[0]
        unit = _UNITS.get((value.unit or "").lower())
        if match is None or unit is None or _NUMBER.fullmatch(value.text) is None:
            continue
        channel, quantity, rate = match.groups(default="0")
        obis = Obis(1, int(channel), int(quantity), _MOMENTARY_D, int(rate))
        found.append(_momentary(obis, Decimal(value.text), unit[1], unit[0], at_utc))
    return found


def listed_momentaries(entries: Iterable[Entry], at_utc: datetime) -> list[Momentary]:
    """Return those of an SML list."""
    return [
        _momentary(entry.obis, Decimal(entry.value), entry.scaler, UNITS[entry.unit], at_utc)
        for entry in entries
        if entry.obis.a == 1 and entry.obis.d == _MOMENTARY_D and entry.obis.f == _CURRENT_F
        if entry.obis.c in _QUANTITIES and entry.unit in UNITS
        if isinstance(entry.value, int) and not isinstance(entry.value, bool)
    ]


def listed_data_sets(data_sets: Iterable[DataSet]) -> list[ListedObject]:
    """Return what a read-out or a telegram shows, line by line."""
    return [
        ListedObject(
            name=one.address,
            kind="data set",
            value=" ".join(f"{value.text} {value.unit or ''}".strip() for value in one.values),
        )
        for one in data_sets
    ]


def listed_entries(entries: Iterable[Entry]) -> list[ListedObject]:
    """Return what an SML list says, entry by entry."""
    return [ListedObject(name=str(one.obis), kind="entry", value=_text(one)) for one in entries]


def _text(entry: Entry) -> str:
    if isinstance(entry.value, bytes):
        return entry.value.hex()
    scaled = Decimal(entry.value).scaleb(entry.scaler)
    return f"{scaled:f} {UNITS.get(entry.unit or 0, '')}".strip()


def _momentary(
    obis: Obis, number: Decimal, exponent: int, unit: str, at_utc: datetime
) -> Momentary:
    scaled = number.scaleb(exponent + _THOUSANDTHS).to_integral_value(ROUND_HALF_EVEN)
    return Momentary(obis=obis, at_utc=at_utc, thousandths=int(scaled), unit=unit)
