"""The chaos proxy itself: what it promises to do to octets, it does, and nothing else."""

import asyncio
import random
from contextlib import asynccontextmanager, suppress

import pytest
from hypothesis import given, strategies as st
from tests.chaos.proxy import Fates, Mischief, MqttPackets, Proxy, Way

from quince.model.errors import CodecError, InvalidValueError

PATIENCE_S = 5
CONNECT = bytes.fromhex("100c00044d5154540400003c0000")
PUBLISH_A, PUBLISH_B = b"\x30\x04\x00\x01tA", b"\x30\x04\x00\x01tB"


@asynccontextmanager
async def through(prepare=bool, **options):
    """A server that keeps what it hears and answers it back, with a proxy in front of it."""
    heard = bytearray()

    async def answer(reader, writer):
        with suppress(OSError):
            while octets := await reader.read(1000):
                heard.extend(octets)
                writer.write(octets)
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        proxy = Proxy(server.sockets[0].getsockname(), seed=1, **options)
        async with proxy.listen():
            prepare(proxy)
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            yield proxy, heard, reader, writer
            writer.close()


async def ask(reader, writer, octets, count):
    writer.write(octets)
    return await asyncio.wait_for(reader.readexactly(count), PATIENCE_S)


async def until(happened):
    async with asyncio.timeout(PATIENCE_S):
        while not happened():  # noqa: ASYNC110 - nobody is there to set an event
            await asyncio.sleep(0.01)


def mistreating(*ways, **mischief):
    return lambda proxy: proxy.mistreat(Mischief(**mischief), *ways)


async def test_octets_pass_untouched_where_no_mischief_is():
    async with through() as (_, _, reader, writer):
        assert await ask(reader, writer, b"quarter-hour", 12) == b"quarter-hour"


async def test_a_doubled_chunk_arrives_twice():
    async with through(mistreating(Way.TO_SERVER, duplicate=1.0)) as (proxy, _, reader, writer):
        assert await ask(reader, writer, b"ab", 4) == b"abab"
        assert proxy.counts["duplicate"] == 1


async def test_one_bit_is_flipped():
    async with through(mistreating(Way.TO_CLIENT, flip=1.0)) as (_, heard, reader, writer):
        answer = await ask(reader, writer, b"\x00\x00\x00", 3)
        assert bytes(heard) == b"\x00\x00\x00"
        assert int.from_bytes(answer).bit_count() == 1


async def test_a_dropped_chunk_never_arrives_and_the_next_does():
    async with through(mistreating(Way.TO_SERVER, drop=1.0)) as (proxy, heard, reader, writer):
        writer.write(b"lost")
        await until(lambda: proxy.counts["drop"] == 1)
        proxy.mend()
        assert await ask(reader, writer, b"kept", 4) == b"kept"
        assert bytes(heard) == b"kept"


async def test_a_truncated_chunk_is_the_connections_last():
    async with through(mistreating(Way.TO_SERVER, truncate=1.0)) as (_, heard, reader, writer):
        writer.write(b"0123456789")
        rest = await asyncio.wait_for(reader.read(), PATIENCE_S)
        assert len(heard) < 10
        assert b"0123456789".startswith(bytes(heard))
        assert b"0123456789".startswith(rest)


async def test_a_chunk_can_be_the_last_one():
    async with through(mistreating(Way.TO_CLIENT, end=1.0)) as (_, _, reader, writer):
        writer.write(b"bye")
        assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b"bye"


async def test_two_chunks_change_places():
    swapping = mistreating(Way.TO_SERVER, swap=1.0)
    async with through(swapping, mqtt_packets=True) as (_, heard, reader, writer):
        await ask(reader, writer, PUBLISH_A + PUBLISH_B, 12)
        assert bytes(heard) == PUBLISH_B + PUBLISH_A


async def test_a_chunk_with_none_to_change_places_with_goes_alone():
    async with through(mistreating(Way.TO_SERVER, swap=1.0)) as (_, _, reader, writer):
        assert await ask(reader, writer, b"alone", 5) == b"alone"


async def test_of_mqtt_only_messages_are_mistreated():
    dropping = mistreating(Way.TO_SERVER, drop=1.0)
    async with through(dropping, mqtt_packets=True) as (_, heard, reader, writer):
        assert await ask(reader, writer, PUBLISH_A + CONNECT, len(CONNECT)) == CONNECT
        assert bytes(heard) == CONNECT


async def test_a_cut_way_stalls_and_the_other_does_not():
    async with through(lambda proxy: proxy.cut(Way.TO_CLIENT)) as (proxy, heard, reader, writer):
        writer.write(b"still")
        await until(lambda: len(heard) == 5)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.05)
        proxy.mend()
        assert await asyncio.wait_for(reader.readexactly(5), PATIENCE_S) == b"still"


async def test_every_connection_can_be_ended():
    async with through() as (proxy, _, reader, writer):
        await ask(reader, writer, b"a", 1)
        proxy.end_all()
        assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""


async def test_a_server_that_is_not_there_ends_the_connection():
    async with Proxy(("127.0.0.1", 1), seed=1).listen() as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
        writer.close()


def test_the_same_seed_decides_the_same():
    odds = Mischief(drop=0.2, duplicate=0.2, swap=0.2, flip=0.2, jitter_s=1.0)
    one, other = (Fates(odds, random.Random(7)) for _ in range(2))
    chunks = [bytes([number]) * 9 for number in range(50)]
    assert [one.decide(chunk) for chunk in chunks] == [other.decide(chunk) for chunk in chunks]
    assert one.counts == other.counts


@pytest.mark.parametrize("field", ["drop", "swap", "delay_s"])
@pytest.mark.parametrize("value", [-0.1, 61.0, float("nan")])
def test_what_is_no_probability_is_refused(field, value):
    with pytest.raises(InvalidValueError):
        Mischief(**{field: value})


# --- packets ---------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=300), max_size=6), st.lists(st.integers(1, 50), max_size=20))
def test_packets_are_cut_alike_however_they_arrive(bodies, sizes):
    packets = [b"\x30" + _length(len(body)) + body for body in bodies]
    stream, cutter, found = b"".join(packets), MqttPackets(), []
    for size in [*sizes, len(stream) + 1]:
        found += cutter.feed(stream[:size])
        stream = stream[size:]
    assert found == packets


def test_a_length_of_five_octets_is_refused():
    with pytest.raises(CodecError):
        MqttPackets().feed(b"\x30\xff\xff\xff\xff\x01")


def test_a_packet_that_never_ends_is_refused():
    cutter = MqttPackets()
    cutter.feed(b"\x30\xff\xff\xff\x7f")
    with pytest.raises(CodecError):
        cutter.feed(bytes(17 * 2**20))


def _length(number):
    octets = []
    while True:
        number, octet = divmod(number, 128)
        octets.append(octet | (0x80 if number else 0))
        if not number:
            return bytes(octets)
