"""A meter as the agent sees it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from quince.edge.readers.reader import Instrument
from quince.model.obis import Obis


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterPlan:
    """How to open a session with a meter, and how to read it.

    `measured_as` names what stands between a register and its energy: two samples that differ in
    it enclose nothing.
    """

    meter_id: str
    bus: str
    keeps_profile: bool
    utc_offset_min: int
    connect: Callable[[], AbstractAsyncContextManager[Instrument]]
    rolls_over_at: Mapping[Obis, int] = field(default_factory=dict)
    measured_as: str = ""
