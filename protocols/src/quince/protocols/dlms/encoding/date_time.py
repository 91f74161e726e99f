"""The COSEM date-time, 12 octets of local time, to and from UTC.

UTC = local time + deviation: the deviation is what to add, in minutes, so it is negative east of
Greenwich and +360 in El Salvador.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from quince.model.errors import CodecError, InvalidValueError
from quince.model.interval import require_utc
from quince.model.quality import Quality
from quince.protocols.dlms.encoding.reader import Reader

DATE_TIME_OCTETS = 12
_DEVIATION_UNSPECIFIED = -0x8000
# UTC-12 to UTC+14, the farthest local times there are.
_DEVIATIONS_MIN = range(-14 * 60, 12 * 60 + 1)
_STATUS_UNSPECIFIED = 0xFF
_STATUS_INVALID = 0x01
# Doubtful; another clock base; and "invalid clock status", which makes the rest doubtful.
_STATUS_DOUBTFUL = 0x02 | 0x04 | 0x08
_STATUS_DAYLIGHT_SAVING = 0x80
_HUNDREDTHS_UNSPECIFIED = 0xFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When, and what the meter thinks of its own clock."""

    at_utc: datetime
    quality: Quality

    def __post_init__(self) -> None:
        require_utc("at_utc", self.at_utc)


def encode_date_time(at_utc: datetime, *, utc_offset_min: int, status: int = 0) -> bytes:
    """Write a moment as local time; `utc_offset_min` is east positive, the deviation is not."""
    if -utc_offset_min not in _DEVIATIONS_MIN:
        raise InvalidValueError("utc_offset_min", utc_offset_min, "UTC-12 to UTC+14")
    local = require_utc("at_utc", at_utc) + timedelta(minutes=utc_offset_min)
    date = local.year.to_bytes(2, "big") + bytes((local.month, local.day, local.isoweekday()))
    hundredths = local.microsecond // 10_000
    time = bytes((local.hour, local.minute, local.second, hundredths))
    return date + time + (-utc_offset_min).to_bytes(2, "big", signed=True) + bytes((status,))


def decode_date_time(octets: bytes, *, fallback_offset_min: int | None = None) -> Moment:
    """Read a moment; CodecError if a field is a wildcard, as it may be in a pattern.

    `fallback_offset_min` (east positive) is the meter's standard time, for meters that leave the
    deviation out; it is CodecError without. Then the daylight-saving bit adds an hour.
    """
    if len(octets) != DATE_TIME_OCTETS:
        raise CodecError(f"a date-time has {DATE_TIME_OCTETS} octets, not {len(octets)}")
    reader = Reader(octets)
    year, month, day, _weekday = (reader.uint(2), reader.octet(), reader.octet(), reader.octet())
    hour, minute, second, hundredths = reader.take(4)
    deviation_min = int.from_bytes(reader.take(2), "big", signed=True)
    status = reader.octet()
    if hundredths == _HUNDREDTHS_UNSPECIFIED:
        hundredths = 0
    if deviation_min == _DEVIATION_UNSPECIFIED:
        deviation_min = _fallback_deviation(fallback_offset_min, status)
    if deviation_min not in _DEVIATIONS_MIN:
        raise CodecError(f"a deviation of {deviation_min} minutes")
    try:
        local = datetime(year, month, day, hour, minute, second, hundredths * 10_000, UTC)
        at_utc = local + timedelta(minutes=deviation_min)
    except (ValueError, OverflowError) as error:
        raise CodecError(f"no moment: {octets.hex()}") from error
    return Moment(at_utc=at_utc, quality=_quality(status))


def _fallback_deviation(offset_min: int | None, status: int) -> int:
    if offset_min is None:
        raise CodecError("the deviation is not specified, and no fallback is known")
    saving = status != _STATUS_UNSPECIFIED and status & _STATUS_DAYLIGHT_SAVING
    return -offset_min - (60 if saving else 0)


def _quality(status: int) -> Quality:
    quality = Quality.GOOD
    if status == _STATUS_UNSPECIFIED:
        return quality
    if status & _STATUS_INVALID:
        quality |= Quality.CLOCK_INVALID
    if status & _STATUS_DOUBTFUL:
        quality |= Quality.CLOCK_DOUBTFUL
    return quality
