"""The Modbus reader against the simulated meter, and against meters that lack or lie."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.clocks import StoppedClock

from quince.edge.errors import ReadTimeoutError, UnsupportedError
from quince.edge.profiles.catalogue import load_profile, profile_names
from quince.edge.readers.modbus.line import ModbusLine
from quince.edge.readers.modbus.port import AddressRefusedError
from quince.edge.readers.modbus.reader import Installation, ModbusReader, open_modbus
from quince.edge.readers.reader import Identity, Momentary
from quince.firmware_sims.load import Household, Supply
from quince.firmware_sims.modbus.meter import ModbusMeter
from quince.firmware_sims.modbus.serving import serve_tcp
from quince.model.errors import CodecError, InvalidValueError, RemoteProtocolError
from quince.model.interval import RegisterReading
from quince.model.obis import ACTIVE_IMPORT_REGISTER, Obis
from quince.protocols.modbus.points import Table
from quince.protocols.modbus.profiles import ModbusProfile, TransformerSide

NOW = datetime(2026, 5, 1, 18, 7, tzinfo=UTC)
HOUSEHOLD = Household(seed=7)
PROFILE = load_profile("schneider_iem3155")
POWER = Obis(1, 0, 16, 7, 0)


class Registers:
    """A port whose every register holds `word`, but for those it does not have."""

    def __init__(self, word: int, missing: Sequence[int] = ()) -> None:
        self.word = word
        self.missing = set(missing)
        self.names: dict[int, str] = {}
        self.asked: list[tuple[Table, int, int]] = []

    async def read(self, table: Table, address: int, count: int) -> Sequence[int]:
        self.asked.append((table, address, count))
        if self.missing & set(range(address, address + count)):
            raise AddressRefusedError("no such register")
        return [self.word] * count

    async def device_identification(self) -> Mapping[int, str]:
        return self.names


class Mute(Registers):
    """A port to a meter that says nothing to what it does not know."""

    async def device_identification(self) -> Mapping[int, str]:
        raise ReadTimeoutError("no answer")


class Map(Registers):
    """A port to a meter of these registers and no others."""

    def __init__(self, words: Mapping[int, int]) -> None:
        super().__init__(0)
        self.words = words

    async def read(self, table: Table, address: int, count: int) -> Sequence[int]:
        self.missing = set(range(0x10000)) - self.words.keys()
        await super().read(table, address, count)
        return [self.words[place] for place in range(address, address + count)]


def reader(port: Registers, profile: ModbusProfile = PROFILE, ratio: int = 1) -> ModbusReader:
    installation = Installation(profile=profile, transformer_ratio=ratio)
    return ModbusReader(port, meter_id="m-1", installation=installation, clock=StoppedClock(NOW))


def meter(profile: ModbusProfile = PROFILE, supply: Supply | None = None) -> ModbusMeter:
    return ModbusMeter(
        HOUSEHOLD, supply or Supply(), StoppedClock(NOW), profile=profile, device_id=7
    )


async def ask(
    port: int, profile: ModbusProfile = PROFILE, device_id: int = 7
) -> tuple[list[RegisterReading], list[Momentary], Identity]:
    line = ModbusLine(url=f"modbus+tcp://127.0.0.1:{port}", device_id=device_id)
    installation = Installation(profile=profile)
    async with open_modbus(
        line, meter_id="m-1", installation=installation, clock=StoppedClock(NOW)
    ) as session:
        return await session.registers(), await session.momentaries(), await session.identify()


async def test_the_register_is_the_households_to_the_watt_hour() -> None:
    async with serve_tcp([meter()], "127.0.0.1", 0) as port:
        readings, _, _ = await ask(port)
    assert readings == [
        RegisterReading(
            meter_id="m-1",
            obis=ACTIVE_IMPORT_REGISTER,
            at_utc=NOW,
            value=HOUSEHOLD.register_wh(NOW),
        )
    ]


# How fine a meter's register is; a float32 of kWh at 21,367 kWh is so to 2 Wh.
RESOLUTION_WH = {
    "abb_b23": 10,
    "carlo_gavazzi_em24": 100,
    "carlo_gavazzi_em24_e1": 100,
    "carlo_gavazzi_et340": 100,
    "dzg_dvh4013": 1,
    "lovato_dmg610": 10,
    "orno_we525": 10,
    "schneider_iem3155": 1,
    "siemens_7kt1665": 1,
    "siemens_pac2200": 1,
    "sunspec_201": 1,
    "sunspec_202": 1,
    "sunspec_203": 1,
    "sunspec_204": 1,
}


@pytest.mark.parametrize("name", profile_names())
async def test_every_shipped_meter_is_read_from_its_simulator(name: str) -> None:
    profile = load_profile(name)
    async with serve_tcp([meter(profile)], "127.0.0.1", 0) as port:
        (reading,), momentaries, identity = await ask(port, profile)
    assert reading.obis == ACTIVE_IMPORT_REGISTER
    assert abs(HOUSEHOLD.register_wh(NOW) - reading.value) < RESOLUTION_WH.get(name, 3)
    told = {str(one.obis): (one.thousandths, one.unit) for one in momentaries}
    assert told["1-0:32.7.0"] == (120_000, "V")
    assert told["1-0:31.7.0"] == (3_900, "A")
    assert (identity.maker, identity.model) == ("Quince", "Simulated meter")


async def test_a_sunspec_meter_tells_its_serial() -> None:
    profile = load_profile("sunspec_203")
    async with serve_tcp([meter(profile)], "127.0.0.1", 0) as port:
        _, _, identity = await ask(port, profile)
    assert identity == Identity(
        serial="QN-7", maker="Quince", model="Simulated meter", firmware="1.0"
    )


async def test_a_sunspec_meter_of_another_model_is_refused() -> None:
    async with serve_tcp([meter(load_profile("sunspec_203"))], "127.0.0.1", 0) as port:
        with pytest.raises(CodecError, match="no SunSpec model 201; there are 1, 203"):
            await ask(port, load_profile("sunspec_201"))


async def test_a_sunspec_model_shorter_than_it_should_be_is_refused() -> None:
    short = dict(enumerate([0x5375, 0x6E53, 203, 50, *([0] * 50), 0xFFFF, 0]))
    with pytest.raises(RemoteProtocolError, match="203 of 52"):
        await reader(Map(short), load_profile("sunspec_203")).registers()


async def test_a_meter_without_a_map_is_no_sunspec_meter() -> None:
    with pytest.raises(CodecError, match="no SunSpec map"):
        await reader(Map({0: 1, 1: 1}), load_profile("sunspec_203")).identify()


async def test_a_meter_without_mains_is_a_refusal() -> None:
    dark = Supply([(NOW, datetime(2026, 5, 2, tzinfo=UTC))])
    async with serve_tcp([meter(supply=dark)], "127.0.0.1", 0) as port:
        with pytest.raises(RemoteProtocolError, match=r"holding 3203\+8 refused: exception 11"):
            await ask(port)


async def test_an_unknown_device_is_an_error_of_the_meters() -> None:
    async with serve_tcp([meter()], "127.0.0.1", 0) as port:
        with pytest.raises(RemoteProtocolError):
            await ask(port, device_id=8)


async def test_only_what_is_available_is_read() -> None:
    port = Registers(0x0001)
    readings = await reader(port).registers()
    assert [reading.obis for reading in readings][:2] == [Obis(1, 0, 1, 8, 0), Obis(1, 0, 2, 8, 0)]
    assert port.asked == [
        (Table.HOLDING, 3203, 8),
        (Table.HOLDING, 3219, 8),
        (Table.HOLDING, 3517, 12),
    ]


async def test_an_energy_below_zero_is_no_reading() -> None:
    assert await reader(Registers(0xFFFF)).registers() == []


async def test_a_register_the_meter_lacks_costs_no_other() -> None:
    port = Registers(0x0001, missing=[3207, *range(3517, 3529)])
    readings = await reader(port).registers()
    assert [str(reading.obis) for reading in readings] == ["1-0:1.8.0", "1-0:3.8.0", "1-0:4.8.0"]


async def test_a_meter_that_lacks_all_registers_is_refused() -> None:
    with pytest.raises(AddressRefusedError):
        await reader(Registers(1, missing=range(0x10000))).registers()


async def test_there_is_no_profile_and_no_clock() -> None:
    session = reader(Registers(0))
    with pytest.raises(UnsupportedError, match="no clock"):
        await session.clock()
    with pytest.raises(UnsupportedError, match="m-1"):
        await session.intervals(NOW, NOW)


async def test_a_modbus_meter_is_told_nothing() -> None:
    with pytest.raises(UnsupportedError, match="no switch to turn off"):
        await reader(Registers(0)).switch_supply(on=False)


INFINITE = dict.fromkeys(range(74, 80), 0) | {72: 0x7F80, 73: 0}  # float32 import, and more


async def test_a_value_that_cannot_be_costs_no_other() -> None:
    readings = await reader(Map(INFINITE), load_profile("eastron_sdm120")).registers()
    assert [str(reading.obis) for reading in readings] == ["1-0:2.8.0", "1-0:3.8.0", "1-0:4.8.0"]


async def test_a_meter_of_nothing_but_such_values_is_refused() -> None:
    siemens = load_profile("siemens_7kt1665")
    alone = replace(siemens, points=(replace(siemens.energies[0], scale_register=6689),))
    with pytest.raises(CodecError, match="a scale factor of 17"):
        await reader(Registers(17), alone).registers()


SECONDARY = replace(PROFILE, transformer_side=TransformerSide.SECONDARY)


async def test_energy_and_power_are_multiplied_by_the_transformers_ratio() -> None:
    behind = reader(Registers(0x3F80), SECONDARY, ratio=40)
    alone = reader(Registers(0x3F80), SECONDARY)
    told = {one.unit: one.thousandths for one in await behind.momentaries()}
    once = {one.unit: one.thousandths for one in await alone.momentaries()}
    assert (told["W"], told["V"], told["A"]) == (40 * once["W"], once["V"], once["A"])
    with pytest.raises(CodecError, match="beyond 63 bits"):
        await behind.registers()


async def test_a_multiplied_register_is_whole() -> None:
    fifty_to_one = reader(Registers(0x0001), SECONDARY, ratio=50)
    once = (await reader(Registers(0x0001)).registers())[0].value
    assert (await fifty_to_one.registers())[0].value == 50 * once


@pytest.mark.parametrize(("profile", "ratio"), [(PROFILE, 2), (SECONDARY, 0), (SECONDARY, 10**7)])
def test_a_ratio_that_cannot_be_is_refused(profile: ModbusProfile, ratio: int) -> None:
    with pytest.raises(InvalidValueError, match="transformer_ratio"):
        Installation(profile=profile, transformer_ratio=ratio)


def test_a_register_rolls_over_at_so_much_energy_in_the_line() -> None:
    points = [replace(point, rolls_over_at=10**9) for point in SECONDARY.energies[:1]]
    profile = replace(SECONDARY, points=(*points, *SECONDARY.energies[1:]))
    installation = Installation(profile=profile, transformer_ratio=20)
    assert installation.rolls_over_at == {ACTIVE_IMPORT_REGISTER: 20 * 10**9}


async def test_a_meter_is_who_it_says_it_is() -> None:
    port = Registers(0)
    port.names = {0: "Acme", 1: "A-9", 2: "V3"}
    assert await reader(port).identify() == Identity(
        serial="", maker="Acme", model="A-9", firmware="V3"
    )


async def test_a_meter_that_does_not_say_is_what_its_profile_says() -> None:
    identity = await reader(Mute(0)).identify()
    assert identity == Identity(serial="", model="Schneider Electric iEM3155")


async def test_a_meter_of_another_code_is_another_meter() -> None:
    em24 = load_profile("carlo_gavazzi_em24")
    assert (await reader(Mute(47), em24).identify()).model == "Carlo Gavazzi EM24 (RS-485)"
    with pytest.raises(RemoteProtocolError, match="its code is 1648"):
        await reader(Mute(1648), em24).identify()
