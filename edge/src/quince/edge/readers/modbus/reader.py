"""Reads Modbus meters: registers by the profile's plan; they keep no load profile."""

from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

import structlog

from quince.edge.errors import ReadTimeoutError
from quince.edge.readers.modbus.line import ModbusLine, open_port
from quince.edge.readers.modbus.port import AddressRefusedError, ModbusPort
from quince.edge.readers.reader import (
    Identity,
    ListedObject,
    Momentary,
    Transformers,
    WithoutProfile,
)
from quince.model.clock import Clock
from quince.model.errors import CodecError, InvalidValueError, RemoteProtocolError
from quince.model.interval import RegisterReading
from quince.model.obis import Obis
from quince.protocols.modbus.planning import plan_reads
from quince.protocols.modbus.points import Point, Table, unit_of
from quince.protocols.modbus.profiles import Match, ModbusProfile, TransformerSide
from quince.protocols.modbus.registers import VALUE_MAX, decode
from quince.protocols.modbus.sunspec import (
    COMMON_MODEL,
    COMMON_REGISTERS,
    HEADER_REGISTERS,
    METER_MODELS,
    ModelWalk,
    parse_common,
)

log = structlog.get_logger()

RATIO_MAX = (
    1_000_000  # 400 kV to 100 V times 5,000 A to 1 A is twenty times this: no meter is there
)
_MAKER, _PRODUCT, _REVISION = 0, 1, 2
_POWERS = ("W", "var", "VA")
_Refusal = TypeVar("_Refusal", AddressRefusedError, CodecError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A kind of meter behind a site's transformers.

    `transformer_ratio` is what energy and power are multiplied by, where the meter leaves that
    to its reader.
    """

    profile: ModbusProfile
    transformer_ratio: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.transformer_ratio <= RATIO_MAX:
            raise InvalidValueError("transformer_ratio", self.transformer_ratio, f"1..{RATIO_MAX}")
        primary = self.profile.transformer_side is TransformerSide.PRIMARY
        if primary and self.transformer_ratio != 1:
            raise InvalidValueError(
                "transformer_ratio",
                self.transformer_ratio,
                f"{self.profile.name} multiplies itself",
            )

    @property
    def rolls_over_at(self) -> Mapping[Obis, int]:
        """At how much energy each register begins at 0 again, where that is known."""
        return {
            point.obis: point.modulus * self.transformer_ratio
            for point in self.profile.energies
            if point.modulus is not None
        }


class ModbusReader(WithoutProfile):
    """What a Modbus meter knows, in the agent's words."""

    def __init__(
        self, port: ModbusPort, *, meter_id: str, installation: Installation, clock: Clock
    ) -> None:
        """Take an open port."""
        self._port = port
        self._meter_id = meter_id
        self._profile = installation.profile
        self._ratio = installation.transformer_ratio
        self._clock = clock
        self._placed: ModbusProfile | None = None

    async def identify(self) -> Identity:
        """Return who the meter says it is; it is refused if it is another kind of meter.

        By SunSpec's common model, or by the device identification; a meter that has neither is
        what its profile says it is, once its code is as expected.
        """
        if self._profile.sunspec_model is not None:
            return await self._sunspec_identity(self._profile.sunspec_model)
        if self._profile.match is not None:
            await self._check(self._profile.match)
        named = await named_identity(self._port)
        return named if named.model else replace(named, model=self._profile.name)

    async def transformers(self) -> Transformers:
        """Return what the gateway multiplies by; what the meter does stands in its own menu."""
        return Transformers(gateway_ratio=self._ratio)

    async def registers(self) -> list[RegisterReading]:
        """Return the energies that have a value, each stamped when its block had arrived."""
        placed = await self._place()
        return [
            RegisterReading(
                meter_id=self._meter_id,
                obis=point.obis,
                at_utc=at_utc,
                value=self._multiplied(value),
            )
            for point, at_utc, value in await self._values(placed, placed.energies)
            if value >= 0  # a register below zero is none
        ]

    async def momentaries(self) -> list[Momentary]:
        """Return the momentary quantities that have a value.

        A transformer ratio is in the powers; voltages and currents stay the meter's own.
        """
        placed = await self._place()
        return [
            self._momentary(point, at_utc, value)
            for point, at_utc, value in await self._values(placed, placed.momentaries)
        ]

    async def objects(self) -> list[ListedObject]:
        """Return the points of the profile, and where this meter has them."""
        placed = await self._place()
        return [
            ListedObject(
                name=str(point.obis),
                kind=f"{point.type} {point.unit}",
                place=f"{point.table} {point.address}",
            )
            for point in placed.points
        ]

    async def _values(
        self, profile: ModbusProfile, points: Sequence[Point]
    ) -> list[tuple[Point, datetime, int]]:
        """Return the points that have a value; one that is missing or broken costs no other.

        A block that the meter refuses is read point by point: it may lack a register or two.
        What was refused last is raised if nothing else is there.
        """
        values: list[tuple[Point, datetime, int]] = []
        refused: AddressRefusedError | CodecError | None = None
        blocks = deque(plan_reads(profile, points))
        while blocks:
            block = blocks.popleft()
            try:
                registers = await self._port.read(block.table, block.address, block.count)
            except AddressRefusedError as error:
                refused = self._refused(error)
                if len(block.points) > 1:
                    blocks.extendleft(reversed(block.one_by_one()))
                continue
            at_utc = self._clock.now_utc()
            for point, words in block.split(registers).items():
                try:
                    value = decode(point, words)
                except CodecError as error:
                    refused = self._refused(error)
                    continue
                if value is not None:
                    values.append((point, at_utc, value))
        if refused is not None and not values:
            raise refused
        return values

    def _refused(self, error: _Refusal) -> _Refusal:
        log.warning("modbus_points_refused", meter_id=self._meter_id, reason=str(error))
        return error

    def _momentary(self, point: Point, at_utc: datetime, value: int) -> Momentary:
        unit = unit_of(point.obis)
        thousandths = self._multiplied(value) if unit in _POWERS else value
        return Momentary(obis=point.obis, at_utc=at_utc, thousandths=thousandths, unit=unit)

    def _multiplied(self, value: int) -> int:
        product = value * self._ratio
        if abs(product) > VALUE_MAX:
            raise CodecError(f"{value} times {self._ratio} is beyond 63 bits")
        return product

    async def _place(self) -> ModbusProfile:
        """Return the profile at this meter's addresses: SunSpec's models are to be found first."""
        if self._placed is None:
            number = self._profile.sunspec_model
            self._placed = self._profile
            if number is not None:
                walk = await walk_models(self._port)
                model = walk.find(number)
                if model.registers < METER_MODELS[number]:
                    raise RemoteProtocolError(f"SunSpec model {number} of {model.registers}")
                self._placed = self._profile.moved(model.address)
        return self._placed

    async def _sunspec_identity(self, number: int) -> Identity:
        walk = await walk_models(self._port)
        walk.find(number)
        return await common_identity(self._port, walk)

    async def _check(self, match: Match) -> None:
        (code,) = await self._port.read(match.table, match.address, 1)
        if code not in match.values:
            raise RemoteProtocolError(f"no {self._profile.name}: its code is {code}")


async def walk_models(port: ModbusPort) -> ModelWalk:
    """Return the SunSpec models of a meter; CodecError if it has none."""
    walk = ModelWalk()
    while walk.address is not None:
        try:
            header = await port.read(Table.HOLDING, walk.address, HEADER_REGISTERS)
        except RemoteProtocolError:  # with whatever exception: nothing to be read there
            walk.receive(None)
        else:
            walk.receive(header)
    return walk


async def common_identity(port: ModbusPort, walk: ModelWalk) -> Identity:
    """Return what a SunSpec meter's common model says."""
    model = walk.find(COMMON_MODEL)
    registers = await port.read(
        Table.HOLDING, model.address, min(model.registers, COMMON_REGISTERS)
    )
    common = parse_common(registers)
    return Identity(
        serial=common.serial, maker=common.maker, model=common.model, firmware=common.version
    )


async def named_identity(port: ModbusPort) -> Identity:
    """Return what the device identification says, nothing of a meter that has none."""
    try:
        names = await port.device_identification()
    except (RemoteProtocolError, ReadTimeoutError):  # most meters never heard of it
        names = {}
    return Identity(
        serial="",
        maker=names.get(_MAKER, ""),
        model=names.get(_PRODUCT, ""),
        firmware=names.get(_REVISION, ""),
    )


@asynccontextmanager
async def open_modbus(
    line: ModbusLine, *, meter_id: str, installation: Installation, clock: Clock
) -> AsyncIterator[ModbusReader]:
    """Open a session with the meter on `line`."""
    async with open_port(line, installation.profile.gap_ms / 1000) as port:
        yield ModbusReader(port, meter_id=meter_id, installation=installation, clock=clock)
