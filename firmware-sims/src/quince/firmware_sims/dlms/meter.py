"""The object model of a simulated DLMS meter: which objects it has, and who may see them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import SystemRandom
from zoneinfo import ZoneInfo

from quince.firmware_sims.dlms.clock import MeterClock
from quince.firmware_sims.dlms.event_log import Event, EventLog
from quince.firmware_sims.dlms.identity import data_object, identity_objects, ratio_objects
from quince.firmware_sims.dlms.image import ImageTransfer
from quince.firmware_sims.dlms.load_profile import Captures, LoadProfile
from quince.firmware_sims.dlms.momentaries import MomentaryRegisters
from quince.firmware_sims.dlms.objects import MeterObject
from quince.firmware_sims.dlms.registers import EnergyRegisters
from quince.firmware_sims.dlms.relay import Limiter, Relay
from quince.firmware_sims.dlms.security_setup import SecuritySetup
from quince.firmware_sims.load import Household, Supply
from quince.firmware_sims.phases import Wiring
from quince.model.clock import Clock
from quince.model.errors import InvalidValueError
from quince.model.rng import Rng
from quince.protocols.dlms.apdu.reference import Access, AccessResult, Ref
from quince.protocols.dlms.association.objects import ObjectModel
from quince.protocols.dlms.cosem.association import OBJECT_LIST, encode_object_list
from quince.protocols.dlms.cosem.disconnect import NOTHING, ControlMode
from quince.protocols.dlms.cosem.names import ASSOCIATION, EVENT_CODE, ClassId
from quince.protocols.dlms.encoding.axdr import Data, Value
from quince.protocols.dlms.security.credentials import Authentication, NoSecurity

_FIRMWARE = b"QNC-1.0.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """How a meter is made: its clock, its profile, its switch, its wiring, and its weaknesses.

    `zone` has daylight saving where the household's fixed offset has none; `loses_blocks` are
    blocks of firmware that are acknowledged and lost, once each; `current_ratio` is that of the
    transformers before it, as 200 and 5.
    """

    zone: ZoneInfo | None = None
    drift_ppm: int = 0
    captures: Captures = field(default_factory=Captures)
    relay: ControlMode = ControlMode.RECONNECTED_REMOTELY
    relay_motion_s: int = 0
    wiring: Wiring = field(default_factory=Wiring)
    block_octets: int = 128
    verify_s: int = 5
    restart_s: int = 5
    loses_blocks: Collection[int] = ()
    current_ratio: tuple[int, int] | None = None


class DlmsMeter:
    """One meter: it measures `household` while `supply` is on, and answers from its objects.

    A client that proves itself by one of `accepts` sees everything. One that proves nothing, where
    others must, is the public client: it reads clock and names, and is told of nothing else.
    """

    def __init__(  # noqa: PLR0913 - what a meter is put together from
        self,
        *,
        device_id: str,
        household: Household,
        supply: Supply,
        clock: Clock,
        accepts: Sequence[Authentication] = (NoSecurity(),),
        build: Build | None = None,
        rng: Rng | None = None,
    ) -> None:
        if not device_id.isascii() or not device_id.isprintable() or not device_id:
            raise InvalidValueError("device_id", device_id, "printable ASCII")
        build = build or Build()
        self.device_id = device_id
        self.household = household
        self.supply = supply
        self.clock = clock
        self.rng = rng or SystemRandom()
        self.meter_clock = MeterClock(
            clock,
            utc_offset_min=household.utc_offset_min,
            zone=build.zone,
            drift_ppm=build.drift_ppm,
        )
        self.log = EventLog(self.meter_clock, clock, supply)
        self.relay = Relay(supply, clock, self.log, mode=build.relay, motion_s=build.relay_motion_s)
        self._security = SecuritySetup(accepts, clock)
        self._firmware = _FIRMWARE
        self._restart_for = timedelta(seconds=build.restart_s)
        self._restarted_utc: datetime | None = None
        self._objects = {(one.class_id, one.name): one for one in self._made(build)}

    @property
    def accepts(self) -> tuple[Authentication, ...]:
        """How clients may prove themselves from now on, by the keys as they now are."""
        return self._security.accepts

    @property
    def is_on(self) -> bool:
        """Whether the meter has power and is not just starting anew, and so answers."""
        now_utc = self.clock.now_utc()
        if self._restarted_utc is not None and now_utc < self._restarted_utc:
            return False
        return self.supply.is_on(now_utc)

    def date_time(self, at_utc: datetime) -> bytes:
        """Return what this meter's clock showed at a moment, as it writes it."""
        return self.meter_clock.write(self.meter_clock.shows(at_utc))

    def open_cover(self) -> None:
        """Remove the terminal cover: the meter notes it."""
        self.log.note(Event.COVER_REMOVED)

    def close_cover(self) -> None:
        """Put the terminal cover back: the meter notes that too."""
        self.log.note(Event.COVER_CLOSED)

    # -- what clients ask ----------------------------------------------------------------

    def get(self, ref: Ref, access: Access | None) -> Value | AccessResult:
        """Return an attribute, or the selected part of it."""
        found = self._objects.get((ref.class_id, ref.obis))
        return AccessResult.OBJECT_UNDEFINED if found is None else found.get(ref.index, access)

    def set(self, ref: Ref, data: Data) -> AccessResult:
        """Write an attribute."""
        found = self._objects.get((ref.class_id, ref.obis))
        return AccessResult.OBJECT_UNDEFINED if found is None else found.set(ref.index, data)

    def action(self, ref: Ref, data: Data | None) -> tuple[AccessResult, Data | None]:
        """Call a method; none here returns anything."""
        found = self._objects.get((ref.class_id, ref.obis))
        if found is None:
            return AccessResult.OBJECT_UNDEFINED, None
        return found.call(ref.index, NOTHING if data is None else data), None

    def public_view(self) -> ObjectModel:
        """Return what a client sees that proves nothing: all, where nobody has to."""
        return PublicView(self) if len(self.accepts) > 1 else self

    def public_objects(self) -> list[MeterObject]:
        """Return the objects that a client may read that proves nothing."""
        return [one for one in self._objects.values() if one.is_public]

    # -- what it is made of --------------------------------------------------------------

    def _made(self, build: Build) -> list[MeterObject]:
        registers = EnergyRegisters(self.household, self.supply)
        profile = LoadProfile(
            build.captures,
            clock=self.meter_clock,
            truth=self.clock,
            supply=self.supply,
            registers=registers,
        )
        momentaries = MomentaryRegisters(self.household, self.supply, self.clock, build.wiring)
        image = ImageTransfer(
            self.clock,
            block_octets=build.block_octets,
            verify_s=build.verify_s,
            loses=build.loses_blocks,
            on_activated=self._restart,
        )
        return [
            *identity_objects(self.device_id.encode(), lambda: self._firmware),
            *ratio_objects(build.current_ratio),
            self.meter_clock.described(on_set=self._clock_was_set),
            *registers.described(self.clock),
            *momentaries.described(),
            profile.described(),
            self.log.described(),
            data_object(EVENT_CODE, self.log.last_code),
            self.relay.described(),
            Limiter().described(),
            image.described(),
            *self._security.described(),
            self._association(),
        ]

    def _association(self) -> MeterObject:
        def tell() -> Data:
            return encode_object_list([one.describe() for one in self._objects.values()])

        return MeterObject(
            class_id=ClassId.ASSOCIATION, version=1, name=ASSOCIATION, reads={2: tell}
        )

    def _clock_was_set(self, before_utc: datetime, after_utc: datetime) -> None:
        self.log.note(Event.CLOCK_ADJUSTED_FROM, before_utc)
        self.log.note(Event.CLOCK_ADJUSTED_TO, after_utc)

    def _restart(self, firmware: bytes) -> None:
        self._firmware = firmware
        self.log.note(Event.FIRMWARE_ACTIVATED)
        self._restarted_utc = self.clock.now_utc() + self._restart_for


class PublicView:
    """What the public client sees of a meter: clock and names, to be read."""

    def __init__(self, meter: DlmsMeter) -> None:
        self._meter = meter
        self._names = {(one.class_id, one.name) for one in meter.public_objects()}

    def get(self, ref: Ref, access: Access | None) -> Value | AccessResult:
        """Return an attribute of a public object, or the list of these objects."""
        if ref == OBJECT_LIST and access is None:
            return encode_object_list([one.describe() for one in self._meter.public_objects()])
        if (ref.class_id, ref.obis) not in self._names:
            return AccessResult.OBJECT_UNDEFINED
        return self._meter.get(ref, access)

    def set(self, ref: Ref, data: Data) -> AccessResult:
        """Refuse."""
        del ref, data
        return AccessResult.READ_WRITE_DENIED

    def action(self, ref: Ref, data: Data | None) -> tuple[AccessResult, Data | None]:
        """Refuse."""
        del ref, data
        return AccessResult.READ_WRITE_DENIED, None
