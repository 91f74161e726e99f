"""One at a time on a bus, the most urgent first."""

import asyncio

import pytest

from quince.edge.agent.right_of_way import RightOfWay, Urgency


@pytest.fixture
def way():
    return RightOfWay()


async def hold(way, urgency, order):
    async with way.hold(lambda: urgency):
        order.append(urgency)
        await asyncio.sleep(1)


def test_the_most_urgent_of_those_who_wait_goes_first(way, in_virtual_time):
    async def crowd():
        order: list[object] = []
        wanted = [Urgency.BACKFILL, Urgency.POLL, Urgency.ASKED, Urgency.REREAD, Urgency.SAMPLE]
        await asyncio.gather(*(hold(way, urgency, order) for urgency in wanted))
        return order

    assert in_virtual_time(crowd()) == [
        Urgency.BACKFILL,  # it was there first
        Urgency.SAMPLE,
        Urgency.ASKED,
        Urgency.POLL,
        Urgency.REREAD,
    ]


def test_the_equally_urgent_go_in_order(way, in_virtual_time):
    async def one(name, order):
        async with way.hold(lambda: Urgency.ASKED):
            order.append(name)
            await asyncio.sleep(1)

    async def crowd():
        order: list[object] = []
        await asyncio.gather(*(one(name, order) for name in "abc"))
        return order

    assert in_virtual_time(crowd()) == ["a", "b", "c"]


def test_who_waits_may_become_more_urgent(way, in_virtual_time):
    async def crowd():
        order: list[object] = []
        wishes = {"a": Urgency.BACKFILL}

        async def changing():
            async with way.hold(lambda: wishes["a"]):
                order.append("changed")

        async with way.hold(lambda: Urgency.POLL):
            waiting = [
                asyncio.ensure_future(hold(way, Urgency.POLL, order)),
                asyncio.ensure_future(changing()),
            ]
            await asyncio.sleep(1)
            assert not way.is_wanted_above(Urgency.POLL)
            wishes["a"] = Urgency.SAMPLE
            assert way.is_wanted_above(Urgency.POLL)
        await asyncio.wait(waiting)
        return order

    assert in_virtual_time(crowd()) == ["changed", Urgency.POLL]


def test_who_gives_up_waiting_is_passed_over(way, in_virtual_time):
    async def crowd():
        order: list[object] = []
        async with way.hold(lambda: Urgency.POLL):
            leaving = asyncio.ensure_future(hold(way, Urgency.SAMPLE, order))
            staying = asyncio.ensure_future(hold(way, Urgency.REREAD, order))
            await asyncio.sleep(1)
            leaving.cancel()
            await asyncio.sleep(1)
            assert way.waiting == 1
        await asyncio.wait([staying])
        return order

    assert in_virtual_time(crowd()) == [Urgency.REREAD]


def test_who_gives_up_in_the_moment_of_his_turn_hands_it_on(way, in_virtual_time):
    async def crowd():
        order: list[object] = []
        async with way.hold(lambda: Urgency.POLL):
            leaving = asyncio.ensure_future(hold(way, Urgency.SAMPLE, order))
            staying = asyncio.ensure_future(hold(way, Urgency.REREAD, order))
            await asyncio.sleep(1)
        leaving.cancel()  # granted, and not yet awake
        await asyncio.wait([leaving, staying])
        return order

    assert in_virtual_time(crowd()) == [Urgency.REREAD]


def test_a_failure_on_the_bus_leaves_it_free(way, in_virtual_time):
    async def fail():
        async with way.hold(lambda: Urgency.POLL):
            raise LookupError

    async def crowd():
        with pytest.raises(LookupError):
            await fail()
        order: list[object] = []
        await hold(way, Urgency.POLL, order)
        return order

    assert in_virtual_time(crowd()) == [Urgency.POLL]


def test_whoever_holds_and_whoever_waits_may_give_up_at_once(way, in_virtual_time):
    async def impatient():
        async with asyncio.timeout(1), way.hold(lambda: Urgency.POLL):
            await asyncio.sleep(9)

    async def crowd():
        given_up = await asyncio.gather(*(impatient() for _ in range(9)), return_exceptions=True)
        order: list[object] = []
        await hold(way, Urgency.POLL, order)
        return {type(each) for each in given_up}, order, way.waiting

    assert in_virtual_time(crowd()) == ({TimeoutError}, [Urgency.POLL], 0)
