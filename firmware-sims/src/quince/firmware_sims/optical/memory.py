"""What a simulated optical meter remembers: its registers now, and its load profile.

Law: every number comes from the household and its supply, in whole Wh; a quarter-hour without
mains from end to end was never recorded.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from quince.firmware_sims.load import Household, Supply, metered_wh
from quince.model.interval import STEP, STEP_S, floor_boundary
from quince.protocols.optical.iec62056_21.datasets import (
    DataSet,
    Value,
    clock_data_sets,
    render_energy,
)
from quince.protocols.optical.iec62056_21.profile import Channel, Section, Status

# VDEW meters keep about two months of quarter-hours; older ones are overwritten.
PROFILE_DEPTH = timedelta(days=60)
_CHANNELS = (Channel(address="1.29.0", unit="kWh"), Channel(address="1.8.0", unit="kWh"))


@dataclass(frozen=True, slots=True)
class _Row:
    """One recorded quarter-hour: its energy, and the register at its end."""

    end_utc: datetime
    status: int
    values: tuple[str, str]

    def follows(self, before: "_Row") -> bool:
        """Whether this row needs no section of its own after `before`."""
        return self.end_utc == before.end_utc + STEP and self.status == before.status


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """One household's meter; local time is UTC plus `utc_offset_min`."""

    household: Household
    supply: Supply
    serial: str
    utc_offset_min: int

    def data_image(self, now_utc: datetime, shown_utc: datetime) -> list[DataSet]:
        """Return the read-out at the whole second of `now_utc`, when the clock shows another."""
        register_wh = metered_wh(self.household, self.supply, now_utc.replace(microsecond=0))
        return [
            DataSet("F.F", (Value("00000000"),)),
            DataSet("0.0.0", (Value(self.serial),)),
            *clock_data_sets(shown_utc.replace(microsecond=0), self.utc_offset_min),
            DataSet("1.8.0", (Value(render_energy(register_wh), "kWh"),)),
        ]

    def sections(
        self, first_end_utc: datetime, last_end_utc: datetime, now_utc: datetime
    ) -> list[Section]:
        """Return the recorded quarter-hours that end at or between the two moments."""
        begin_utc = max(first_end_utc, now_utc - PROFILE_DEPTH)
        end_utc = floor_boundary(begin_utc)
        if end_utc < begin_utc:
            end_utc += STEP
        rows: list[_Row] = []
        while end_utc <= min(last_end_utc, now_utc):
            rows.extend(self._row(end_utc))
            end_utc += STEP
        return list(_sections(rows))

    def _row(self, end_utc: datetime) -> Iterator[_Row]:
        start_utc = end_utc - STEP
        status = 0
        for from_utc, to_utc in self.supply.outages:
            if from_utc <= start_utc and end_utc <= to_utc:
                return
            if start_utc <= from_utc < end_utc:
                status |= Status.POWER_FAILURE
            if start_utc < to_utc <= end_utc:
                status |= Status.POWER_RECOVERY
        begun_wh = metered_wh(self.household, self.supply, start_utc)
        ended_wh = metered_wh(self.household, self.supply, end_utc)
        yield _Row(end_utc, status, (render_energy(ended_wh - begun_wh), render_energy(ended_wh)))


def _sections(rows: list[_Row]) -> Iterator[Section]:
    """Begin a new section after every gap and every change of status."""
    begins = [i for i, row in enumerate(rows) if i == 0 or not row.follows(rows[i - 1])]
    for begin, end in pairwise([*begins, len(rows)]):
        yield Section(
            first_end_utc=rows[begin].end_utc,
            status=rows[begin].status,
            period_min=STEP_S // 60,
            channels=_CHANNELS,
            rows=tuple(row.values for row in rows[begin:end]),
        )
