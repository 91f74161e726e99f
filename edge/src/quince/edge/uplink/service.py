"""The uplink loop: outbox → link in lane order, watermarks → outbox, again after silence.

Law: before every message the most urgent lane is asked anew, so that a last gasp never waits
behind a backlog; within a lane the order is the outbox's.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import NoReturn, Protocol

import structlog

from quince.edge.errors import OutboxError
from quince.edge.outbox.store import Outbox, StoredMessage
from quince.edge.uplink.contact import NO_CONTACT, Contact
from quince.edge.uplink.rules import (
    ACK_TIMEOUT_S_MIN,
    BULK_UNCONFIRMED_MAX,
    OCTETS_PER_S,
    UNCONFIRMED_MAX,
    LaneWindow,
    Pace,
)
from quince.model.clock import Clock
from quince.model.errors import CodecError, QuinceError, RemoteProtocolError
from quince.protocols.gateway.messages import Envelope, decode_ack, encode_uplink
from quince.protocols.gateway.topics import GatewayAddress, Lane, Way, way_of

log = structlog.get_logger()

IDLE_S_MAX = ACK_TIMEOUT_S_MIN / 4  # how late an overdue watermark may be noticed
TWIN_CHECK_S = 60.0  # a renewed certificate is told within a minute


class Link(Protocol):
    """One session with the broker: it ends by raising, never by falling silent for ever."""

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Hand a message to the broker at once (QoS 1), and return when it has confirmed it."""
        ...

    async def receive(self) -> tuple[str, bytes]:
        """Wait for the next message from the broker."""
        ...


def _refuse_command(_message: bytes) -> None:
    raise RemoteProtocolError("this gateway takes no commands")


