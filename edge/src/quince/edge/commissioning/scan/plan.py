"""What is tried on a line, in which order: a plan that goes deeper where somebody answered.

Pure: whoever walks the plan tells it, by `answered`, where there was an answer. A line has one
setting: behind an answer no other setting is tried for that protocol, nor another protocol at all.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from quince.model.errors import InvalidValueError

Parity = Literal["N", "E", "O"]
MODBUS_ID_MAX = 247
HDLC_LOWER_MAX = 16_383
_TWO_OCTETS_MAX = 127


class Family(StrEnum):
    """A way to find a meter."""

    LISTEN = "listen"
    SIGN_ON = "sign_on"
    HDLC = "hdlc"
    MODBUS = "modbus"


@dataclass(frozen=True, slots=True)
class Setting:
    """How a serial line is set: 7E1 where `seven_bits`."""

    baud: int
    parity: Parity = "N"
    seven_bits: bool = False

    def __str__(self) -> str:
        return f"{self.baud} {'7E' if self.seven_bits else f'8{self.parity}'}1"


@dataclass(frozen=True, slots=True)
class Probe:
    """One question; an HDLC address is written in `octets`, of which one holds no lower address."""

    family: Family
    setting: Setting
    address: int = 0
    octets: int = 1

    def __str__(self) -> str:
        return f"{self.family} {self.setting} {self.address or ''}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is asked for: ranges of addresses, and one baud instead of all."""

    families: Collection[Family] = tuple(Family)
    modbus: range = range(1, MODBUS_ID_MAX + 1)
    hdlc: range = range(16, 33)
    baud: int | None = None


# The likeliest first, for the time a search takes is what the unlikely cost.
LISTENING = (Setting(9600), Setting(115_200), Setting(2400))  # text is heard past its parity
SIGNING_ON = (Setting(300, seven_bits=True),)
HDLC_SETTINGS = tuple(Setting(baud) for baud in (9600, 19_200, 38_400, 115_200, 4800, 2400))
# Makers leave 8N1, the Modbus standard wants even parity.
MODBUS_SETTINGS = tuple(
    Setting(baud, parity)
    for baud in (9600, 19_200, 2400, 38_400, 4800, 115_200)
    for parity in ("N", "E")
)
_LIKELY_MODBUS = (1, 2, 3, 10, 247)
# Without a lower address, and with those that makers use by default.
_LIKELY_HDLC = ((0, 1), (16, 2), (17, 4), (16, 4), (1, 2))


def plan(scope: Scope, answered: Collection[Probe]) -> Iterator[Probe]:
    """Give probe after probe; `answered` grows meanwhile."""
    for family, settings in (
        (Family.LISTEN, LISTENING),
        (Family.SIGN_ON, SIGNING_ON),
        (Family.HDLC, HDLC_SETTINGS),
        (Family.MODBUS, MODBUS_SETTINGS),
    ):
        if family in scope.families:
            yield from _of_family(family, _within(settings, scope), scope, answered)
        if answered:
            return


def _of_family(
    family: Family, settings: Sequence[Setting], scope: Scope, answered: Collection[Probe]
) -> Iterator[Probe]:
    """Give likely addresses at every setting; then all addresses, where one answered."""
    likely, others = likely_addresses(family, scope)
    for setting in settings:
        for address, octets in likely:
            yield Probe(family, setting, address, octets)
        if any(probe.setting == setting for probe in answered):
            settings = (setting,)
            break
    for setting in settings:
        for address, octets in others:
            yield Probe(family, setting, address, octets)
        if answered:
            return


def likely_addresses(
    family: Family, scope: Scope
) -> tuple[Sequence[tuple[int, int]], Sequence[tuple[int, int]]]:
    """Return the likely addresses of a scope, and the others, each with its octets."""
    match family:
        case Family.LISTEN | Family.SIGN_ON:
            return [(0, 1)], []
        case Family.MODBUS:
            likely = [(number, 1) for number in _LIKELY_MODBUS if number in scope.modbus]
            others = [(number, 1) for number in scope.modbus]
        case Family.HDLC:
            likely = [one for one in _LIKELY_HDLC if not one[0] or one[0] in scope.hdlc]
            others = [
                (lower, octets)
                for lower in scope.hdlc
                for octets in (2, 4)
                if lower <= _TWO_OCTETS_MAX or octets != 2  # noqa: PLR2004 - two octets hold no more
            ]
    return likely, [one for one in others if one not in likely]


def _within(settings: Sequence[Setting], scope: Scope) -> Sequence[Setting]:
    return [one for one in settings if scope.baud is None or one.baud == scope.baud]


def parse_range(option: str, text: str, highest: int) -> range:
    """Read `1-247` or `17`; InvalidValueError otherwise."""
    low, _, high = text.partition("-")
    if not all(one.isascii() and one.isdecimal() and len(one) <= 5 for one in (low, high or low)):  # noqa: PLR2004 - digits of 16383
        raise InvalidValueError(option, text, "a number, or two as 1-247")
    first, last = int(low), int(high or low)
    if not 1 <= first <= last <= highest:
        raise InvalidValueError(option, text, f"within 1-{highest}")
    return range(first, last + 1)
