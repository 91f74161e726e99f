"""Data sets, the text inside the blocks: `1.8.0(001234.567*kWh)`; registers and clock out of them.

Law: text that is not wholly data sets raises CodecError; numbers stay exact.
P1 telegrams and everything else that pushes such text read theirs here too.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from quince.model.errors import CodecError, InvalidValueError
from quince.model.obis import REGISTER_D, Obis
from quince.model.unit import POWER_OF_TEN, whole_units

# Printable characters; an address has no '!', which ends a read-out, and neither has parentheses.
_DATA_SET = re.compile(r"([ \"-'*-~]{0,32})((?:\([ -'*-~]*\))+)")
_VALUE = re.compile(r"\(([^()*]*)(?:\*([^()]*))?\)")
_END = "!\r\n"
# Twelve digits of MWh in Wh still fit 63 bits.
_NUMBER = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")
# A current cumulative register, C.8.E: no historic value (`*01`, `&01`), import or export.
_CUMULATIVE = re.compile(r"(?:1-(\d{1,2}):)?(\d{1,2})\.8\.(\d{1,2})(?:\*255)?")
_CLOCK_TIME = re.compile(r"(?:1-0:)?0\.9\.1(?:\*255)?")
_CLOCK_DATE = re.compile(r"(?:1-0:)?0\.9\.2(?:\*255)?")
_SUMMER_OFFSET = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Value:
    """The text between two parentheses, and its unit where it has one."""

    text: str
    unit: str | None = None

    def __post_init__(self) -> None:
        if re.fullmatch(r"[ -'+-~]*", self.text) is None:
            raise InvalidValueError("value.text", self.text, "printable, without ( ) *")
        if self.unit is not None and re.fullmatch(r"[ -'*-~]*", self.unit) is None:
            raise InvalidValueError("value.unit", self.unit, "printable, without ( )")

    def __str__(self) -> str:
        return f"({self.text})" if self.unit is None else f"({self.text}*{self.unit})"

    @property
    def is_error(self) -> bool:
        """Whether this is a meter's refusal, `(ERROR)` or `(ER…)`."""
        return self.text.startswith("ER")


@dataclass(frozen=True, slots=True)
class DataSet:
    """An address, as the meter writes it, and its values; the rows of a profile have no address."""

    address: str
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        if re.fullmatch(r"[ \"-'*-~]{0,32}", self.address) is None:
            raise InvalidValueError("address", self.address, "printable, at most 32, no ( ) !")
        if not self.values:
            raise InvalidValueError("values", self.address, "a data set has at least one value")

    def __str__(self) -> str:
        return self.address + "".join(map(str, self.values))


def parse_data_sets(text: str) -> list[DataSet]:
    """Read a block's data sets; CodecError if anything but CR LF stands between them."""
    data_sets = []
    position = 0
    while position < len(text):
        if text[position] in "\r\n":
            position += 1
            continue
        match = _DATA_SET.match(text, position)
        if match is None:
            raise CodecError(f"not a data set: {text[position : position + 40]!r}")
        values = tuple(Value(value[1], value[2]) for value in _VALUE.finditer(match[2]))
        data_sets.append(DataSet(match[1], values))
        position = match.end()
    return data_sets


def render_data_sets(data_sets: Iterable[DataSet]) -> str:
    """Return a block's text, one data set per line."""
    return "\r\n".join(map(str, data_sets))


def parse_read_out(text: str) -> list[DataSet]:
    """Read a whole read-out, which ends with `!`; CodecError otherwise."""
    if not text.endswith(_END):
        raise CodecError(f"a read-out that does not end: {text[-40:]!r}")
    return parse_data_sets(text.removesuffix(_END))


def render_read_out(data_sets: Iterable[DataSet]) -> str:
    """Return the text of a whole read-out."""
    return "".join(f"{data_set}\r\n" for data_set in data_sets) + _END


# --- numbers ----------------------------------------------------------------------------


def energy(value: Value) -> int:
    """Return an energy in its unit at scaler 0 (Wh, varh).

    CodecError if the unit is none of energy, or the number is not a whole, non-negative one:
    nothing is rounded here.
    """
    number, exponent = _energy(value)
    scaled = number.scaleb(exponent)
    if scaled != int(scaled):
        raise CodecError(f"not a whole number at scaler 0: {value}")
    return int(scaled)


def _energy(value: Value) -> tuple[Decimal, int]:
    """Return the number, and the power of ten of its unit."""
    exponent = POWER_OF_TEN.get(_unit_of(value))
    if _NUMBER.fullmatch(value.text) is None or exponent is None:
        raise CodecError(f"not an energy: {value}")
    return Decimal(value.text), exponent


