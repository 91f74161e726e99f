"""Every shipped profile is planned, its points come back, and its addresses are the public ones."""

import csv
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from quince.edge.profiles import catalogue
from quince.edge.profiles.catalogue import Row, load_profile, markdown, profile_names, rows
from quince.model.errors import InvalidValueError
from quince.model.obis import ACTIVE_IMPORT_REGISTER
from quince.protocols.modbus.documents import parse_profile
from quince.protocols.modbus.planning import plan_reads
from quince.protocols.modbus.quality import Rule, Status
from quince.protocols.modbus.registers import decode, encode

FOLDER = Path(catalogue.__file__).parent
SCHEMA = json.loads((FOLDER / "schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


@pytest.mark.parametrize("name", profile_names())
def test_a_shipped_profile_is_planned_and_its_points_come_back(name: str) -> None:
    profile = load_profile(name)
    assert profile.energies[0].obis == ACTIVE_IMPORT_REGISTER
    for read in plan_reads(profile, profile.points):
        assert read.count <= profile.block_max
        for point in read.points:
            value = 1000 * 10 ** max(point.exponent, 0)
            words = encode(point, value)
            span = [words.get(address, 0) for address in range(point.begin, point.end)]
            assert decode(point, span) == value


@pytest.mark.parametrize("name", profile_names())
def test_a_shipped_profile_is_of_the_schema(name: str) -> None:
    VALIDATOR.validate(tomllib.loads((FOLDER / f"{name}.toml").read_text()))


def test_there_are_ten_kinds_of_real_meters_and_sunspecs() -> None:
    sunspec = [name for name in profile_names() if load_profile(name).sunspec_model is not None]
    assert len(profile_names()) - len(sunspec) >= 10
    assert {"sunspec_201", "sunspec_202", "sunspec_203", "sunspec_204"} <= set(sunspec)


def test_a_profile_that_is_not_shipped_is_refused_by_name() -> None:
    with pytest.raises(InvalidValueError, match="abb_b23, carlo_gavazzi_em24"):
        load_profile("acme")


# --- the schema and the parser ----------------------------------------------------------

PROFILE = """
name = "A meter"

[source]
addresses = "its manual"
licence = "none"

[match]
table = "holding"
address = 11
values = [45, 46]

[quality]
registers_checked = "done"
sign_checked = { status = "todo", comment = "no meter at hand" }
rollover_known = { status = "exempt", comment = "its counters outlast it" }
simulated = "done"
read_from_real_meter = { status = "done", comment = "on 1 May" }

[defaults]
table = "holding"
order = "ABCD"

[[points]]
obis = "1-0:1.8.0"
address = 3203
type = "int64"
unit = "kWh"
scale = -1
"""


def test_the_schema_and_the_parser_agree_on_a_good_document() -> None:
    VALIDATOR.validate(tomllib.loads(PROFILE))
    assert parse_profile(PROFILE).name == "A meter"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('name = "A meter"', ""),
        ('name = "A meter"', 'name = ""'),
        ('name = "A meter"', "name = 3"),
        ('name = "A meter"', 'name = "A meter"\nhole_max = 126'),
        ('name = "A meter"', 'name = "A meter"\nblock_max = 126'),
        ('name = "A meter"', 'name = "A meter"\ngap_ms = -1'),
        ('name = "A meter"', 'name = "A meter"\ngap_ms = 1.5'),
        ('name = "A meter"', 'name = "A meter"\nsunspec_model = 103'),
        ('name = "A meter"', 'name = "A meter"\ntransformer_side = "other"'),
        ('name = "A meter"', 'name = "A meter"\nextends = "../other"'),
        ('name = "A meter"', 'name = "A meter"\nbrand = "Acme"'),
        ('licence = "none"', ""),
        ('licence = "none"', 'licence = ""'),
        ('licence = "none"', 'licence = "none"\npage = 3'),
        ("values = [45, 46]", "values = []"),
        ("values = [45, 46]", "values = [65536]"),
        ("values = [45, 46]", ""),
        ('simulated = "done"', ""),
        ('simulated = "done"', 'simulated = "well"'),
        ('simulated = "done"', 'simulated = "todo"'),
        ('simulated = "done"', 'simulated = { status = "exempt" }'),
        ('simulated = "done"', 'simulated = "done"\nsold = "done"'),
        ('order = "ABCD"', 'order = "ACBD"'),
        ('order = "ABCD"', 'order = "ABCD"\naddress = 3'),
        ("address = 3203", "address = -1"),
        ("address = 3203", "address = 65536"),
        ("address = 3203", ""),
        ("1-0:1.8.0", "1.8.0"),
        ("int64", "int48"),
        ("kWh", "horses"),
        ("scale = -1", "scale = 10"),
        ("scale = -1", "scale = true"),
        ("scale = -1", 'part = "both"'),
        ("scale = -1", "scale_register = 65536"),
        ("scale = -1", "not_available = -1"),
        ("scale = -1", "rolls_over_at = 0"),
        ("scale = -1", "sign = 1"),
        ("[[points]]", "[[point]]"),
    ],
)
def test_the_schema_and_the_parser_agree_on_a_wrong_document(right: str, wrong: str) -> None:
    text = PROFILE.replace(right, wrong)
    with pytest.raises(InvalidValueError):
        parse_profile(text)
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(tomllib.loads(text))


