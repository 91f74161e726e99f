"""What a P1 telegram tells: the meter's clock, its registers, and the meters on its M-Bus.

Source: the forms are those of recorded telegrams of DSMR 2.2 to 5.0, e-MUCS and their kin.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from quince.model.errors import CodecError
from quince.model.obis import Obis
from quince.protocols.optical.iec62056_21 import datasets
from quince.protocols.optical.iec62056_21.datasets import Value, cumulative_registers
from quince.protocols.optical.registers import with_totals
from quince.protocols.optical.telegram import Telegram

_CLOCK = "0-0:1.0.0"
_EQUIPMENT = ("0-0:96.1.1", "0-0:96.1.255", "1-0:0.0.0")  # DSMR and e-MUCS; Q3D; mode D meters
_CHILDREN_MAX = 4  # M-Bus channels of a P1 meter
_DEVICE_TYPE, _READINGS, _HISTORIC = "24.1.0", ("24.2.1", "24.2.3"), "24.3.0"
_CHILD_EQUIPMENT = ("96.1.0", "96.1.1")
_HISTORIC_VALUES = 6  # stamp, status, period, number of values, their address, their unit
_NUMBER = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")
_STAMP = re.compile(r"(\d{12})([WS]?)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildReading:
    """The register of a meter on the M-Bus as it stood at its own moment, in its own unit."""

    at_utc: datetime
    value: Decimal
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A meter on M-Bus channel 1..4; 3 is gas, 4 heat, 7 water (EN 13757-3), None if not told."""

    channel: int
    device_type: int | None
    equipment_id: str
    reading: ChildReading | None


def registers(telegram: Telegram) -> dict[Obis, int]:
    """Return the cumulative registers in Wh or varh, with the totals of those shown by tariff."""
    return with_totals(cumulative_registers(telegram.data_sets))


def clock(telegram: Telegram, utc_offset_min: int) -> datetime | None:
    """Return the meter's time in UTC, None if it shows none (before DSMR 4)."""
    shown = telegram.find(_CLOCK)
    return None if shown is None else parse_stamp(shown.values[0].text, utc_offset_min)


def parse_stamp(text: str, utc_offset_min: int) -> datetime:
    """Read `YYMMDDhhmmssX`: X is W in standard time (UTC plus `utc_offset_min`), S an hour more.

    Without X, as before DSMR 4, it is taken for standard time. CodecError otherwise.
    """
    match = _STAMP.fullmatch(text)
    if match is None:
        raise CodecError(f"not a time stamp: {text!r}")
    season = "1" if match[2] == "S" else "0"
    return datasets.parse_stamp(season + match[1], utc_offset_min)


def render_stamp(moment_utc: datetime, utc_offset_min: int) -> str:
    """Return `YYMMDDhhmmssW`, in standard time."""
    return datasets.render_stamp(moment_utc, utc_offset_min)[1:] + "W"


def equipment_id(telegram: Telegram) -> str:
    """Return the meter's name; empty if the telegram has none."""
    for address in _EQUIPMENT:
        shown = telegram.find(address)
        if shown is not None:
            return _hex_text(shown.values[0].text)
    return ""


def children(telegram: Telegram, utc_offset_min: int) -> list[Child]:
    """Return the meters on the M-Bus; CodecError if a reading is none."""
    found = []
    for channel in range(1, _CHILDREN_MAX + 1):
        if telegram.find(f"0-{channel}:{_DEVICE_TYPE}") is None:
            continue
        found.append(
            Child(
                channel=channel,
                device_type=_device_type(telegram, channel),
                equipment_id=_child_equipment(telegram, channel),
                reading=_reading(telegram, channel, utc_offset_min),
            )
        )
    return found


def _device_type(telegram: Telegram, channel: int) -> int | None:
    shown = telegram.find(f"0-{channel}:{_DEVICE_TYPE}")
    text = "" if shown is None else shown.values[0].text
    return int(text) if re.fullmatch(r"[0-9]{1,3}", text) else None


def _child_equipment(telegram: Telegram, channel: int) -> str:
    shown = (telegram.find(f"0-{channel}:{name}") for name in _CHILD_EQUIPMENT)
    return next((_hex_text(one.values[0].text) for one in shown if one is not None), "")


def _reading(telegram: Telegram, channel: int, utc_offset_min: int) -> ChildReading | None:
    """Return stamp and value; before DSMR 4 the value stands on a line of its own."""
    for name in _READINGS:
        shown = telegram.find(f"0-{channel}:{name}")
        if shown is not None and len(shown.values) > 1:
            return _child_reading(shown.values[0].text, shown.values[1], utc_offset_min)
    historic = telegram.find(f"0-{channel}:{_HISTORIC}")
    if historic is None or len(historic.values) < _HISTORIC_VALUES:
        return None
    behind = telegram.data_sets.index(historic) + 1
    rows = [one for one in telegram.data_sets[behind : behind + 1] if not one.address]
    unit = historic.values[5].text
    values = [Value(row.values[0].text, unit) for row in rows]
    return _child_reading(historic.values[0].text, values[0], utc_offset_min) if values else None


def _child_reading(stamp: str, value: Value, utc_offset_min: int) -> ChildReading | None:
    """Return the reading, None where no meter has answered yet: then there is no unit."""
    if value.unit is None:
        return None
    if _NUMBER.fullmatch(value.text) is None:
        raise CodecError(f"not a register: {value}")
    return ChildReading(
        at_utc=parse_stamp(stamp, utc_offset_min), value=Decimal(value.text), unit=value.unit
    )


def _hex_text(text: str) -> str:
    """Return the text behind pairs of hexadecimal digits; `text` itself if there is none."""
    try:
        decoded = bytes.fromhex(text).decode("ascii")
    except ValueError:
        return text
    return decoded if decoded.isprintable() and decoded else text