def _unit_of(value: Value) -> str:
    """Return the unit; Swedish meters write kVArh."""
    return (value.unit or "").replace("VAr", "var")


def render_energy(energy_wh: int) -> str:
    """Return Wh as kilowatt-hours with three decimals, exactly."""
    return f"{energy_wh // 1000}.{energy_wh % 1000:03}"


def cumulative_registers(data_sets: Iterable[DataSet]) -> dict[Obis, int]:
    """Return the current cumulative energy registers, in the whole Wh or varh they went through.

    An address without a medium and channel is 1-0's.
    """
    registers = {}
    for data_set in data_sets:
        match = _CUMULATIVE.fullmatch(data_set.address)
        if match is not None and _unit_of(data_set.values[0]) in POWER_OF_TEN:
            channel, quantity, tariff = match.groups(default="0")
            obis = Obis(1, int(channel), int(quantity), REGISTER_D, int(tariff))
            registers[obis] = whole_units(*_energy(data_set.values[0]))
    return registers


# --- time -------------------------------------------------------------------------------


def meter_clock(data_sets: Iterable[DataSet], utc_offset_min: int) -> datetime | None:
    """Return the meter's time in UTC from 0.9.1 and 0.9.2, None if it shows none.

    Both may begin with a season digit, and may separate their parts by ':' or '-'.
    """
    time = date = None
    for data_set in data_sets:
        if _CLOCK_TIME.fullmatch(data_set.address):
            time = re.sub(r"[:-]", "", data_set.values[0].text)
        if _CLOCK_DATE.fullmatch(data_set.address):
            date = re.sub(r"[:-]", "", data_set.values[0].text)
    if time is None or date is None:
        return None
    return parse_stamp(f"{date:0>7}{time[-6:]}", utc_offset_min)


def clock_data_sets(moment_utc: datetime, utc_offset_min: int) -> list[DataSet]:
    """Return 0.9.1 and 0.9.2 as they stand at `moment_utc`."""
    stamp = render_stamp(moment_utc, utc_offset_min)
    return [
        DataSet("0.9.1", (Value(stamp[0] + stamp[7:]),)),
        DataSet("0.9.2", (Value(stamp[:7]),)),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownClock:
    """The texts of 0.9.1 and 0.9.2."""

    time: str
    date: str


def render_clock_like(
    time: str, date: str, moment_utc: datetime, utc_offset_min: int
) -> ShownClock:
    """Return `moment_utc` as a meter shows it that now shows `time` and `date`.

    Digits are replaced, and what separates them stays. A season digit in front stays too, and
    says which local time is meant. CodecError if the texts have not 6 or 7 digits each.
    """
    digits = [re.sub(r"[^0-9]", "", text) for text in (time, date)]
    if any(len(each) not in (6, 7) for each in digits) or digits[1][:-6] not in ("", *"012"):
        raise CodecError(f"not a time and a date: {time!r}, {date!r}")
    season = int(digits[1][:-6] or "0")
    standard = timedelta(minutes=utc_offset_min)
    shown = moment_utc + (standard, standard + _SUMMER_OFFSET, timedelta(0))[season]
    return ShownClock(
        time=_replace_digits(time, f"{season}{shown:%H%M%S}"),
        date=_replace_digits(date, f"{season}{shown:%y%m%d}"),
    )


def _replace_digits(text: str, digits: str) -> str:
    """Return `text` with its digits replaced by the last ones of `digits`."""
    count = len(re.findall(r"[0-9]", text))
    following = iter(digits[len(digits) - count :])
    return re.sub(r"[0-9]", lambda _: next(following), text)


def parse_stamp(text: str, utc_offset_min: int) -> datetime:
    """Read `ZYYMMDDhhmm[ss]` as UTC; CodecError otherwise.

    Z is the season: 0 standard time (UTC plus `utc_offset_min`), 1 summer time (an hour more),
    2 UTC. Source: the form is seen in read-outs of EMH, Metcom and Iskra meters; the meaning of 2
    is the VDEW specification's, from memory.
    """
    match = re.fullmatch(r"([012])(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?", text, re.ASCII)
    if match is None:
        raise CodecError(f"not a time stamp: {text!r}")
    season, year, month, day, hour, minute, second = map(int, match.groups(default="0"))
    try:
        shown = datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise CodecError(f"not a time stamp: {text!r}") from error
    standard = timedelta(minutes=utc_offset_min)
    return shown - (standard, standard + _SUMMER_OFFSET, timedelta(0))[season]


def render_stamp(moment_utc: datetime, utc_offset_min: int) -> str:
    """Return `ZYYMMDDhhmmss` in standard time."""
    return f"0{moment_utc + timedelta(minutes=utc_offset_min):%y%m%d%H%M%S}"
