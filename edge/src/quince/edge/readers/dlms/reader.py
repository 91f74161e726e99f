"""Reads DLMS/COSEM meters: who they are, their clock, their registers, their load profile.

A profile holds registers as they stood at the end of each quarter-hour, or the energy of each; of
registers an interval is what they grew by between two neighbouring rows. Where a row is missing,
both its intervals are.
"""

from collections.abc import Container, MutableMapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

import structlog

from quince.edge.errors import UnsupportedError
from quince.edge.readers.dlms.control import KeyRing
from quince.edge.readers.dlms.dialogue import Dialogue, Heard, pass_over
from quince.edge.readers.dlms.inspection import DlmsInspector
from quince.edge.readers.dlms.profile import (
    Energy,
    ProfilePlan,
    energy_columns,
    is_register,
    read_piece,
)
from quince.edge.readers.reader import Identity, ProfilePiece
from quince.edge.transports import Transport
from quince.model.errors import CodecError
from quince.model.interval import RegisterReading
from quince.model.obis import ACTIVE_IMPORT_REGISTER
from quince.protocols.dlms.apdu.reference import AccessResult, Ref
from quince.protocols.dlms.association.session import MeterSession
from quince.protocols.dlms.cosem import names
from quince.protocols.dlms.cosem.association import OBJECT_LIST, read_object_list
from quince.protocols.dlms.cosem.clock import CLOCK_TIME, ClockQuirk, MeterTime
from quince.protocols.dlms.cosem.profile import (
    PROFILE_BUFFER,
    PROFILE_COLUMNS,
    PROFILE_PERIOD,
    PROFILE_SORT_METHOD,
    Layout,
    SortMethod,
    read_columns,
    read_sort_method,
)
from quince.protocols.dlms.cosem.register import Scale, scale_of
from quince.protocols.dlms.cosem.rows import ProfileRows, read_rows
from quince.protocols.dlms.cosem.selection import Range, range_access
from quince.protocols.dlms.encoding.axdr import Data
from quince.protocols.dlms.errors import AccessRefusedError

log = structlog.get_logger()

_MAKER_OCTETS = 3  # a logical device name begins with the maker's three letters
# A meter that takes ranges in its local time may be on summer time, which we do not know of.
_SUMMER_TIME = timedelta(hours=1)


class Quirk(StrEnum):
    """What a meter does otherwise than the standard says, as its configuration names it."""

    DEVIATION_INVERTED = ClockQuirk.DEVIATION_INVERTED.value
    NO_DEVIATION_STANDARD_TIME = ClockQuirk.NO_DEVIATION_STANDARD_TIME.value
    # It wants the times of a range without a deviation; it is asked so first, else last.
    RANGE_WITHOUT_DEVIATION = "range_without_deviation"


