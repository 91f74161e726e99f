import asyncio
from pathlib import Path

import pytest

from quince.headend import wiring
from quince.headend.assets.rules import Meter, read_registration
from quince.headend.assets.store import AssetStore, GatewayDirectory
from quince.headend.errors import AssetConflictError, AssetFileError
from quince.headend.platform.sql import open_engine
from quince.headend.platform.sqlite import open_connection
from quince.protocols.gateway.topics import GatewayAddress

TENANT = '[tenant]\nid = 1\nname = "One"\ncells = ["north"]\n'


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(AssetFileError) as caught:
        read_registration(text)
    return caught.value.problems


def test_a_registration_is_read(registration: str) -> None:
    read = read_registration(registration)
    assert read.tenant.cells == ("north",)
    assert read.gateways == (GatewayAddress(cell="north", gateway="gw-1"),)
    assert read.meters == (
        Meter(
            meter_id="m-1",
            metering_point="mp-1",
            premise="12 Elm Street",
            zone="America/New_York",
        ),
    )


def test_a_metering_point_without_a_name_goes_by_its_meters() -> None:
    assert Meter(meter_id="m-1", premise="p", zone="UTC").metering_point == "m-1"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tenant = ", "Invalid value"),
        ("", "tenant 1: 'cells' is missing"),
        (TENANT + "[customer]\n", "customer: no such table"),
        (TENANT.replace("id = 1", "id = 0"), "id = 0: 1..2147483647"),
        (TENANT.replace("id = 1", 'id = "1"'), "id = '1': a whole number"),
        (TENANT.replace('"One"', '""'), "name = ''"),
        (TENANT.replace('["north"]', '"north"'), "cells = 'north': a list of names"),
        (TENANT.replace('["north"]', "[]"), "cells = (): at least one cell"),
        (TENANT.replace('"north"', '"no/rth"'), "cell = 'no/rth'"),
        ("gateway = 5\n" + TENANT, "gateway: expected tables"),
        (TENANT + '[[gateway]]\nid = "g"\ncell = "south"\n', "cell 'south' is not among"),
        (TENANT + '[[gateway]]\nid = "g"\ncell = "north"\n' * 2, "gateway 'north/g': named twice"),
        (TENANT + '[[meter]]\nid = "m"\npremise = "p"\nzone = "Mars/Base"\n', "zone = 'Mars/Base'"),
        (TENANT + '[[meter]]\nid = "m"\npremise = "p"\nzone = "../etc"\n', "zone = '../etc'"),
        (TENANT + '[[meter]]\nid = "m"\npremise = 5\nzone = "UTC"\n', "premise = 5"),
        (TENANT + '[[meter]]\nid = "m"\npremise = "p"\nzon = "UTC"\n', "meter 1 (m)"),
        (TENANT + '[[meter]]\npremise = "p"\nzone = "UTC"\n', "meter 1: 'id' is missing"),
    ],
)
def test_a_row_that_cannot_be_is_named(text: str, problem: str) -> None:
    assert problem in "\n".join(problems(text))


def test_every_faulty_row_is_named_at_once() -> None:
    rows = '[[meter]]\nid = "m"\npremise = "p"\nzone = "x"\n' * 2
    assert len(problems(TENANT + rows)) == 2


async def test_registering_again_updates_and_removes_nothing(
    database: Path, registration: str
) -> None:
    text = registration.replace("12 Elm Street", "14 Elm Street").replace(
        "[[gateway]]", '[[gateway]]\nid = "gw-2"\ncell = "north"\n[[gateway]]'
    )
    await wiring.register(database, read_registration(text))
    engine = open_engine(database)
    (meter,) = await AssetStore(engine).meters(tenant_id=1, after="", limit=10)
    (tenant,) = await AssetStore(engine).tenants()
    await engine.dispose()
    assert meter.premise == "14 Elm Street"
    assert tenant.name == "Cooperativa Quince"


async def test_a_cell_belongs_to_one_tenant(database: Path) -> None:
    stranger = read_registration(TENANT.replace("id = 1", "id = 2"))
    with pytest.raises(AssetConflictError, match="belongs to tenant 1"):
        await wiring.register(database, stranger)
    engine = open_engine(database)
    assert len(await AssetStore(engine).tenants()) == 1
    await engine.dispose()


def test_a_gateway_is_known_in_its_own_cell_alone(database: Path) -> None:
    connection = open_connection(database)
    directory = GatewayDirectory(connection)
    assert directory.tenant_of(GatewayAddress(cell="north", gateway="gw-1")) == 1
    assert directory.tenant_of(GatewayAddress(cell="south", gateway="gw-1")) is None
    connection.close()


def test_the_tenant_of_a_gateway_is_found_by_keys_alone(database: Path) -> None:
    connection = open_connection(database)
    asked: list[str] = []
    connection.set_trace_callback(asked.append)
    GatewayDirectory(connection).tenant_of(GatewayAddress(cell="north", gateway="gw-1"))
    connection.set_trace_callback(None)
    plan = [row[3] for row in connection.execute(f"explain query plan {asked[0]}")]
    connection.close()
    assert [step.split(" USING ")[0] for step in plan] == ["SEARCH cell", "SEARCH gateway"]


def test_the_meter_table_names_its_tenant_once(database: Path) -> None:
    connection = open_connection(database)
    keys = connection.execute("pragma foreign_key_list(meter)").fetchall()
    connection.close()
    assert len(keys) == 1


def test_a_tenant_may_have_neither_gateways_nor_meters(tmp_path: Path) -> None:
    path = tmp_path / "headend.sqlite"
    asyncio.run(wiring.register(path, read_registration(TENANT)))
    asyncio.run(wiring.register(path, read_registration(TENANT)))
