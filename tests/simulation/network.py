"""The broker between gateway and head-end: it loses, repeats, delays, reorders, and forgets."""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tests.simulation.world import Crash, World

from quince.edge.errors import LinkError


@dataclass(slots=True)
class Delivery:
    """A message at the head-end's door, there until it is acknowledged."""

    world: World
    door: "Broker"
    number: int
    topic: str
    payload: bytes

    def ack(self) -> None:
        """Let the broker forget it; sometimes the head-end dies with its hand on the door."""
        if self.world.chance(self.world.faults.crash_per_batch):
            self.world.note("crash_before_puback", self.number)
            raise Crash
        self.door.unacknowledged.pop(self.number, None)


class Broker:
    """Between two sessions: the head-end's and the gateway's, each of which may be away."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._numbers = itertools.count()
        self._arrived: asyncio.Queue[Delivery] = asyncio.Queue()
        self._held_back: dict[str, list[Callable[[], None]]] = {"up": [], "down": []}
        self._kept: deque[tuple[str, bytes]] = deque()
        self._link: GatewayLink | None = None
        self.unacknowledged: dict[int, Delivery] = {}

    # --- the head-end's side --------------------------------------------------------------

    async def take(self, max_messages: int) -> list[Delivery]:
        """Wait for a message, and take what else is there."""
        taken = [await self._arrived.get()]
        while len(taken) < max_messages and not self._arrived.empty():
            taken.append(self._arrived.get_nowait())
        return taken

    async def publish(self, topic: str, payload: bytes) -> None:
        """Carry a message to the gateway; sometimes the head-end dies instead."""
        if self._world.chance(self._world.faults.crash_per_batch):
            self._world.note("crash_before_watermark", topic)
            raise Crash
        self._carry("down", lambda: self._descend((topic, payload)))

    def redeliver(self) -> None:
        """The head-end has a new session: what it did not acknowledge comes again."""
        self._forget_arrivals()
        for delivery in self.unacknowledged.values():
            self._arrived.put_nowait(delivery)

    # --- the gateway's side ---------------------------------------------------------------

    def open_link(self) -> "GatewayLink":
        """Begin a session; the one before, if any, is over, and what it kept comes now."""
        self.close_link()
        self._link = GatewayLink(self)
        while self._kept:
            self._link.inbox.put_nowait(self._kept.popleft())
        return self._link

    def close_link(self) -> None:
        """End the session; what it had not heard is kept for the next."""
        if self._link is None:
            return
        link, self._link = self._link, None
        while not link.inbox.empty():
            if (message := link.inbox.get_nowait()) is not None:
                self._kept.append(message)
        link.inbox.put_nowait(None)

    def accept(self, topic: str, payload: bytes) -> None:
        """Carry a message to the head-end."""
        self._carry("up", lambda: self._arrive(topic, payload))

    def stands(self, link: "GatewayLink") -> bool:
        """Say whether a session is the one that lasts."""
        return link is self._link

    # --- inside ---------------------------------------------------------------------------

    def restart(self) -> None:
        """Forget everything: messages, acknowledgements, sessions."""
        self.close_link()
        self._kept.clear()
        self.unacknowledged.clear()
        self._forget_arrivals()

    def _forget_arrivals(self) -> None:
        while not self._arrived.empty():
            self._arrived.get_nowait()

    def _arrive(self, topic: str, payload: bytes) -> None:
        delivery = Delivery(self._world, self, next(self._numbers), topic, payload)
        self.unacknowledged[delivery.number] = delivery
        self._arrived.put_nowait(delivery)

    def _descend(self, message: tuple[str, bytes]) -> None:
        if self._link is None:
            self._kept.append(message)
        else:
            self._link.inbox.put_nowait(message)

    def _carry(self, way: str, deliver: Callable[[], None]) -> None:
        faults = self._world.faults
        if way in self._world.cut or self._world.chance(faults.loss):
            self._world.note(f"lost_{way}")
            return
        if self._world.chance(faults.held_back):
            self._world.note(f"held_back_{way}")
            self._held_back[way].append(deliver)
            return
        copies = 2 if self._world.chance(faults.duplicate) else 1
        later_s = max(self._send_off(deliver) for _ in range(copies))
        for overtaken in self._held_back[way]:
            asyncio.get_running_loop().call_later(later_s, overtaken)
        self._held_back[way].clear()
        self._world.note(f"carried_{way}", copies)

    def _send_off(self, deliver: Callable[[], None]) -> float:
        mean_s = self._world.faults.delay_s
        delay_s = self._world.rng.expovariate(1 / mean_s) if mean_s else 0.0
        asyncio.get_running_loop().call_later(delay_s, deliver)
        return delay_s


class GatewayLink:
    """The gateway's session with the broker."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.inbox: asyncio.Queue[tuple[str, bytes] | None] = asyncio.Queue()

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Hand a message over; LinkError when the session is gone."""
        del retain  # who comes later than a retained message is not simulated
        await asyncio.sleep(0.05)
        if not self._broker.stands(self):
            raise LinkError("broken")
        self._broker.accept(topic, payload)

    async def receive(self) -> tuple[str, bytes]:
        """Wait for a message; LinkError when the session is gone."""
        message = await self.inbox.get()
        if message is None:
            raise LinkError("broken")
        return message