# --- the public addresses ---------------------------------------------------------------

MEASUREMENTS = {
    "1-0:1.8.0": "Import",
    "1-0:1.8.1": "ImportT1",
    "1-0:1.8.2": "ImportT2",
    "1-0:2.8.0": "Export",
    "1-0:2.8.1": "ExportT1",
    "1-0:2.8.2": "ExportT2",
    "1-0:3.8.0": "ReactiveImport",
    "1-0:4.8.0": "ReactiveExport",
    "1-0:21.8.0": "ImportL1",
    "1-0:41.8.0": "ImportL2",
    "1-0:61.8.0": "ImportL3",
    "1-0:22.8.0": "ExportL1",
    "1-0:42.8.0": "ExportL2",
    "1-0:62.8.0": "ExportL3",
    "1-0:1.7.0": "ImportPower",
    "1-0:2.7.0": "ExportPower",
    "1-0:16.7.0": "Power",
    "1-0:36.7.0": "PowerL1",
    "1-0:56.7.0": "PowerL2",
    "1-0:76.7.0": "PowerL3",
    "1-0:32.7.0": "VoltageL1",
    "1-0:52.7.0": "VoltageL2",
    "1-0:72.7.0": "VoltageL3",
    "1-0:31.7.0": "CurrentL1",
    "1-0:51.7.0": "CurrentL2",
    "1-0:71.7.0": "CurrentL3",
    "1-0:14.7.0": "Frequency",
}
TABLES = {
    "abb_b23": "abb",
    "carlo_gavazzi_em24": "carlogavazzi-em24",
    "carlo_gavazzi_em24_e1": "carlogavazzi-em24_e1",
    "dzg_dvh4013": "dzg",
    "eastron_sdm230": "sdm230",
    "eastron_sdm630": "sdm",
    "eastron_sdm72v2": "sdm72v2",
    "inepro_pro380": "inepro",
    "janitza_umg96": "janitza",
    "lovato_dmg610": "dmg610",
    "orno_we525": "orno1p525",
    "schneider_iem3155": "iem3000",
    "siemens_pac2200": "pac2200",
}


@pytest.mark.parametrize(("name", "table"), TABLES.items())
def test_every_address_is_the_public_one(public_data: Path, name: str, table: str) -> None:
    lines = (public_data / f"protocols/modbus/mbmd/{table}.csv").read_text().splitlines()
    public = {row["measurement"]: int(row["address"]) for row in csv.DictReader(lines[1:])}
    # A meter of one phase has a voltage, not the first of three.
    public |= {
        f"{what}L1": public[what] for what in ("Voltage", "Current") if f"{what}L1" not in public
    }
    told = {MEASUREMENTS[str(point.obis)]: point.address for point in load_profile(name).points}
    assert told == {measurement: public[measurement] for measurement in told}


def test_every_address_of_a_template_is_the_public_one(public_data: Path) -> None:
    template = (public_data / "protocols/modbus/evcc/siemens-7kt1665.yaml").read_text()
    public = {int(address) for address in re.findall(r"address: (\d+)", template)}
    assert {point.address for point in load_profile("siemens_7kt1665").points} == public


