"""A TCP proxy that mistreats what passes through it, the same way for the same seed.

What happens to a chunk is decided by a `Mischief` per direction: it is delayed, cut short, flipped,
doubled, swapped with the next one, swallowed, or the connection ends with it. With `mqtt_packets`
a chunk is one MQTT control packet, and only PUBLISH packets are mistreated: octets in another
order merely break an MQTT connection, messages in another order are what both sides must bear.
A proxy can also be told to let nothing through one way (`cut`), which no end notices at once.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from enum import Enum

from quince.model.errors import CodecError, InvalidValueError

_READ_OCTETS_MAX = 65_536
_BUFFER_OCTETS_MAX = 16 * 2**20  # an MQTT packet may be larger, ours are not
_PUBLISH = 3
_LENGTH_OCTETS_MAX = 4
_SWAP_S_MAX = 0.5  # a chunk waits this long for one to be swapped with


class Way(Enum):
    """Which way something passes."""

    TO_SERVER = "to the server"
    TO_CLIENT = "to the client"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mischief:
    """What befalls a chunk: each kind with a probability of its own, but for the delay.

    `end` closes the connection behind the chunk; `truncate` closes it in the middle of one.
    """

    delay_s: float = 0.0
    jitter_s: float = 0.0
    drop: float = 0.0
    duplicate: float = 0.0
    swap: float = 0.0
    flip: float = 0.0
    truncate: float = 0.0
    end: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            top = 60.0 if field.name.endswith("_s") else 1.0
            if not 0 <= value <= top:
                raise InvalidValueError(field.name, value, f"0..{top:g}")


NONE = Mischief()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What becomes of one chunk: these octets after a while; then perhaps the end."""

    octets: tuple[bytes, ...]
    delay_s: float = 0.0
    swapped: bool = False
    last: bool = False


class Fates:
    """Decides, one chunk after the other; pure but for its counts."""

    def __init__(self, mischief: Mischief, rng: random.Random) -> None:
        self.mischief = mischief
        self.counts: Counter[str] = Counter()
        self._rng = rng

    def decide(self, chunk: bytes) -> Fate:
        """Return what becomes of a chunk."""
        odds = self.mischief
        delay_s = odds.delay_s + self._rng.uniform(0, odds.jitter_s)
        if self._happens("truncate", odds.truncate):
            part = chunk[: self._rng.randrange(len(chunk))]
            return Fate(octets=(part,), delay_s=delay_s, last=True)
        if self._happens("drop", odds.drop):
            return Fate(octets=(), delay_s=delay_s)
        if self._happens("flip", odds.flip):
            chunk = _flipped(chunk, self._rng.randrange(8 * len(chunk)))
        copies = 2 if self._happens("duplicate", odds.duplicate) else 1
        return Fate(
            octets=(chunk,) * copies,
            delay_s=delay_s,
            swapped=self._happens("swap", odds.swap),
            last=self._happens("end", odds.end),
        )

    def _happens(self, kind: str, probability: float) -> bool:
        happens = self._rng.random() < probability
        self.counts[kind] += happens
        return happens


