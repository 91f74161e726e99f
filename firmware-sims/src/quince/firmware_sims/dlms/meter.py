"""The object model of a simulated DLMS meter: clock, register, load profile, names."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from random import SystemRandom

from quince.firmware_sims.load import Household, Supply, metered_wh
from quince.model.clock import Clock
from quince.model.errors import CodecError, InvalidValueError
from quince.model.interval import SLOTS_PER_DAY, STEP, STEP_S, floor_boundary
from quince.model.obis import Obis
from quince.model.rng import Rng
from quince.protocols.dlms.apdu.reference import Access, AccessResult, Ref
from quince.protocols.dlms.association.states import Authentication, NoSecurity
from quince.protocols.dlms.cosem import objects as cosem
from quince.protocols.dlms.encoding.axdr import Data, Tag, array, octet_string, structure
from quince.protocols.dlms.encoding.date_time import encode_date_time

_LOGICAL_NAME = 1
_REGISTER_VALUES = 2**32  # a double-long-unsigned register rolls over, as real ones do
_PROFILE_DAYS_MAX = 400
_COLUMNS = (
    cosem.Column(ref=cosem.CLOCK_TIME),
    cosem.Column(ref=cosem.PROFILE_STATUS),
    cosem.Column(ref=cosem.ACTIVE_IMPORT),
)
# Class, version of the class, logical name.
_OBJECTS = (
    (cosem.CLASS_DATA, 0, cosem.LOGICAL_DEVICE_NAME.obis),
    (cosem.CLASS_DATA, 0, cosem.DEVICE_ID.obis),
    (cosem.CLASS_DATA, 0, cosem.PROFILE_STATUS.obis),
    (cosem.CLASS_CLOCK, 0, cosem.CLOCK_TIME.obis),
    (cosem.CLASS_REGISTER, 0, cosem.ACTIVE_IMPORT.obis),
    (cosem.CLASS_PROFILE, 1, cosem.LOAD_PROFILE),
    (cosem.CLASS_ASSOCIATION, 1, cosem.OBJECT_LIST.obis),
)
_NAMES = frozenset((class_id, obis) for class_id, _version, obis in _OBJECTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class DlmsMeter:
    """One meter: it measures `household` while `supply` is on, and answers from its objects.

    The profile keeps `profile_days` days of rows, each stamped with the END of its quarter-hour
    and holding the register as it stood then. A boundary in the dark has no row; the first row
    behind it says so in its status. Local time is the household's, at a fixed offset.
    """

    device_id: str
    household: Household
    supply: Supply
    clock: Clock
    accepts: tuple[Authentication, ...] = (NoSecurity(),)
    profile_days: int = 45
    rng: Rng = field(default_factory=SystemRandom)

    def __post_init__(self) -> None:
        if not self.device_id.isascii() or not self.device_id.isprintable() or not self.device_id:
            raise InvalidValueError("device_id", self.device_id, "printable ASCII")
        if not 1 <= self.profile_days <= _PROFILE_DAYS_MAX:
            raise InvalidValueError("profile_days", self.profile_days, f"1..{_PROFILE_DAYS_MAX}")

    @property
    def is_on(self) -> bool:
        """Whether the meter has power, and so answers."""
        return self.supply.is_on(self.clock.now_utc())

    def date_time(self, at_utc: datetime) -> bytes:
        """Return a moment as this meter writes it."""
        return encode_date_time(at_utc, utc_offset_min=self.household.utc_offset_min)

    def get(self, ref: Ref, access: Access | None) -> Data | AccessResult:
        """Return an attribute; only the profile's buffer can be selected from."""
        if ref == cosem.PROFILE_BUFFER:
            return self._buffer(access)
        if (ref.class_id, ref.obis) not in _NAMES:
            return AccessResult.OBJECT_UNDEFINED
        if access is not None:
            return AccessResult.SCOPE_OF_ACCESS_VIOLATED
        if ref.index == _LOGICAL_NAME:
            return octet_string(bytes(ref.obis))
        if ref == cosem.PROFILE_ENTRIES_IN_USE:
            return Data(Tag.UINT32, len(self._boundaries()))
        return self._attributes().get(ref, AccessResult.READ_WRITE_DENIED)

    def set(self, ref: Ref, data: Data) -> AccessResult:
        """Refuse: nothing in this meter can be written."""
        del ref, data
        return AccessResult.READ_WRITE_DENIED

    def action(self, ref: Ref, data: Data | None) -> tuple[AccessResult, Data | None]:
        """Refuse: this meter has no methods but the association's own."""
        del ref, data
        return AccessResult.READ_WRITE_DENIED, None

    # -- attributes ----------------------------------------------------------------------

    def _attributes(self) -> dict[Ref, Data]:
        now_utc = self.clock.now_utc()
        name = self.device_id.encode()
        scale = structure(Data(Tag.INT8, 0), Data(Tag.ENUM, cosem.UNIT_WH))
        return {
            cosem.LOGICAL_DEVICE_NAME: octet_string(b"QNC" + name),
            cosem.DEVICE_ID: octet_string(name),
            cosem.PROFILE_STATUS: Data(Tag.UINT8, 0),
            cosem.CLOCK_TIME: octet_string(self.date_time(now_utc)),
            cosem.CLOCK_ZONE: Data(Tag.INT16, -self.household.utc_offset_min),
            cosem.ACTIVE_IMPORT: self._register(now_utc),
            cosem.ACTIVE_IMPORT_SCALE: scale,
            cosem.PROFILE_COLUMNS: array(column.encode() for column in _COLUMNS),
            cosem.PROFILE_PERIOD: Data(Tag.UINT32, STEP_S),
            cosem.OBJECT_LIST: array(_describe(*each) for each in _OBJECTS),
        }

    def _register(self, at_utc: datetime) -> Data:
        energy_wh = metered_wh(self.household, self.supply, at_utc)
        return Data(Tag.UINT32, energy_wh % _REGISTER_VALUES)

    # -- the profile ---------------------------------------------------------------------

    def _buffer(self, access: Access | None) -> Data | AccessResult:
        try:
            return self._selected(access)
        except CodecError:
            return AccessResult.TYPE_UNMATCHED

    def _selected(self, access: Access | None) -> Data:
        boundaries, picked = self._boundaries(), tuple(range(len(_COLUMNS)))
        if access is None:
            return self._rows(boundaries, picked)
        if access.selector == cosem.BY_RANGE:
            offset_min = self.household.utc_offset_min
            selection = cosem.read_range(access.parameter, fallback_offset_min=offset_min)
            low = bisect_left(boundaries, selection.from_utc)
            high = bisect_right(boundaries, selection.to_utc)
            return self._rows(boundaries[low:high], _positions(selection.columns) or picked)
        if access.selector == cosem.BY_ENTRY:
            entries = cosem.read_entries(access.parameter)
            return self._rows(
                boundaries[entries.first - 1 : entries.last or None],
                picked[entries.first_column - 1 : entries.last_column or None],
            )
        raise CodecError(f"selector {access.selector}")

    def _boundaries(self) -> list[datetime]:
        last = floor_boundary(self.clock.now_utc())
        count = self.profile_days * SLOTS_PER_DAY
        kept = [last - back * STEP for back in range(count - 1, -1, -1)]
        for from_utc, to_utc in self.supply.outages:
            del kept[bisect_left(kept, from_utc) : bisect_left(kept, to_utc)]
        return kept

    def _rows(self, boundaries: Iterable[datetime], picked: Iterable[int]) -> Data:
        return array(self._row(boundary, picked) for boundary in boundaries)

    def _row(self, boundary: datetime, picked: Iterable[int]) -> Data:
        was_cut = self.supply.was_cut(boundary - STEP, boundary)
        row = (
            octet_string(self.date_time(boundary)),
            Data(Tag.UINT8, cosem.STATUS_POWER_DOWN if was_cut else 0),
            self._register(boundary),
        )
        return structure(*(row[position] for position in picked))


def _positions(columns: tuple[cosem.Column, ...]) -> tuple[int, ...]:
    try:
        return tuple(_COLUMNS.index(column) for column in columns)
    except ValueError:
        raise CodecError("a column that is not captured") from None


def _describe(class_id: int, version: int, obis: Obis) -> Data:
    no_rights_told = structure(array(()), array(()))
    return structure(
        Data(Tag.UINT16, class_id),
        Data(Tag.UINT8, version),
        octet_string(bytes(obis)),
        no_rights_told,
    )