class Uplink:
    """Delivers one outbox over whatever link there is at the moment."""

    def __init__(
        self,
        outbox: Outbox,
        address: GatewayAddress,
        clock: Clock,
        *,
        take_command: Callable[[bytes], None] = _refuse_command,
        twin: Callable[[], bytes] | None = None,
    ) -> None:
        """Bind the outbox to its place in the topic tree.

        `take_command` keeps a signed command and returns at once; it raises QuinceError for one
        it does not believe. `twin` returns what the gateway is at the moment, told when it differs
        from what was told last.
        """
        self._take_command = take_command
        self._twin = twin
        self._outbox = outbox
        self._address = address
        self._clock = clock
        self._windows = {lane: LaneWindow() for lane in Lane}
        self._paces = {lane: Pace(rate) for lane, rate in OCTETS_PER_S.items()}
        self._unconfirmed = dict.fromkeys(Lane, 0)
        self._stirred = asyncio.Event()
        self.contact: Contact = NO_CONTACT
        self.last_ack_utc: datetime | None = None

    def stir(self) -> None:
        """Tell the loop that the outbox holds something new."""
        self._stirred.set()

    def note_contact(self, *, version: str = "", reason: str = "") -> None:
        """Keep since when there is a session of that MQTT version, or none for that reason."""
        present = Contact(since_utc=self._clock.now_utc(), version=version, reason=reason)
        if present.online == self.contact.online and self.contact.since_utc is not None:
            present = replace(present, since_utc=self.contact.since_utc)
        self.contact = present

    async def run(self, link: Link) -> NoReturn:
        """Deliver over `link` until it breaks; a new session starts from the watermark."""
        self._restart_windows()
        self._unconfirmed = dict.fromkeys(Lane, 0)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._hear(link))
            tasks.create_task(self._send(link, tasks))
            if self._twin is not None:
                tasks.create_task(self._tell_twin(link, self._twin))
        raise AssertionError("the loops end only by raising")

    # --- up -----------------------------------------------------------------------------

    async def _send(self, link: Link, tasks: asyncio.TaskGroup) -> NoReturn:
        while True:
            self._stirred.clear()
            message, wait_s = self._next()
            if message is not None:
                self._hand_over(link, message, tasks)
                await asyncio.sleep(0)  # it goes out, and what has come in is heard
                continue
            # Not wait_for: it swallows a cancellation that comes together with a stir.
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._stirred.wait()

    def _next(self) -> tuple[StoredMessage | None, float]:
        """Return the most urgent message, or none and how soon to ask again without a stir."""
        wait_s = IDLE_S_MAX
        for lane in Lane:
            message, lane_wait_s = self._next_of(lane)
            if message is not None:
                return message, 0.0
            wait_s = min(wait_s, lane_wait_s)
        return None, wait_s

    def _next_of(self, lane: Lane) -> tuple[StoredMessage | None, float]:
        """Return the same of one lane."""
        window = self._windows[lane]
        oldest_seq = self._outbox.oldest_seq(lane)
        if oldest_seq is None or not self._has_room(lane):
            return None, IDLE_S_MAX
        now_s = _now_s()
        if window.overdue(now_s) and not self._unconfirmed[lane]:
            log.info("watermark_overdue", lane=lane.name, oldest_seq=oldest_seq)
            window.go_back()
        wait_s = self._paces[lane].wait_s(now_s) if lane in self._paces else 0.0
        if wait_s > 0 or not window.room(oldest_seq):
            return None, wait_s or IDLE_S_MAX
        found = self._outbox.pending(lane, window.sent_upto, 1)
        return (found[0], 0.0) if found else (None, IDLE_S_MAX)

    def _has_room(self, lane: Lane) -> bool:
        """Say whether the link takes one more of this lane before it has confirmed others."""
        bulk = sum(self._unconfirmed[lane] for lane in self._paces)
        if lane in self._paces and bulk >= BULK_UNCONFIRMED_MAX:
            return False
        return sum(self._unconfirmed.values()) < UNCONFIRMED_MAX

    def _hand_over(self, link: Link, message: StoredMessage, tasks: asyncio.TaskGroup) -> None:
        lane, now_s = message.lane, _now_s()
        payload = self._wrap(message)
        self._windows[lane].sent(message.seq)
        if lane in self._paces:
            self._paces[lane].sent(len(payload), now_s)
        self._unconfirmed[lane] += 1
        # Tasks begin in the order they are made, so the link sees the outbox's order.
        tasks.create_task(self._publish(link, lane, payload))

    async def _publish(self, link: Link, lane: Lane, payload: bytes) -> None:
        await link.publish(self._address.up(way_of(lane)), payload)
        self._unconfirmed[lane] -= 1
        self._windows[lane].confirmed(_now_s())
        self.stir()

    def _wrap(self, message: StoredMessage) -> bytes:
        oldest_seq = self._outbox.oldest_seq(message.lane)
        envelope = Envelope(
            epoch=self._outbox.epoch,
            lane=message.lane,
            seq=message.seq,
            oldest_seq=min(oldest_seq or message.seq, message.seq),
            sent_utc=self._clock.now_utc(),
        )
        return encode_uplink(envelope, message.body)

    async def _tell_twin(self, link: Link, twin: Callable[[], bytes]) -> NoReturn:
        told = b""
        while True:
            present = twin()
            if present != told:
                await link.publish(self._address.up(Way.TWIN), present, retain=True)
                told = present
            await asyncio.sleep(TWIN_CHECK_S)

    # --- down ---------------------------------------------------------------------------

    async def _hear(self, link: Link) -> NoReturn:
        while True:
            topic, payload = await link.receive()
            if topic == self._address.ack:
                self._heed_ack(payload)
            elif topic in (self._address.command, self._address.configuration):
                self._pass_on(payload)
            else:
                log.warning("unexpected_topic", topic=topic)

    def _heed_ack(self, payload: bytes) -> None:
        try:
            mark = decode_ack(payload)
        except CodecError as error:
            log.warning("ack_refused", reason=str(error))
            return
        epoch = self._outbox.epoch
        try:
            self._outbox.acknowledge(mark)
        except OutboxError as error:
            log.warning("ack_postponed", reason=str(error))  # the watermark comes again
            return
        if self._outbox.epoch != epoch:
            log.warning("stream_renewed", lane=mark.lane.name, upto=mark.upto)
            self._restart_windows()
        elif mark.epoch == epoch:
            self.last_ack_utc = self._clock.now_utc()
            self._windows[mark.lane].acknowledged(mark.upto, _now_s())
        self.stir()

    def _pass_on(self, payload: bytes) -> None:
        try:
            self._take_command(payload)
        except QuinceError as error:
            log.warning("command_not_taken", code=error.code, reason=str(error))

    def _restart_windows(self) -> None:
        for window in self._windows.values():
            window.restart()


def _now_s() -> float:
    """The event loop's monotonic time: no wall-clock jump moves it."""
    return asyncio.get_running_loop().time()
