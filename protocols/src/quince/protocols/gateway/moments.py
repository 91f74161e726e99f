"""Moments as they travel: Unix seconds or milliseconds, from 1970 to the year 9999."""

from datetime import UTC, datetime, timedelta

from quince.model.errors import InvalidValueError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT_S_MAX = 253_402_300_799  # the end of the year 9999, where datetime ends


def to_ms(moment_utc: datetime) -> int:
    """Return Unix milliseconds, rounded down."""
    return (moment_utc - _EPOCH) // timedelta(milliseconds=1)


def from_ms(milliseconds: int) -> datetime:
    """Return the moment; InvalidValueError beyond 1970..9999."""
    if not 0 <= milliseconds <= _MOMENT_S_MAX * 1000:
        raise InvalidValueError("moment_ms", milliseconds, "1970..9999")
    return _EPOCH + timedelta(milliseconds=milliseconds)


def to_s(moment_utc: datetime) -> int:
    """Return Unix seconds, rounded down."""
    return (moment_utc - _EPOCH) // timedelta(seconds=1)


def from_s(seconds: int) -> datetime:
    """Return the moment; InvalidValueError beyond 1970..9999."""
    if not 0 <= seconds <= _MOMENT_S_MAX:
        raise InvalidValueError("moment_s", seconds, "1970..9999")
    return _EPOCH + timedelta(seconds=seconds)
