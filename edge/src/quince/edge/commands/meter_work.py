"""What is done to a meter, operation by operation, in sessions the agent opens.

Law: what cannot be done twice is told to the disk within the session, just before it is sent.

The results' documents, all moments in UTC:

- read_now: `meter`, `identity` {`serial`, `maker`, `model`, `firmware`}, `clock`, `gateway_clock`,
  `registers` [{`obis`, `at`, `value`}]
- read_profile: `start`, `end`, `quarter_hours`, `with_value`
- read_clock: `clock`, `gateway_clock`, `difference_s` (the meter's minus the gateway's)
- set_clock: `before` and `after`, each as read_clock
- arm_supply: `on`, `state` (connected, disconnected, ready), `armed_s`
- confirm_supply: `on`, `before`, `after`
- transfer_firmware: `identifier`, `octets`, `sha256`
- activate_firmware: `identifier`
- change_key: `key`, `proven` (a session with the new key stood)
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Any, Protocol, TypeVar

import structlog

from quince.edge.commands.firmware import FirmwareDoor
from quince.edge.commands.outcome import Outcome, Turn, json_body, shown
from quince.edge.commands.own_key import OwnKey
from quince.edge.commands.rules import (
    ARM_S_MAX,
    Arm,
    require_armed,
    require_step,
)
from quince.edge.errors import TransportError, UnsupportedError
from quince.edge.readers.reader import Instrument, Progress
from quince.model.clock import Clock
from quince.model.errors import QuinceError
from quince.model.interval import STEP
from quince.protocols.gateway.commands import (
    ActivateFirmware,
    ArmSupply,
    ChangeKey,
    ConfirmSupply,
    MeterOperation,
    ReadClock,
    ReadNow,
    ReadProfile,
    SetClock,
    TransferFirmware,
    key_purpose,
)

log = structlog.get_logger()

ASK_S_MAX = 300.0  # the bus's queue, an association over a bad line, a switch that takes its time
# An image is brought in pieces, so that the other meters of the bus are read in between; a piece
# may end amid the meter's own verification, which the next one waits for.
IMAGE_SESSION_S_MAX = 240.0
# Sessions in a row that brought no block further; then the line is too bad for an image.
IMAGE_TRIES_MAX = 5
IMAGE_PAUSE_S = 20.0

_T = TypeVar("_T")


class Meters(Protocol):
    """Sessions with the gateway's meters, between the polls of their buses."""

    async def ask(
        self, meter_id: str, job: Callable[[Instrument], Awaitable[_T]], *, within_s: float
    ) -> _T:
        """Return what `job` returns of a session; its errors pass through."""
        ...

    async def reread(self, meter_id: str, start_utc: datetime, end_utc: datetime) -> int:
        """Read a profile again and record it; return how many quarter-hours have a value."""
        ...


