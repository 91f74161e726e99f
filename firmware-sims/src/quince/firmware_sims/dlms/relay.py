"""The meter's switch (disconnect control), and the limiter's thresholds."""

from datetime import datetime, timedelta

from quince.firmware_sims.dlms.event_log import Event, EventLog
from quince.firmware_sims.dlms.objects import MeterObject
from quince.firmware_sims.load import Supply
from quince.model.clock import Clock
from quince.protocols.dlms.apdu.reference import AccessResult
from quince.protocols.dlms.cosem.disconnect import ControlMode, ControlState
from quince.protocols.dlms.cosem.limiter import (
    OVER_DURATION,
    THRESHOLD_ACTIVE,
    THRESHOLD_NORMAL,
    Limit,
)
from quince.protocols.dlms.cosem.names import DISCONNECT_CONTROL, LIMITER, ClassId
from quince.protocols.dlms.encoding.axdr import Data
from quince.protocols.dlms.encoding.tags import Tag

# A house connection of 3 × 25 A, and two minutes of patience.
_LIMIT = Limit(power_w=17_250, over_s=120)


class Relay:
    """Switches the premise, `motion_s` after it was told to; until then it says so.

    Under RECONNECTED_BY_HAND a remote reconnection makes it ready, and `push_button` connects;
    under NONE it is always connected.
    """

    def __init__(
        self, supply: Supply, truth: Clock, log: EventLog, *, mode: ControlMode, motion_s: int
    ) -> None:
        self._supply = supply
        self._truth = truth
        self._log = log
        self._mode = mode
        self._motion = timedelta(seconds=motion_s)
        self._is_ready = False

    @property
    def state(self) -> ControlState:
        """What the switch does now."""
        if not self._supply.is_switched_off(self._truth.now_utc()):
            return ControlState.CONNECTED
        if self._is_ready:
            return ControlState.READY_FOR_RECONNECTION
        return ControlState.DISCONNECTED

    def push_button(self) -> None:
        """Connect, if the meter is ready for it."""
        if self.state is ControlState.READY_FOR_RECONNECTION:
            self._supply.switch_on(self._truth.now_utc())

    def described(self) -> MeterObject:
        """Return the disconnect control object."""
        return MeterObject(
            class_id=ClassId.DISCONNECT_CONTROL,
            name=DISCONNECT_CONTROL,
            reads={
                2: lambda: Data(Tag.BOOLEAN, self.state is ControlState.CONNECTED),
                3: lambda: Data(Tag.ENUM, self.state),
                4: lambda: Data(Tag.ENUM, self._mode),
            },
            methods={1: self._disconnect, 2: self._reconnect},
        )

    def _disconnect(self, _nothing: Data) -> AccessResult:
        if self._mode is ControlMode.NONE:
            return AccessResult.READ_WRITE_DENIED
        self._is_ready = False
        self._supply.switch_off(self._moved_utc())
        self._log.note(Event.REMOTE_DISCONNECTION)
        return AccessResult.SUCCESS

    def _reconnect(self, _nothing: Data) -> AccessResult:
        if self._mode is ControlMode.RECONNECTED_BY_HAND:
            self._is_ready = True
        else:
            self._supply.switch_on(self._moved_utc())
        self._log.note(Event.REMOTE_CONNECTION)
        return AccessResult.SUCCESS

    def _moved_utc(self) -> datetime:
        return self._truth.now_utc() + self._motion


class Limiter:
    """Keeps its thresholds; no household here ever exceeds them."""

    def __init__(self) -> None:
        self._limit = _LIMIT

    def described(self) -> MeterObject:
        """Return the limiter object."""

        def threshold() -> Data:
            return Data(Tag.UINT32, self._limit.power_w)

        def duration() -> Data:
            return Data(Tag.UINT32, self._limit.over_s)

        def set_threshold(data: Data) -> AccessResult:
            self._limit = Limit.read(data, duration())
            return AccessResult.SUCCESS

        def set_duration(data: Data) -> AccessResult:
            self._limit = Limit.read(threshold(), data)
            return AccessResult.SUCCESS

        return MeterObject(
            class_id=ClassId.LIMITER,
            name=LIMITER,
            reads={
                THRESHOLD_ACTIVE.index: threshold,
                THRESHOLD_NORMAL.index: threshold,
                OVER_DURATION.index: duration,
            },
            writes={THRESHOLD_NORMAL.index: set_threshold, OVER_DURATION.index: set_duration},
        )