class MqttPackets:
    """Cuts a stream into MQTT control packets; CodecError if it is none."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, octets: bytes) -> list[bytes]:
        """Return the packets that are whole."""
        self._buffer += octets
        if len(self._buffer) > _BUFFER_OCTETS_MAX:
            raise CodecError(f"a packet of more than {_BUFFER_OCTETS_MAX} octets")
        packets = []
        while (length := _packet_length(self._buffer)) is not None:
            packets.append(bytes(self._buffer[:length]))
            del self._buffer[:length]
        return packets


def is_publish(packet: bytes) -> bool:
    """Say whether a control packet carries a message."""
    return packet[0] >> 4 == _PUBLISH


def _packet_length(buffer: bytearray) -> int | None:
    """Return how long the first packet is, its head included; None if it is not whole yet."""
    remaining = 0
    for index in range(_LENGTH_OCTETS_MAX):
        if 1 + index >= len(buffer):
            return None
        octet = buffer[1 + index]
        remaining |= (octet & 0x7F) << 7 * index
        if not octet & 0x80:
            length = 2 + index + remaining
            return length if length <= len(buffer) else None
    raise CodecError("a remaining length of more than four octets")


def _flipped(chunk: bytes, bit: int) -> bytes:
    octets = bytearray(chunk)
    octets[bit // 8] ^= 1 << bit % 8
    return bytes(octets)


class Proxy:
    """One listening port in front of one server."""

    def __init__(self, server: tuple[str, int], *, seed: int, mqtt_packets: bool = False) -> None:
        rng = random.Random(seed)
        self._server, self._mqtt_packets = server, mqtt_packets
        self._fates = {way: Fates(NONE, random.Random(rng.random())) for way in Way}
        self._open: set[asyncio.Task[None]] = set()
        self._clear = {way: asyncio.Event() for way in Way}
        for clear in self._clear.values():
            clear.set()
        self.port = 0

    def mistreat(self, mischief: Mischief, *ways: Way) -> None:
        """Mistreat what passes these ways from now on; both, if none is named."""
        for way in ways or tuple(Way):
            self._fates[way].mischief = mischief

    def cut(self, *ways: Way) -> None:
        """Let nothing through these ways until `mend`; nothing of it is lost."""
        for way in ways or tuple(Way):
            self._clear[way].clear()

    def mend(self) -> None:
        """Let everything through again, and mistreat nothing."""
        self.mistreat(NONE)
        for clear in self._clear.values():
            clear.set()

    def end_all(self) -> None:
        """End every connection there is."""
        for conversation in self._open:
            conversation.cancel()

    @property
    def counts(self) -> Counter[str]:
        """How often each mischief was done."""
        return sum((fates.counts for fates in self._fates.values()), Counter())

    @asynccontextmanager
    async def listen(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator["Proxy"]:
        """Serve; `port` 0 is any free one, and `self.port` says which."""
        server = await asyncio.start_server(self._begin, host, port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.end_all()
            await asyncio.gather(*self._open, return_exceptions=True)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = asyncio.ensure_future(self._converse(reader, writer))
        self._open.add(conversation)
        conversation.add_done_callback(self._open.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._server)
        except OSError:
            writer.close()
            return
        sides = [
            asyncio.ensure_future(self._carry(Way.TO_SERVER, reader, server_writer)),
            asyncio.ensure_future(self._carry(Way.TO_CLIENT, server_reader, writer)),
        ]
        try:
            await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for side in sides:
                side.cancel()
            await asyncio.gather(*sides, return_exceptions=True)
            server_writer.close()
            writer.close()

    async def _carry(
        self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Carry one way until its end, or until fate ends it."""
        packets = MqttPackets()
        held = b""
        while True:
            wait_s = _SWAP_S_MAX if held else None
            try:
                octets = await asyncio.wait_for(reader.read(_READ_OCTETS_MAX), wait_s)
            except TimeoutError:
                await _write(writer, held)  # nothing came to be swapped with
                held = b""
                continue
            if not octets:
                await _write(writer, held)
                return
            for chunk in packets.feed(octets) if self._mqtt_packets else [octets]:
                fate = self._fate(way, chunk)
                await asyncio.sleep(fate.delay_s)
                await self._clear[way].wait()
                if fate.swapped and not held:
                    held = b"".join(fate.octets)
                    continue
                await _write(writer, b"".join(fate.octets) + held)
                held = b""
                if fate.last:
                    return

    def _fate(self, way: Way, chunk: bytes) -> Fate:
        if self._mqtt_packets and not is_publish(chunk):
            return Fate(octets=(chunk,))
        return self._fates[way].decide(chunk)


async def _write(writer: asyncio.StreamWriter, octets: bytes) -> None:
    if octets:
        writer.write(octets)
        await writer.drain()
