"""The clock (class 8): how a meter writes moments, and what they are in UTC.

Attributes: 2 time, 3 time_zone (the deviation of its standard time, in minutes), 4 status,
5 and 6 the beginning and the end of daylight saving, 7 what it deviates by, 8 whether it is on.
A moment is local time with its deviation; `date_time` says how the two make UTC.
"""

import math
from collections.abc import Container, Iterable
from datetime import datetime
from enum import StrEnum

from quince.model.errors import CodecError
from quince.model.quality import Quality
from quince.protocols.dlms.apdu.reference import Ref
from quince.protocols.dlms.cosem.names import CLOCK, ClassId
from quince.protocols.dlms.encoding.date_time import (
    DATE_TIME_OCTETS,
    Moment,
    decode_date_time,
    encode_date_time,
)

CLOCK_TIME = Ref(ClassId.CLOCK, CLOCK, 2)
CLOCK_ZONE = Ref(ClassId.CLOCK, CLOCK, 3)
CLOCK_STATUS = Ref(ClassId.CLOCK, CLOCK, 4)
CLOCK_SAVING_MIN = Ref(ClassId.CLOCK, CLOCK, 7)
CLOCK_SAVING_ON = Ref(ClassId.CLOCK, CLOCK, 8)

DAYLIGHT_SAVING = 0x80
_STATUS_UNSPECIFIED = 0xFF
_DEVIATION = slice(9, 11)
_STATUS = 11
_DEVIATION_UNSPECIFIED = b"\x80\x00"
# A year's days, twice over for the two sides of daylight saving; a profile tells of a few weeks.
_DAYS_MAX = 732
_HOUR_MAX, _MINUTE_MAX, _SECOND_MAX = 23, 59, 59


class ClockQuirk(StrEnum):
    """How some meters write their time otherwise than the standard says."""

    # Minutes east of Greenwich, as some companion standards want it.
    DEVIATION_INVERTED = "deviation_inverted"
    # No deviation, standard time all year, whatever the daylight-saving bit says (Kamstrup).
    NO_DEVIATION_STANDARD_TIME = "no_deviation_standard_time"


class MeterTime:
    """Reads and writes one meter's moments.

    `standard_offset_min` (east positive) is its standard time: what its moments are written in,
    and what is meant where a moment has no deviation (CodecError without). Then the
    daylight-saving bit adds an hour, and so tells the two passes of the repeated hour apart.
    """

    def __init__(
        self, *, standard_offset_min: int | None = None, quirks: Container[str] = ()
    ) -> None:
        self._standard_offset_min = standard_offset_min
        self._inverted = ClockQuirk.DEVIATION_INVERTED in quirks
        self._stays_standard = ClockQuirk.NO_DEVIATION_STANDARD_TIME in quirks
        self._days: dict[bytes, tuple[int, Quality]] = {}

    def read(self, octets: bytes) -> Moment:
        """Return a moment; CodecError if it is none, or has a wildcard in it."""
        octets = self._straight(octets)
        return decode_date_time(octets, fallback_offset_min=self._standard_offset_min)

    def stamp(self, octets: bytes) -> tuple[int, Quality]:
        """Return the same as whole seconds since 1970 UTC."""
        (at_s,), (quality,) = self.stamps((octets,))
        return at_s, quality

    def stamps(self, column: Iterable[bytes]) -> tuple[list[int], list[Quality]]:
        """Return the stamp of each; what all rows of a day have in common is decoded once."""
        at_s: list[int] = []
        qualities: list[Quality] = []
        days = self._days
        for octets in column:
            midnight_s, quality = days.get(octets[:5] + octets[8:]) or self._remember(octets)
            hour, minute, second = octets[5:8]
            if hour > _HOUR_MAX or minute > _MINUTE_MAX or second > _SECOND_MAX:
                raise CodecError(f"no time of day: {octets.hex()}")
            at_s.append(midnight_s + (hour * 60 + minute) * 60 + second)
            qualities.append(quality)
        return at_s, qualities

    def _remember(self, octets: bytes) -> tuple[int, Quality]:
        """Return the midnight that this row's day began with, in UTC, and its quality."""
        moment = self.read(octets)
        if len(self._days) >= _DAYS_MAX:
            self._days.clear()
        hour, minute, second = octets[5:8]
        time_s = (hour * 60 + minute) * 60 + second
        # Whole seconds: hundredths are part of the day's key, and cut off with it.
        midnight_s = math.floor(moment.at_utc.timestamp()) - time_s
        day = self._days[octets[:5] + octets[8:]] = midnight_s, moment.quality
        return day

    def write(self, at_utc: datetime, *, with_deviation: bool = True) -> bytes:
        """Return a moment in the meter's standard time (UTC if that is not known)."""
        offset_min = self._standard_offset_min or 0
        octets = self._straight(encode_date_time(at_utc, utc_offset_min=offset_min))
        return octets if with_deviation else _with_deviation(octets, _DEVIATION_UNSPECIFIED)

    def write_like(self, shown: bytes, at_utc: datetime) -> bytes:
        """Return `at_utc` in the manner of the time that the meter shows now.

        With its deviation, or none as it has none, and with its daylight-saving bit: what a meter
        is to be set to it must understand.
        """
        now = self.read(shown)
        offset_min = round((_as_if_utc(shown) - now.at_utc).total_seconds() / 60)
        saving = 0 if shown[_STATUS] == _STATUS_UNSPECIFIED else shown[_STATUS] & DAYLIGHT_SAVING
        octets = encode_date_time(at_utc, utc_offset_min=offset_min, status=saving)
        return _with_deviation(octets, shown[_DEVIATION])

    def _straight(self, octets: bytes) -> bytes:
        """Turn what the meter's quirks have bent into the standard's form, and back."""
        if len(octets) != DATE_TIME_OCTETS:
            return octets
        if octets[_DEVIATION] == _DEVIATION_UNSPECIFIED:
            status = octets[_STATUS]
            if self._stays_standard and status != _STATUS_UNSPECIFIED:
                return octets[:_STATUS] + bytes((status & ~DAYLIGHT_SAVING,))
            return octets
        if self._inverted:
            deviation_min = -int.from_bytes(octets[_DEVIATION], "big", signed=True)
            return _with_deviation(octets, deviation_min.to_bytes(2, "big", signed=True))
        return octets


def _with_deviation(octets: bytes, deviation: bytes) -> bytes:
    return octets[:9] + deviation + octets[_STATUS:]


def _as_if_utc(octets: bytes) -> datetime:
    """Return the local time in `octets`, which have been read before, as if it were UTC."""
    return decode_date_time(_with_deviation(octets, bytes(2))).at_utc
