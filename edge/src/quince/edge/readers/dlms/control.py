"""What a DLMS meter can be told: its clock, its switch, its firmware, its keys.

Law: what was told is asked for again before it is believed, under a deadline.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from quince.edge.errors import ReadTimeoutError, TransportError, UnsupportedError
from quince.edge.readers.dlms.dialogue import Dialogue
from quince.edge.readers.reader import Progress, SupplyState
from quince.model.errors import InvalidValueError, RemoteProtocolError
from quince.model.interval import require_utc
from quince.model.meter_key import MeterKey
from quince.protocols.dlms.apdu.reference import AccessResult
from quince.protocols.dlms.cosem import disconnect, image as images
from quince.protocols.dlms.cosem.clock import CLOCK_TIME, MeterTime
from quince.protocols.dlms.cosem.disconnect import ControlState
from quince.protocols.dlms.cosem.image import Image, TransferStatus
from quince.protocols.dlms.cosem.security_setup import KeyId, key_transfer
from quince.protocols.dlms.encoding.axdr import octet_string
from quince.protocols.dlms.security.sealing import wrap_key

log = structlog.get_logger()

POLL_S = 1.0
# A clock that was just set is where it was set to, but for the time the answer took.
CLOCK_TOLERANCE = timedelta(seconds=10)
SWITCH_S_MAX = 30.0  # a switch moves in a second; meters with a battery of them take turns
VERIFY_S_MAX = 600.0  # some check a signature over a megabyte with a very small processor
# How often blocks that got lost are sent again before the line is given up as too bad.
PASSES_MAX = 5
# How often a meter may say "not now" to one block: it erases flash.
BUSY_MAX = 10

_STATES = {
    ControlState.DISCONNECTED: SupplyState.DISCONNECTED,
    ControlState.CONNECTED: SupplyState.CONNECTED,
    ControlState.READY_FOR_RECONNECTION: SupplyState.READY,
}
_KEY_IDS = {
    MeterKey.ENCRYPTION: KeyId.ENCRYPTION,
    MeterKey.AUTHENTICATION: KeyId.AUTHENTICATION,
    MeterKey.MASTER: KeyId.MASTER,
}


class KeyRing(Protocol):
    """The keys that are shared with a meter, where they are kept."""

    @property
    def master(self) -> bytes | None:
        """The key that wraps others; None if it is not known here."""
        ...

    def doubt(self, key: MeterKey, new: bytes) -> None:
        """Keep `new` safe before the meter is told it, and try it too if no answer comes."""
        ...

    def refuse(self, key: MeterKey, new: bytes) -> None:
        """Forget `new`: the meter did not take it."""
        ...

    def replace(self, key: MeterKey, new: bytes) -> None:
        """Use `new` from the next session on."""
        ...


class DlmsControl:
    """The Controller of a DLMS session."""

    def __init__(self, dialogue: Dialogue, time: MeterTime, keys: KeyRing | None) -> None:
        """Take the dialogue, how the meter writes time, and the keys if they can be changed."""
        self._dialogue = dialogue
        self._time = time
        self._keys = keys

    # -- clock ---------------------------------------------------------------------------

    async def set_clock(self, to_utc: datetime) -> None:
        """Set the meter's clock; RemoteProtocolError if it shows another time thereafter."""
        require_utc("to_utc", to_utc)
        shown = (await self._dialogue.get(CLOCK_TIME)).as_octets()
        wanted = octet_string(self._time.write_like(shown, to_utc))
        await self._dialogue.set(CLOCK_TIME, wanted)
        now = self._time.read((await self._dialogue.get(CLOCK_TIME)).as_octets()).at_utc
        if abs(now - to_utc) > CLOCK_TOLERANCE:
            raise RemoteProtocolError(f"the clock was set to {to_utc}, and shows {now}")

    # -- supply --------------------------------------------------------------------------

    async def supply_state(self) -> SupplyState:
        """Return what the switch does now; UnsupportedError if there is none."""
        return _STATES[await self._control_state()]

    async def switch_supply(self, *, on: bool) -> None:
        """Connect, or make ready for the customer's button, or disconnect, and see it done."""
        if ((await self._control_state()) is not ControlState.DISCONNECTED) != on:
            method = disconnect.REMOTE_RECONNECT if on else disconnect.REMOTE_DISCONNECT
            (await self._dialogue.call(method, disconnect.NOTHING)).require()

        async def is_done() -> bool:
            state = await self._control_state()
            flows = disconnect.read_output_state(await self._dialogue.get(disconnect.OUTPUT_STATE))
            is_settled = flows == (state is ControlState.CONNECTED)
            return is_settled and (state is not ControlState.DISCONNECTED) == on

        await _until(is_done, SWITCH_S_MAX, "the switch does not move")

    async def _control_state(self) -> ControlState:
        data = await self._dialogue.get_if_any(disconnect.CONTROL_STATE)
        if data is None:
            raise UnsupportedError("the meter has no switch, or does not let us see it")
        return disconnect.read_control_state(data)

    # -- firmware ------------------------------------------------------------------------

    async def transfer_firmware(self, image: bytes, identifier: str, progress: Progress) -> None:
        """Bring an image to the meter, whole and verified; go on where an earlier try ended.

        An image of as many blocks that another one had begun is not told apart by the meter's own
        attributes: then what is verified is not ours, or not at all (RemoteProtocolError), and the
        next try begins from the start.
        """
        await self._enable_transfer()
        size = images.read_block_octets(await self._dialogue.get(images.BLOCK_SIZE))
        wanted = Image(identifier=identifier.encode(), octets=image, block_octets=size)
        if await self._is_verified(wanted):
            progress(wanted.block_count, wanted.block_count)
            return
        begun = await self._missing_of_begun(wanted)
        missing = await self._begin(wanted) if begun is None else begun
        await self._send_blocks(wanted, missing, progress)
        await self._verify()
        if begun is not None and not await self._is_verified(wanted):
            raise RemoteProtocolError("what the meter verified is another image, begun before")
        log.info("firmware_verified", identifier=identifier, blocks=wanted.block_count)

    async def activate_firmware(self, identifier: str) -> None:
        """Let the meter start the verified image; the line ends with it, answered or not.

        RemoteProtocolError if none is verified, or another. Whether it runs the image is for the
        next session to ask.
        """
        if await self._status() is not TransferStatus.VERIFICATION_SUCCESSFUL:
            raise RemoteProtocolError("there is no verified image to activate")
        verified = images.read_identifiers(await self._dialogue.get(images.TO_ACTIVATE))
        if identifier.encode() not in verified:
            raise RemoteProtocolError(f"the verified image is not {identifier}: {verified}")
        try:
            reply = await self._dialogue.call(*images.ACTIVATE_NOW)
        except TransportError as error:
            log.info("line_dropped_by_activation", reason=str(error))
        else:
            if reply.result is not AccessResult.TEMPORARY_FAILURE:  # it began, and takes a while
                reply.require()
        self._dialogue.end("the meter starts anew")

    async def _enable_transfer(self) -> None:
        enabled = await self._dialogue.get_if_any(images.ENABLED)
        if enabled is None:
            raise UnsupportedError("the meter takes no images, or none of ours")
        if not enabled.value:
            await self._dialogue.set(*images.ENABLE)

    async def _status(self) -> TransferStatus:
        return images.read_status(await self._dialogue.get(images.STATUS))

    async def _is_verified(self, wanted: Image) -> bool:
        if await self._decided() is not TransferStatus.VERIFICATION_SUCCESSFUL:
            return False
        return wanted.is_to_activate(await self._dialogue.get(images.TO_ACTIVATE))

    async def _send_blocks(
        self, wanted: Image, missing: tuple[int, ...], progress: Progress
    ) -> None:
        for _ in range(PASSES_MAX):
            for done, number in enumerate(missing, start=wanted.block_count - len(missing)):
                await self._send_block(wanted, number)
                progress(done + 1, wanted.block_count)
            missing = await self._missing(wanted)
            if not missing:
                return
            log.warning("firmware_blocks_lost", count=len(missing))
        raise RemoteProtocolError(f"{len(missing)} blocks are lost again and again")

    async def _missing_of_begun(self, wanted: Image) -> tuple[int, ...] | None:
        """Return what an earlier try left to be sent; None if there is nothing to go on with."""
        if await self._status() is not TransferStatus.INITIATED:
            return None
        missing = wanted.missing(await self._dialogue.get(images.BLOCKS_STATUS))
        if missing is not None:
            log.info("firmware_resumed", missing=len(missing), blocks=wanted.block_count)
        return missing

    async def _begin(self, wanted: Image) -> tuple[int, ...]:
        (await self._dialogue.call(*wanted.initiate())).require()
        return await self._missing(wanted)

    async def _missing(self, wanted: Image) -> tuple[int, ...]:
        missing = wanted.missing(await self._dialogue.get(images.BLOCKS_STATUS))
        if missing is None:
            raise RemoteProtocolError("the meter counts other blocks than the image has")
        return missing

    async def _send_block(self, wanted: Image, number: int) -> None:
        reply = await self._dialogue.call(*wanted.block(number))
        for _ in range(BUSY_MAX):
            if reply.result is not AccessResult.TEMPORARY_FAILURE:
                break
            await asyncio.sleep(POLL_S)
            reply = await self._dialogue.call(*wanted.block(number))
        reply.require()

    async def _verify(self) -> None:
        reply = await self._dialogue.call(*images.VERIFY_NOW)
        if reply.result is AccessResult.SUCCESS:
            return
        if reply.result is not AccessResult.TEMPORARY_FAILURE:
            raise RemoteProtocolError(f"the meter refuses the image: {reply.result.name}")
        status = await self._decided()
        if status is not TransferStatus.VERIFICATION_SUCCESSFUL:
            raise RemoteProtocolError(f"the meter refuses the image: {status.name}")

    async def _decided(self) -> TransferStatus:
        """Return the status behind a verification, which an earlier session may have begun."""

        async def is_decided() -> bool:
            return await self._status() is not TransferStatus.VERIFICATION_INITIATED

        await _until(is_decided, VERIFY_S_MAX, "the verification does not end")
        return await self._status()

    # -- keys ----------------------------------------------------------------------------

    async def change_key(self, key: MeterKey, new: bytes) -> None:
        """Replace one of the meter's keys by `new`, wrapped under its master key.

        The session is over behind it: some meters use the new key from the next APDU on, others
        from the next association.
        """
        if self._keys is None or self._keys.master is None:
            raise UnsupportedError("no master key is known for this meter")
        if len(new) != len(self._keys.master):
            raise InvalidValueError("key", "…", f"{len(self._keys.master)} octets")
        wrapped = wrap_key(self._keys.master, new)
        self._keys.doubt(key, new)
        try:
            reply = await self._dialogue.call(*key_transfer(_KEY_IDS[key], wrapped))
        except TransportError:
            # It may hold the new key, or never have heard of it: the next sessions find out.
            self._dialogue.end("a key may have been changed")
            raise
        if reply.result is not AccessResult.SUCCESS:
            self._keys.refuse(key, new)
        reply.require()
        self._keys.replace(key, new)
        self._dialogue.end("a key was changed")
        log.info("key_changed", key=key)


async def _until(is_done: Callable[[], Awaitable[bool]], limit_s: float, otherwise: str) -> None:
    """Ask every POLL_S; ReadTimeoutError, saying `otherwise`, behind `limit_s`."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + limit_s
    while not await is_done():
        if loop.time() >= deadline_s:
            raise ReadTimeoutError(f"{otherwise} in {limit_s} s")
        await asyncio.sleep(POLL_S)
