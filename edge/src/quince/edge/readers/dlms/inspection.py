"""What a technician asks a DLMS meter: its momentary values, its objects, its logs, its period."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal

from quince.edge.errors import UnsupportedError
from quince.edge.readers.dlms.control import DlmsControl, KeyRing
from quince.edge.readers.dlms.dialogue import Dialogue
from quince.edge.readers.dlms.vocabulary import EVENT_TEXTS, class_name
from quince.edge.readers.reader import (
    ListedObject,
    LoggedEvent,
    Momentary,
    Named,
    Transformers,
    require_all,
)
from quince.model.errors import CodecError, InvalidValueError, RemoteProtocolError
from quince.model.obis import Obis
from quince.protocols.dlms.apdu.reference import Ref
from quince.protocols.dlms.association.states import Reply
from quince.protocols.dlms.cosem.association import (
    OBJECT_LIST,
    ObjectDescription,
    read_object_list,
)
from quince.protocols.dlms.cosem.clock import CLOCK_TIME, MeterTime
from quince.protocols.dlms.cosem.names import (
    CURRENT_RATIO,
    EVENT_LOG,
    VOLTAGE_RATIO,
    ClassId,
)
from quince.protocols.dlms.cosem.profile import (
    PROFILE_PERIOD,
    Layout,
    read_columns,
)
from quince.protocols.dlms.cosem.register import UNITS, Scale, scale_of
from quince.protocols.dlms.cosem.rows import Plain, read_rows
from quince.protocols.dlms.cosem.selection import Range, range_access
from quince.protocols.dlms.encoding.axdr import Data, Value
from quince.protocols.dlms.encoding.tags import Tag
from quince.protocols.dlms.errors import AccessRefusedError

_REGISTERS = (ClassId.REGISTER, ClassId.EXTENDED_REGISTER)
_SCALED = (*_REGISTERS, ClassId.DEMAND_REGISTER)
_VALUED = (ClassId.DATA, *_SCALED, ClassId.CLOCK)
_MOMENTARY_D = 7
# Sums and phases are C = 1..80, angles 81; what is above is no quantity of a supply.
_QUANTITIES = range(1, 82)
# Three phases of ten quantities, their sums, and what a maker adds.
MOMENTARIES_MAX = 96
# A day of a year: no meter's clock captures more rarely.
PERIOD_S_MAX = 86_400
LOGS_MAX = 16  # standard, fraud, quality, switch, M-Bus …; meters have half a dozen
_THOUSANDTHS = Decimal(1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gauge:
    """A register that shows a momentary value, and what it is to be scaled with."""

    value: Ref
    scale: Scale


class DlmsInspector(DlmsControl):
    """The Inspector of a DLMS session, besides its Controller."""

    def __init__(self, dialogue: Dialogue, time: MeterTime, keys: KeyRing | None) -> None:
        """Take what the Controller takes."""
        super().__init__(dialogue, time, keys)
        self._gauges: Sequence[_Gauge] | None = None

    # -- momentary values ----------------------------------------------------------------

    async def momentaries(self) -> list[Momentary]:
        """Return the registers of momentary quantities, with the meter's time just before."""
        if self._gauges is None:
            self._gauges = await self._find_gauges()
        at_utc = self._time.read((await self._dialogue.get(CLOCK_TIME)).as_octets()).at_utc
        values = await self._dialogue.get_all([gauge.value for gauge in self._gauges])
        return [
            Momentary(
                obis=gauge.value.obis,
                at_utc=at_utc,
                thousandths=_thousandths(value, gauge.scale),
                unit=UNITS.get(gauge.scale.unit, ""),
            )
            for gauge, value in zip(self._gauges, values, strict=True)
        ]

    async def _find_gauges(self) -> Sequence[_Gauge]:
        values = sorted(
            (
                Ref(one.class_id, one.obis, 2)
                for one in await self._listed()
                if one.class_id in _REGISTERS and _is_momentary(one.obis) and one.may_read(2)
            ),
            key=lambda ref: ref.obis,
        )[:MOMENTARIES_MAX]
        if not values:
            raise UnsupportedError("the meter lists no momentary values")
        scales = await self._dialogue.get_all([scale_of(value) for value in values])
        return [
            _Gauge(value=value, scale=Scale.read(scale))
            for value, scale in zip(values, scales, strict=True)
        ]

    # -- by name -------------------------------------------------------------------------

    async def values(self, names: Sequence[Obis]) -> list[Named]:
        """Return the second attribute of each: what its value is in every class that has one."""
        listed = {
            one.obis: Ref(one.class_id, one.obis, 2)
            for one in await self._listed()
            if one.class_id in _VALUED and one.may_read(2)
        }
        refs = [listed[name] for name in require_all(names, listed)]
        scaled = [ref for ref in refs if ref.class_id in _SCALED]
        values = await self._dialogue.get_all(refs)
        told = await self._dialogue.get_all([scale_of(ref) for ref in scaled])
        scales = dict(zip(scaled, map(Scale.read, told), strict=True))
        return [
            self._named(ref, data, scales.get(ref)) for ref, data in zip(refs, values, strict=True)
        ]

    def _named(self, ref: Ref, data: Data, scale: Scale | None) -> Named:
        unit = ""
        if ref.class_id == ClassId.CLOCK:
            value = f"{self._time.read(data.as_octets()).at_utc:%Y-%m-%d %H:%M:%SZ}"
        elif scale is not None and isinstance(data.value, int | float):
            value = f"{Decimal(str(data.value)).scaleb(scale.scaler):f}"
            unit = UNITS.get(scale.unit, "")
        else:
            value = _plain(data)
        return Named(obis=ref.obis, value=value, unit=unit)

    async def transformers(self) -> Transformers:
        """Return the two ratios, if the meter has them as plain data."""
        replies = await self._dialogue.ask((*CURRENT_RATIO, *VOLTAGE_RATIO))
        told = [_whole(reply) for reply in replies]
        return Transformers(current=_ratio(*told[:2]), voltage=_ratio(*told[2:]))

    # -- objects -------------------------------------------------------------------------

    async def objects(self) -> list[ListedObject]:
        """Return the association's object list."""
        return [
            ListedObject(
                name=str(one.obis),
                kind=class_name(one.class_id),
                version=one.version,
                readable=tuple(sorted(one.readable)),
                writable=tuple(sorted(one.writable)),
                methods=tuple(sorted(one.methods)),
            )
            for one in sorted(await self._listed(), key=lambda one: (one.obis, one.class_id))
        ]

    async def _listed(self) -> Sequence[ObjectDescription]:
        listed = await self._dialogue.get_if_any(OBJECT_LIST)
        if listed is None:
            raise UnsupportedError("the meter gives no list of its objects")
        return read_object_list(listed)

    # -- events --------------------------------------------------------------------------

    async def events(self, start_utc: datetime, end_utc: datetime) -> list[LoggedEvent]:
        """Return what the event logs captured in [start_utc, end_utc], the oldest first.

        A log that takes no range is read whole.
        """
        logs = sorted(
            one.obis
            for one in await self._listed()
            if one.class_id == ClassId.PROFILE and _is_log(one.obis) and one.may_read(2)
        )
        if not logs:
            raise UnsupportedError("the meter lists no event log")
        events = [
            event for log in logs[:LOGS_MAX] for event in await self._log(log, start_utc, end_utc)
        ]
        return sorted(events, key=lambda event: event.at_utc)

    async def _log(self, log: Obis, start_utc: datetime, end_utc: datetime) -> list[LoggedEvent]:
        columns = read_columns(await self._dialogue.get(Ref(ClassId.PROFILE, log, 3)))
        layout = Layout(columns=columns, period_s=0)
        code = next((i for i, each in enumerate(columns) if i != layout.clock), None)
        if code is None:
            return []  # a log of times alone tells nothing
        buffer = await self._buffer(Ref(ClassId.PROFILE, log, 2), start_utc, end_utc)
        rows = read_rows(buffer, layout, self._time)
        seconds = range(int(start_utc.timestamp()), int(end_utc.timestamp()) + 1)
        return [
            _event(log, at_s, value)
            for at_s, value in zip(rows.at_s, rows.columns[code], strict=True)
            if at_s in seconds
        ]

    async def _buffer(self, buffer: Ref, start_utc: datetime, end_utc: datetime) -> Value:
        access = range_access(Range(from_utc=start_utc, to_utc=end_utc), self._time)
        try:
            return await self._dialogue.get_selected(buffer, access)
        except AccessRefusedError as refusal:
            if refusal.is_temporary:
                raise
            return await self._dialogue.get(buffer)

    # -- the capture period --------------------------------------------------------------

    async def capture_period_s(self) -> int:
        """Return how many seconds the load profile's rows are apart."""
        return (await self._dialogue.get(PROFILE_PERIOD)).as_int()

    async def set_capture_period(self, period_s: int) -> None:
        """Change that; RemoteProtocolError if the meter shows another one thereafter."""
        if not 1 <= period_s <= PERIOD_S_MAX:
            raise InvalidValueError("period_s", period_s, f"1..{PERIOD_S_MAX}")
        await self._dialogue.set(PROFILE_PERIOD, Data(Tag.UINT32, period_s))
        shown_s = await self.capture_period_s()
        if shown_s != period_s:
            raise RemoteProtocolError(f"the period was set to {period_s} s, and shows {shown_s} s")


