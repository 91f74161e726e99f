"""Block reads: every point whole, no block too long, no hole too wide."""

from hypothesis import given, strategies as st

from quince.model.obis import Obis
from quince.protocols.modbus.planning import plan_reads
from quince.protocols.modbus.points import NumberType, Order, Point, Table
from quince.protocols.modbus.profiles import ModbusProfile, Source
from quince.protocols.modbus.quality import Proof, Rule, Status


def point(
    address: int, number: NumberType, table: Table, tariff: int, scale_register: int | None = None
) -> Point:
    return Point(
        obis=Obis(1, 0, 1, 8, tariff),
        address=address,
        table=table,
        type=number,
        order=Order.ABCD,
        unit="Wh",
        scale_register=scale_register,
    )


def profile(*points: Point, hole_max: int = 0, block_max: int = 125) -> ModbusProfile:
    return ModbusProfile(
        name="A meter",
        source=Source(addresses="a test", licence="none"),
        points=points,
        quality=dict.fromkeys(Rule, Proof(status=Status.DONE)),
        hole_max=hole_max,
        block_max=block_max,
    )


PLACES = st.tuples(
    st.integers(10, 300),
    st.sampled_from(NumberType),
    st.sampled_from(Table),
    st.sampled_from([None, -3, -1, 4, 9]),  # how far away the scale register is
)
PROFILES = st.builds(
    lambda places, hole_max, block_max: profile(
        *(
            point(at, kind, table, tariff, None if distance is None else at + distance)
            for tariff, (at, kind, table, distance) in enumerate(places)
        ),
        hole_max=hole_max,
        block_max=block_max,
    ),
    st.lists(PLACES, min_size=1, max_size=20),
    st.integers(0, 20),
    st.integers(10, 125),
)


@given(PROFILES)
def test_every_point_is_read_once_and_whole(meter: ModbusProfile) -> None:
    reads = plan_reads(meter, meter.points)
    assert sorted(point.obis for read in reads for point in read.points) == sorted(
        point.obis for point in meter.points
    )
    for read in reads:
        words = read.split(range(read.address, read.address + read.count))
        for asked, registers in words.items():
            assert list(registers) == list(range(asked.begin, asked.end))


@given(PROFILES)
def test_no_block_is_longer_than_allowed_and_none_is_padded(meter: ModbusProfile) -> None:
    for read in plan_reads(meter, meter.points):
        assert read.count <= meter.block_max
        assert read.address == min(point.begin for point in read.points)
        assert read.address + read.count == max(point.end for point in read.points)


@given(PROFILES)
def test_no_block_crosses_a_wider_hole_than_allowed(meter: ModbusProfile) -> None:
    for read in plan_reads(meter, meter.points):
        covered = {address for point in read.points for address in range(point.begin, point.end)}
        hole = 0
        for address in range(read.address, read.address + read.count):
            hole = 0 if address in covered else hole + 1
            assert hole <= meter.hole_max


def test_neighbours_are_read_together_and_strangers_apart() -> None:
    first = point(3203, NumberType.INT64, Table.HOLDING, 0)
    second = point(3207, NumberType.INT64, Table.HOLDING, 1)
    third = point(3219, NumberType.INT64, Table.HOLDING, 2)
    other = point(3211, NumberType.INT64, Table.INPUT, 3)
    meter = profile(third, other, second, first)
    reads = plan_reads(meter, meter.points)
    assert [(read.table, read.address, read.count) for read in reads] == [
        (Table.HOLDING, 3203, 8),
        (Table.HOLDING, 3219, 4),
        (Table.INPUT, 3211, 4),
    ]


def test_a_hole_within_the_limit_is_crossed() -> None:
    first = point(0, NumberType.UINT32, Table.INPUT, 0)
    second = point(10, NumberType.UINT32, Table.INPUT, 1)
    (read,) = plan_reads(profile(first, second, hole_max=8), [first, second])
    assert (read.address, read.count) == (0, 12)


def test_a_value_and_its_scale_register_are_read_together_whatever_lies_between() -> None:
    scaled = point(50, NumberType.UINT32, Table.HOLDING, 0, scale_register=90)
    (read,) = plan_reads(profile(scaled), [scaled])
    assert (read.address, read.count) == (50, 41)


def test_only_what_is_asked_for_is_read() -> None:
    first = point(0, NumberType.UINT32, Table.INPUT, 0)
    second = point(2, NumberType.UINT32, Table.INPUT, 1)
    (read,) = plan_reads(profile(first, second), [second])
    assert (read.address, read.count) == (2, 2)


def test_a_refused_block_can_be_read_point_by_point() -> None:
    first = point(0, NumberType.UINT32, Table.INPUT, 0)
    second = point(10, NumberType.UINT32, Table.INPUT, 1)
    (read,) = plan_reads(profile(first, second, hole_max=8), [first, second])
    singles = read.one_by_one()
    assert [(single.address, single.count) for single in singles] == [(0, 2), (10, 2)]
    assert [single.points for single in singles] == [(first,), (second,)]