SUNSPEC_POINTS = {
    "1-0:1.8.0": "TotWhImp",
    "1-0:2.8.0": "TotWhExp",
    "1-0:21.8.0": "TotWhImpPhA",
    "1-0:41.8.0": "TotWhImpPhB",
    "1-0:61.8.0": "TotWhImpPhC",
    "1-0:22.8.0": "TotWhExpPhA",
    "1-0:42.8.0": "TotWhExpPhB",
    "1-0:62.8.0": "TotWhExpPhC",
    "1-0:5.8.0": "TotVArhImpQ1",
    "1-0:6.8.0": "TotVArhImpQ2",
    "1-0:7.8.0": "TotVArhExpQ3",
    "1-0:8.8.0": "TotVArhExpQ4",
    "1-0:16.7.0": "W",
    "1-0:36.7.0": "WphA",
    "1-0:56.7.0": "WphB",
    "1-0:76.7.0": "WphC",
    "1-0:32.7.0": "PhVphA",
    "1-0:52.7.0": "PhVphB",
    "1-0:72.7.0": "PhVphC",
    "1-0:31.7.0": "AphA",
    "1-0:51.7.0": "AphB",
    "1-0:71.7.0": "AphC",
    "1-0:14.7.0": "Hz",
}
SUNSPEC_TYPES = {"acc32": "uint32", "int16": "int16", "float32": "float32"}


@pytest.mark.parametrize("number", [201, 202, 203, 204, 211, 212, 213, 214])
def test_every_sunspec_point_is_the_models(public_data: Path, number: int) -> None:
    path = public_data / f"protocols/modbus/sunspec/model_{number}.json"
    offset = 0
    offsets: dict[str | None, int | None] = {None: None}
    models: dict[str, dict[str, Any]] = {}
    for point in json.loads(path.read_text())["group"]["points"]:
        offsets[point["name"]], models[point["name"]] = offset, point
        offset += point["size"]
    profile = load_profile(f"sunspec_{number}")
    assert profile.sunspec_model == number
    for told in profile.points:
        model = models[SUNSPEC_POINTS[str(told.obis)]]
        assert told.address == offsets[model["name"]]
        assert told.scale_register == offsets[model.get("sf")]
        assert (told.type, told.unit) == (SUNSPEC_TYPES[model["type"]], model["units"])


# --- the table of what works with which meters ------------------------------------------


def test_a_meter_proven_by_simulation_alone_is_said_to_be() -> None:
    (row,) = rows({"abb_b23": load_profile("abb_b23")})
    assert row == Row(
        meter="ABB B23",
        profiles=("abb_b23",),
        read="import, export, by phase; momentary",
        proven_with="our simulator, public register table",
    )


UNSIMULATED = 'simulated = { status = "todo", comment = "-" }'


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('read_from_real_meter = "done"\nsimulated = "done"', "a real meter"),
        (
            'read_from_real_meter = { status = "todo", comment = "-" }\n' + UNSIMULATED,
            "public register table",
        ),
    ],
)
def test_what_a_meter_was_proven_with_is_its_best_proof(line: str, said: str) -> None:
    text = PROFILE.replace('simulated = "done"\n', "").replace(
        'read_from_real_meter = { status = "done", comment = "on 1 May" }', line
    )
    (row,) = rows({"a_meter": parse_profile(text)})
    assert (row.proven_with, row.read) == (said, "import")


def test_the_table_is_markdown_by_meter() -> None:
    table = markdown(rows({name: load_profile(name) for name in ("orno_we525", "abb_b23")}))
    lines = table.splitlines()
    assert lines[0] == "| Modbus meter | Profile | What is read | Proven with |"
    assert [line.split(" | ")[1] for line in lines[2:]] == ["`abb_b23`", "`orno_we525`"]


def test_the_models_of_sunspec_share_a_row() -> None:
    (row,) = rows({name: load_profile(name) for name in ("sunspec_201", "sunspec_204")})
    assert row.profiles == ("sunspec_201", "sunspec_204")
    assert row.meter == "SunSpec meter models 201, 204"


@pytest.mark.parametrize("name", profile_names())
def test_no_shipped_profile_claims_a_real_meter(name: str) -> None:
    assert load_profile(name).quality[Rule.READ_FROM_REAL_METER].status is Status.TODO
