"""Which block reads fetch a profile's points: few, and none that tears a value in two.

A value read by two requests can be half old and half new: a counter that carried in between. The
same holds for a value and its scale register, which are one point's span.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from quince.protocols.modbus.points import Point, Table
from quince.protocols.modbus.profiles import ModbusProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRead:
    """One request, and the points it answers whole."""

    table: Table
    address: int
    count: int
    points: tuple[Point, ...]

    def split(self, registers: Sequence[int]) -> Mapping[Point, Sequence[int]]:
        """Return each point's registers out of the answer's, from its begin to its end."""
        return {
            point: registers[point.begin - self.address : point.end - self.address]
            for point in self.points
        }

    def one_by_one(self) -> tuple["BlockRead", ...]:
        """Return a read for each point alone: what is left where a meter refuses the block."""
        return tuple(_read(self.table, [point]) for point in self.points)


def plan_reads(profile: ModbusProfile, points: Iterable[Point]) -> tuple[BlockRead, ...]:
    """Return the reads for `points` of the profile, by table and address.

    A read crosses at most `hole_max` registers that belong to no point (many meters refuse a
    read over an address they do not have) and asks for at most `block_max`.
    """
    by_place = sorted(points, key=attrgetter("table", "begin", "end"))
    return tuple(
        read
        for table, neighbours in groupby(by_place, key=attrgetter("table"))
        for read in _merge(table, neighbours, profile)
    )


def _merge(table: Table, points: Iterable[Point], profile: ModbusProfile) -> list[BlockRead]:
    blocks: list[list[Point]] = []
    begin = end = 0
    for point in points:
        near = blocks and point.begin - end <= profile.hole_max
        if near and max(end, point.end) - begin <= profile.block_max:
            blocks[-1].append(point)
            end = max(end, point.end)
        else:
            blocks.append([point])
            begin, end = point.begin, point.end
    return [_read(table, block) for block in blocks]


def _read(table: Table, points: Sequence[Point]) -> BlockRead:
    begin = min(point.begin for point in points)
    end = max(point.end for point in points)
    return BlockRead(table=table, address=begin, count=end - begin, points=tuple(points))