def _plain(data: Data) -> str:
    """Return a value in a line: text where its octets spell one, their digits where not."""
    if not isinstance(data.value, bytes):
        return str(data.value) if isinstance(data.value, int | float) else data.tag.name.lower()
    is_text = data.value.isascii() and data.value.decode("latin-1").isprintable()
    return data.value.decode("latin-1") if is_text else data.value.hex()


def _whole(reply: Reply) -> int | None:
    """Return the number of a reply; None for a refusal, and for what is no whole number."""
    try:
        value = reply.require().value
    except AccessRefusedError:
        return None
    return value if isinstance(value, int) and value > 0 else None


def _ratio(above: int | None, below: int | None) -> str:
    if above is None:
        return ""
    return str(above) if below is None else f"{above}/{below}"


def _is_momentary(obis: Obis) -> bool:
    return obis.a == 1 and obis.d == _MOMENTARY_D and obis.c in _QUANTITIES


def _is_log(obis: Obis) -> bool:
    return (obis.a, obis.c, obis.d) == (EVENT_LOG.a, EVENT_LOG.c, EVENT_LOG.d)


def _thousandths(data: Data, scale: Scale) -> int:
    """Return a value in thousandths of its unit, rounded; some meters write floats."""
    number = data.value if isinstance(data.value, float) else data.as_int()
    try:
        scaled = Decimal(number).scaleb(scale.scaler) * _THOUSANDTHS
        return int(scaled.to_integral_value(ROUND_HALF_EVEN))
    except (ArithmeticError, ValueError) as error:  # no number, or an infinite one
        raise CodecError(f"a momentary value of {number}") from error


def _event(log: Obis, at_s: int, value: Plain) -> LoggedEvent:
    if isinstance(value, bool) or not isinstance(value, int):
        raise CodecError(f"{log} logs something else than numbers")
    at_utc = datetime.fromtimestamp(at_s, UTC)
    text = EVENT_TEXTS.get(value, "") if log == EVENT_LOG else ""
    return LoggedEvent(log=log, at_utc=at_utc, code=value, text=text)