class MeterWork:
    """Performs what is asked of meters."""

    def __init__(self, meters: Meters, door: FirmwareDoor, own_key: OwnKey, clock: Clock) -> None:
        """Take the sessions, where firmware comes from, and what opens sealed keys."""
        self._meters = meters
        self._door = door
        self._own_key = own_key
        self._clock = clock
        self._arms: dict[str, Arm] = {}  # one for each meter that was ever configured

    def keep_images(self, images: Iterable[TransferFirmware]) -> None:
        """Remove what was fetched of other images before a restart."""
        self._door.keep_only(images)

    async def perform(self, turn: Turn, operation: MeterOperation) -> Outcome:
        """Do it; RefusedError and UnsupportedError say that nothing was done."""
        match operation:
            case ReadNow():
                return await self._read_now(turn)
            case ReadProfile():
                return await self._read_profile(turn, operation)
            case TransferFirmware():
                return await self._transfer(turn, operation)
            case ChangeKey():
                return await self._change_key(turn, operation)
            case _:
                return await self._tell(turn, operation)

    async def _tell(
        self,
        turn: Turn,
        operation: ReadClock | SetClock | ArmSupply | ConfirmSupply | ActivateFirmware,
    ) -> Outcome:
        async def job(it: Instrument) -> dict[str, Any]:
            match operation:
                case ReadClock():
                    return await self._shown_clock(it)
                case SetClock():
                    return await self._set_clock(it, turn, operation)
                case ArmSupply():
                    return await self._arm(it, turn, operation)
                case ConfirmSupply():
                    return await self._confirm(it, turn, operation)
                case ActivateFirmware():
                    return await self._activate(it, turn, operation)

        document = await self._meters.ask(turn.command.meter_id, job, within_s=ASK_S_MAX)
        return Outcome(body=json_body(document))

    # -- reading -------------------------------------------------------------------------

    async def _read_now(self, turn: Turn) -> Outcome:
        async def job(it: Instrument) -> Outcome:
            identity = await it.identify()
            clock = await self._clock_if_any(it)
            readings = tuple(await it.registers())
            document = {
                "meter": turn.command.meter_id,
                "identity": {
                    "serial": identity.serial,
                    "maker": identity.maker,
                    "model": identity.model,
                    "firmware": identity.firmware,
                },
                "clock": clock["clock"],
                "gateway_clock": clock["gateway_clock"],
                "registers": [
                    {"obis": str(one.obis), "at": shown(one.at_utc), "value": one.value}
                    for one in readings
                ],
            }
            return Outcome(body=json_body(document), readings=readings)

        return await self._meters.ask(turn.command.meter_id, job, within_s=ASK_S_MAX)

    async def _read_profile(self, turn: Turn, span: ReadProfile) -> Outcome:
        with_value = await self._meters.reread(turn.command.meter_id, span.start_utc, span.end_utc)
        document = {
            "start": shown(span.start_utc),
            "end": shown(span.end_utc),
            "quarter_hours": (span.end_utc - span.start_utc) // STEP,
            "with_value": with_value,
        }
        return Outcome(body=json_body(document))

    async def _shown_clock(self, it: Instrument) -> dict[str, Any]:
        meter_utc = await it.clock()
        own_utc = self._clock.now_utc()
        return {
            "clock": shown(meter_utc),
            "gateway_clock": shown(own_utc),
            "difference_s": round((meter_utc - own_utc).total_seconds(), 3),
        }

    async def _clock_if_any(self, it: Instrument) -> dict[str, Any]:
        try:
            return await self._shown_clock(it)
        except UnsupportedError:
            return {"clock": None, "gateway_clock": shown(self._clock.now_utc())}

    # -- telling -------------------------------------------------------------------------

    async def _set_clock(self, it: Instrument, turn: Turn, step: SetClock) -> dict[str, Any]:
        before = await self._shown_clock(it)
        require_step(before["difference_s"], step.step_s_max)
        turn.begin()
        await it.set_clock(self._clock.now_utc())
        return {"before": before, "after": await self._shown_clock(it)}

    async def _arm(self, it: Instrument, turn: Turn, supply: ArmSupply) -> dict[str, Any]:
        state = await it.supply_state()
        until_s = asyncio.get_running_loop().time() + ARM_S_MAX
        arm = Arm(by=turn.command.command_id, on=supply.on, until_s=until_s)
        self._arms[turn.command.meter_id] = arm
        return {"on": supply.on, "state": state, "armed_s": ARM_S_MAX}

    async def _confirm(
        self, it: Instrument, turn: Turn, confirmation: ConfirmSupply
    ) -> dict[str, Any]:
        meter_id = turn.command.meter_id
        before = await it.supply_state()
        now_s = asyncio.get_running_loop().time()
        arm = require_armed(self._arms, meter_id, armed_by=confirmation.armed_by, now_s=now_s)
        turn.begin()
        del self._arms[meter_id]
        await it.switch_supply(on=arm.on)
        return {"on": arm.on, "before": before, "after": await it.supply_state()}

    async def _activate(
        self, it: Instrument, turn: Turn, named: ActivateFirmware
    ) -> dict[str, Any]:
        turn.begin()
        await it.activate_firmware(named.identifier)
        return {"identifier": named.identifier}

    # -- keys ----------------------------------------------------------------------------

    async def _change_key(self, turn: Turn, change: ChangeKey) -> Outcome:
        meter_id = turn.command.meter_id
        new = self._own_key.unseal(change.sealed, key_purpose(meter_id, change.key))

        async def job(it: Instrument) -> None:
            turn.begin()
            await it.change_key(change.key, new)

        await self._meters.ask(meter_id, job, within_s=ASK_S_MAX)
        proven = await self._is_reached(meter_id)
        return Outcome(body=json_body({"key": change.key, "proven": proven}))

    async def _is_reached(self, meter_id: str) -> bool:
        """Say whether a session stands now; the key is changed, whatever comes of it."""
        try:
            await self._meters.ask(meter_id, lambda it: it.clock(), within_s=ASK_S_MAX)
        except QuinceError as error:
            log.warning("new_key_unproven", meter_id=meter_id, reason=str(error))
            return False
        return True

    # -- firmware ------------------------------------------------------------------------

    async def _transfer(self, turn: Turn, image: TransferFirmware) -> Outcome:
        try:
            octets = await self._door.fetch(image)
            await self._bring(turn, image.identifier, octets)
        except QuinceError:  # not when the gateway stops: then it goes on behind the restart
            self._door.forget(image)
            raise
        self._door.forget(image)
        document = {
            "identifier": image.identifier,
            "octets": image.size,
            "sha256": image.sha256.hex(),
        }
        return Outcome(body=json_body(document))

    async def _bring(self, turn: Turn, identifier: str, octets: bytes) -> None:
        """Bring an image over as many sessions as it takes, while blocks come through."""
        most_done = 0
        tries = 0

        def progress(done: int, blocks: int) -> None:
            nonlocal most_done, tries
            if done > most_done:
                most_done, tries = done, 0
            turn.progress(done, blocks)

        while True:
            tries += 1
            try:
                await self._send_image(turn.command.meter_id, identifier, octets, progress)
            except TransportError as error:
                log.info("firmware_interrupted", identifier=identifier, reason=str(error))
                is_late = self._clock.now_utc() > turn.command.not_after_utc
                if tries >= IMAGE_TRIES_MAX or is_late:
                    raise
                await asyncio.sleep(IMAGE_PAUSE_S)
            else:
                return

    async def _send_image(
        self, meter_id: str, identifier: str, octets: bytes, progress: Progress
    ) -> None:
        await self._meters.ask(
            meter_id,
            lambda it: it.transfer_firmware(octets, identifier, progress),
            within_s=IMAGE_SESSION_S_MAX,
        )
