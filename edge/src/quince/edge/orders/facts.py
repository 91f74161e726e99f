"""What one session with a meter tells of its installation; a question it fails costs no other."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TypeVar

from quince.edge.commissioning.drift import Drift, measure, set_right
from quince.edge.errors import TransportError, UnsupportedError
from quince.edge.readers.reader import Identity, Instrument, Momentary, SupplyState
from quince.model.clock import Clock
from quince.model.errors import QuinceError
from quince.model.interval import STEP, RegisterReading, floor_boundary

RECENT = 16  # the quarter-hours looked at: four hours, a visit and the journey to it

FactT = TypeVar("FactT")
Connect = Callable[[], AbstractAsyncContextManager[Instrument]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Untold:
    """What a meter did not tell: it has no such thing, or it should have and `is_fault`."""

    reason: str
    is_fault: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a meter told; `recent` are the last quarter-hours."""

    identity: Identity | Untold
    drift: Drift | Untold
    period_s: int | Untold
    recent: tuple[int | None, ...] | Untold
    registers: tuple[RegisterReading, ...] | Untold
    momentaries: tuple[Momentary, ...] | Untold
    supply: SupplyState | Untold


async def gather_facts(instrument: Instrument, clock: Clock) -> Facts:
    """Ask everything once; TransportError if the line breaks."""

    async def recent() -> tuple[int | None, ...]:
        end_utc = floor_boundary(clock.now_utc())
        piece = await instrument.intervals(end_utc - RECENT * STEP, end_utc)
        return piece.series.values

    async def registers() -> tuple[RegisterReading, ...]:
        return tuple(await instrument.registers())

    async def momentaries() -> tuple[Momentary, ...]:
        return tuple(await instrument.momentaries())

    return Facts(
        identity=await _told(instrument.identify),
        drift=await _told(lambda: measure(instrument, clock)),
        period_s=await _told(instrument.capture_period_s),
        recent=await _told(recent),
        registers=await _told(registers),
        momentaries=await _told(momentaries),
        supply=await _told(instrument.supply_state),
    )


async def correct_clock(connect: Connect, clock: Clock) -> Drift:
    """Set a meter's clock to ours, however far it is off, and return how far it is off then."""
    async with connect() as instrument:
        return await set_right(instrument, clock)


async def _told(question: Callable[[], Awaitable[FactT]]) -> FactT | Untold:
    try:
        return await question()
    except TransportError:
        raise
    except UnsupportedError as error:
        return Untold(reason=str(error), is_fault=False)
    except QuinceError as error:
        return Untold(reason=f"{error.code}: {error}", is_fault=True)