class DlmsReader(DlmsInspector):
    """An associated session with one meter: an Instrument.

    `utc_offset_min` serves meters that leave their deviation out. `layouts` is what sessions tell
    their successors: the layout last seen of each meter's profile.
    """

    def __init__(  # noqa: PLR0913 - what a session stands on
        self,
        transport: Transport,
        session: MeterSession,
        *,
        meter_id: str,
        utc_offset_min: int,
        quirks: Container[str] = (),
        layouts: MutableMapping[str, str] | None = None,
        keys: KeyRing | None = None,
        heard: Heard = pass_over,
    ) -> None:
        """Take an open line; `heard` takes what the meter says unasked."""
        time = MeterTime(standard_offset_min=utc_offset_min, quirks=quirks)
        super().__init__(Dialogue(transport, session, heard), time, keys)
        self._meter_id = meter_id
        self._layouts = {} if layouts is None else layouts
        self._with_deviation = Quirk.RANGE_WITHOUT_DEVIATION not in quirks
        self._plan: ProfilePlan | None = None

    async def associate(self) -> None:
        """Connect the link and prove who we are, both ways."""
        await self._dialogue.associate()

    async def release(self) -> None:
        """Say good-bye."""
        await self._dialogue.release()

    # -- who and when --------------------------------------------------------------------

    async def identify(self) -> Identity:
        """Return who the meter says it is; its serial number is its device name without one."""
        device = await self._first_text(names.LOGICAL_DEVICE_NAME)
        serial = await self._first_text(names.SERIAL_NUMBER, names.DEVICE_ID)
        firmware = await self._first_text(names.FIRMWARE_ID, names.FIRMWARE_ID_ABSTRACT)
        return Identity(serial=serial or device, maker=device[:_MAKER_OCTETS], firmware=firmware)

    async def _first_text(self, *refs: Ref) -> str:
        for ref in refs:
            data = await self._dialogue.get_if_any(ref)
            if data is not None and (text := _text(data)):
                return text
        return ""

    async def clock(self) -> datetime:
        """Return the meter's time in UTC."""
        return self._time.read((await self._dialogue.get(CLOCK_TIME)).as_octets()).at_utc

    # -- registers -----------------------------------------------------------------------

    async def registers(self) -> list[RegisterReading]:
        """Return the energy registers, with the meter's time just before they were read.

        All that the object list offers of active and reactive energy, in and out, and their
        tariff rates; active import alone where the meter gives no list.
        """
        values = await self._register_refs()
        at_utc = await self.clock()
        amounts = await self._dialogue.get_all(values)
        return [
            self._reading(energy, amount, at_utc)
            for energy, amount in zip(await self._energies(values), amounts, strict=True)
        ]

    async def _register_refs(self) -> list[Ref]:
        listed = await self._dialogue.get_if_any(OBJECT_LIST)
        if listed is None:
            return [names.ACTIVE_IMPORT]
        values = sorted(
            (Ref(one.class_id, one.obis, 2) for one in read_object_list(listed) if one.may_read(2)),
            key=lambda ref: ref.obis,
        )
        wanted = [value for value in values if is_register(value)]
        if ACTIVE_IMPORT_REGISTER not in [value.obis for value in wanted]:
            raise UnsupportedError("the meter has no register of active import")
        return wanted

    def _reading(self, energy: Energy, data: Data, at_utc: datetime) -> RegisterReading:
        amount = energy.scale.apply(data.as_int())
        if amount < 0:
            raise CodecError(f"register {energy.register} at {amount}")
        return RegisterReading(
            meter_id=self._meter_id, obis=energy.register, at_utc=at_utc, value=amount
        )

    async def _energies(self, values: Sequence[Ref]) -> list[Energy]:
        """Return what the values are to be scaled with, each in a column of its own."""
        scales = await self._dialogue.get_all([scale_of(value) for value in values])
        return [
            Energy(column=column, value=value, scale=Scale.read(scale))
            for column, (value, scale) in enumerate(zip(values, scales, strict=True))
        ]

    # -- the load profile ----------------------------------------------------------------

    async def intervals(self, start_utc: datetime, end_utc: datetime) -> ProfilePiece:
        """Return the quarter-hours of [start_utc, end_utc), and the registers at both borders."""
        plan = self._plan = self._plan or await self._read_plan()
        rows = await self._rows(plan.layout, start_utc, end_utc)
        return read_piece(rows, plan, meter_id=self._meter_id, start_utc=start_utc, end_utc=end_utc)

    async def _rows(self, layout: Layout, start_utc: datetime, end_utc: datetime) -> ProfileRows:
        """Return the rows of a range, asked for in the one manner and then in the other."""
        try:
            return await self._range(layout, start_utc, end_utc)
        except AccessRefusedError as refusal:
            if refusal.is_temporary:
                raise
            self._with_deviation = not self._with_deviation
            return await self._range(layout, start_utc, end_utc)

    async def _range(self, layout: Layout, start_utc: datetime, end_utc: datetime) -> ProfileRows:
        margin = timedelta(0) if self._with_deviation else _SUMMER_TIME
        selection = Range(from_utc=start_utc - margin, to_utc=end_utc + margin)
        access = range_access(selection, self._time, with_deviation=self._with_deviation)
        buffer = await self._dialogue.get_selected(PROFILE_BUFFER, access)
        return read_rows(buffer, layout, self._time)

    async def _read_plan(self) -> ProfilePlan:
        """Read what the profile captures: asked anew each session, for it may have changed."""
        attributes = (PROFILE_COLUMNS, PROFILE_PERIOD, PROFILE_SORT_METHOD)
        captured, period, sort_method = await self._dialogue.ask(attributes)
        is_sorted = sort_method.result is AccessResult.SUCCESS
        columns = read_columns(captured.require())
        layout = Layout(
            columns=columns,
            period_s=period.require().as_int(),
            sort_method=read_sort_method(sort_method.require()) if is_sorted else SortMethod.FIFO,
        )
        self._tell_of_change(layout.layout_id)
        energies = energy_columns(columns)
        scaled = zip(energies, await self._energies(list(energies.values())), strict=True)
        return ProfilePlan(
            layout=layout,
            energies=tuple(replace(energy, column=column) for column, energy in scaled),
        )

    def _tell_of_change(self, layout_id: str) -> None:
        before = self._layouts.setdefault(self._meter_id, layout_id)
        if before != layout_id:
            log.warning(
                "profile_layout_changed",
                meter_id=self._meter_id,
                before=before,
                after=layout_id,
            )
            self._layouts[self._meter_id] = layout_id


def _text(data: Data) -> str:
    """Return what a name's octets spell; their digits if they are no plain text."""
    octets = data.as_octets().rstrip(b"\0 ")
    is_plain = octets.isascii() and octets.decode("latin-1").isprintable()
    return octets.decode("ascii") if is_plain else octets.hex()
