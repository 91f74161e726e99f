"""The uplink loop: outbox → link in lane order, watermarks → outbox, again after silence."""

import asyncio
from collections.abc import Callable
from typing import NoReturn, Protocol

import structlog

from quince.edge.errors import OutboxError
from quince.edge.outbox.store import Outbox, StoredMessage
from quince.edge.uplink.rules import ACK_TIMEOUT_S_MIN, LaneWindow
from quince.model.clock import Clock
from quince.model.errors import CodecError, QuinceError, RemoteProtocolError
from quince.protocols.gateway.messages import Envelope, decode_ack, encode_uplink
from quince.protocols.gateway.topics import GatewayAddress, Lane, way_of

log = structlog.get_logger()


class Link(Protocol):
    """One session with the broker: it ends by raising, never by falling silent for ever."""

    async def publish(self, topic: str, payload: bytes) -> None:
        """Hand a message to the broker (QoS 1)."""
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
    ) -> None:
        """Bind the outbox to its place in the topic tree.

        `take_command` keeps a signed command and returns at once; it raises QuinceError for one
        it does not believe.
        """
        self._take_command = take_command
        self._outbox = outbox
        self._address = address
        self._clock = clock
        self._windows = {lane: LaneWindow() for lane in Lane}
        self._stirred = asyncio.Event()

    def stir(self) -> None:
        """Tell the loop that the outbox holds something new."""
        self._stirred.set()

    async def run(self, link: Link) -> NoReturn:
        """Deliver over `link` until it breaks; a new session starts from the watermark."""
        self._restart_windows()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._hear(link))
            tasks.create_task(self._send(link))
        raise AssertionError("both loops end only by raising")

    async def _send(self, link: Link) -> NoReturn:
        while True:
            self._stirred.clear()
            for lane in Lane:
                await self._send_lane(link, lane)
            try:
                await asyncio.wait_for(self._stirred.wait(), ACK_TIMEOUT_S_MIN / 4)
            except TimeoutError:
                continue

    async def _send_lane(self, link: Link, lane: Lane) -> None:
        window = self._windows[lane]
        oldest_seq = self._outbox.oldest_seq(lane)
        if oldest_seq is None:
            return
        if window.overdue(_now_s()):
            log.info("watermark_overdue", lane=lane.name, oldest_seq=oldest_seq)
            window.go_back()
        epoch = self._outbox.epoch
        for message in self._outbox.pending(lane, window.sent_upto, window.room(oldest_seq)):
            payload = self._wrap(message, epoch, oldest_seq)
            await link.publish(self._address.up(way_of(lane)), payload)
            if self._outbox.epoch != epoch:
                return  # the stream was renewed meanwhile: these numbers are another's now
            window.sent(message.seq, _now_s())

    def _wrap(self, message: StoredMessage, epoch: int, oldest_seq: int) -> bytes:
        envelope = Envelope(
            epoch=epoch,
            lane=message.lane,
            seq=message.seq,
            oldest_seq=min(oldest_seq, message.seq),
            sent_utc=self._clock.now_utc(),
        )
        return encode_uplink(envelope, message.body)

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
