"""How a scenario says what a simulated DLMS meter is made of, and what that comes to."""

from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from quince.firmware_sims.dlms.load_profile import Captures
from quince.firmware_sims.dlms.meter import Build
from quince.firmware_sims.dlms.profile import Style
from quince.firmware_sims.phases import Wiring
from quince.model.errors import InvalidValueError
from quince.model.obis import ACTIVE_IMPORT_REGISTER, Obis
from quince.protocols.dlms.cosem.disconnect import ControlMode

_MODES = {
    "none": ControlMode.NONE,
    "by-hand": ControlMode.RECONNECTED_BY_HAND,
    "remotely": ControlMode.RECONNECTED_REMOTELY,
}


def _named(name: str) -> str:
    """Refuse a time zone that this machine does not know."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"no time zone {name!r}") from error
    return name


def _quantity(name: str) -> str:
    try:
        Obis.parse(name)
    except InvalidValueError as error:
        raise ValueError(str(error)) from error
    return name


_Zone = Annotated[str, AfterValidator(_named)]
_Quantity = Annotated[str, AfterValidator(_quantity)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProfileConfig(_Strict):
    """What the load profile captures behind clock and status, and how it is told."""

    registers: tuple[_Quantity, ...] = (str(ACTIVE_IMPORT_REGISTER),)
    intervals: tuple[_Quantity, ...] = ()
    days: int = Field(default=45, ge=1, le=400)
    nulls: bool = False
    compact: bool = False
    newest_first: bool = False
    wants_deviation: bool | None = None

    def captures(self) -> Captures:
        """Return it as the meter has it."""
        return Captures(
            registers=tuple(map(Obis.parse, self.registers)),
            intervals=tuple(map(Obis.parse, self.intervals)),
            days=self.days,
            style=Style(
                nulls=self.nulls,
                compact=self.compact,
                newest_first=self.newest_first,
                wants_deviation=self.wants_deviation,
            ),
        )


_Phase = Literal[1, 2, 3]


class WiringConfig(_Strict):
    """What is wrong with how the meter is connected; nothing by default."""

    reversed_ct: frozenset[_Phase] = frozenset()
    swapped_ct: tuple[_Phase, _Phase] | None = None
    dead_phases: frozenset[_Phase] = frozenset()

    def wiring(self) -> Wiring:
        """Return it as the meter has it."""
        return Wiring(
            reversed_ct=frozenset(self.reversed_ct),
            swapped_ct=self.swapped_ct,
            dead_phases=frozenset(self.dead_phases),
        )


class BuildConfig(_Strict):
    """The meter's clock, profile, switch, wiring, and how it takes firmware."""

    timezone: _Zone | None = Field(default=None, description="with daylight saving, if it has any")
    drift_ppm: int = Field(default=0, ge=-10_000, le=10_000)
    profile: ProfileConfig = ProfileConfig()
    reconnects: Literal["none", "by-hand", "remotely"] = "remotely"
    switch_moves_s: int = Field(default=0, ge=0)
    wiring: WiringConfig = WiringConfig()
    firmware_block_octets: int = Field(default=128, ge=1, le=4096)
    firmware_verify_s: int = Field(default=5, ge=0)
    restart_s: int = Field(default=5, ge=0)
    loses_blocks: frozenset[int] = frozenset()

    def build(self) -> Build:
        """Return it as the meter is put together from it."""
        return Build(
            zone=None if self.timezone is None else ZoneInfo(self.timezone),
            drift_ppm=self.drift_ppm,
            captures=self.profile.captures(),
            relay=_MODES[self.reconnects],
            relay_motion_s=self.switch_moves_s,
            wiring=self.wiring.wiring(),
            block_octets=self.firmware_block_octets,
            verify_s=self.firmware_verify_s,
            restart_s=self.restart_s,
            loses_blocks=self.loses_blocks,
        )
