from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from quince.edge.config import load_config
from quince.edge.orders.configuration import ordered_meter, put_meter
from quince.model.errors import InvalidValueError
from quince.protocols.visits.orders import OrderKind, WorkOrder

HEAD = """\
# Ateos, pole 7: do not touch without calling Ana.
gateway = "gw-1"
cell = "north"
outbox = "outbox.db"
broker = { host = "127.0.0.1", port = 1883 }
"""
ONE = """
# The bakery.
[[meters]]
kind = "sml"
id = "M1"
url = "serial:/dev/ttyUSB0"
utc_offset_min = 0
"""
TWO = """
# The mill.
[[meters]]
kind = "dlms"
id = "M2"
url = "tcp://10.0.0.2:4059"
utc_offset_min = -360
client_sap = 1
server_sap = 1
equipment_id = "M2"
[meters.security]
kind = "lls"
password = "12345678"
"""
METER: dict[str, Any] = {
    "kind": "dlms",
    "id": "M3",
    "url": "tcp://10.0.0.3:4059",
    "utc_offset_min": -360,
    "client_sap": 1,
    "server_sap": 1,
    "equipment_id": 'M3 "ñ" \x7f',
    "plain_push": True,
    "quirks": ["range_without_deviation"],
    "security": {"kind": "lls", "password": "back\\slash"},
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(HEAD + ONE + TWO)
    path.chmod(0o644)
    return path


def order(meter: dict[str, Any] = METER, **fields: Any) -> WorkOrder:
    return replace(
        WorkOrder(
            order_id="WO-1",
            kind=OrderKind.COMMISSION,
            metering_point="mp-1",
            premise="Calle 7",
            zone="UTC",
            gateway="gw-1",
            serial="SN-1",
            meter=meter,
        ),
        **fields,
    )


def ids(path: Path) -> list[str]:
    return [one.id for one in load_config(path).meters]


def test_a_meter_is_put_behind_the_others_and_what_people_wrote_stays(config: Path) -> None:
    put_meter(config, order())
    assert config.read_text().startswith(HEAD + ONE + TWO)
    assert ids(config) == ["M1", "M2", "M3"]
    assert load_config(config).meters[2] == ordered_meter(order())


def test_a_file_that_holds_keys_is_its_owners_alone_and_nothing_lies_beside_it(
    config: Path,
) -> None:
    put_meter(config, order())
    assert config.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in config.parent.iterdir()] == ["gateway.toml"]


def test_the_same_meter_again_changes_nothing(config: Path) -> None:
    put_meter(config, order())
    before = (config.read_text(), config.stat().st_mtime_ns)
    put_meter(config, order())
    assert (config.read_text(), config.stat().st_mtime_ns) == before


def test_a_meter_with_another_key_takes_its_own_place(config: Path) -> None:
    put_meter(config, order())
    put_meter(config, order({**METER, "security": {"kind": "lls", "password": "other"}}))
    assert ids(config) == ["M1", "M2", "M3"]
    assert "back" not in config.read_text()


@pytest.mark.parametrize(
    ("old", "left", "comments"),
    [("M1", ["M2", "M3"], "# The mill."), ("M2", ["M1", "M3"], "# The bakery.")],
)
def test_a_swap_takes_the_old_meters_table_out_whole(
    config: Path, old: str, left: list[str], comments: str
) -> None:
    put_meter(config, order(kind=OrderKind.SWAP, old_meter_id=old))
    assert ids(config) == left
    assert comments in config.read_text()
    assert f'"{old}"' not in config.read_text()


def test_a_gateway_without_any_meter_gets_its_first(config: Path) -> None:
    config.write_text(HEAD)
    put_meter(config, order())
    assert ids(config) == ["M3"]


# A line's name nobody has, and TOML allows: what looks like a table is part of a text.
ODD = """
[[meters]]
kind = "sml"
id = "M1"
utc_offset_min = 0
url = '''
[[meters]]
id = "M3"
"""


@pytest.mark.parametrize(
    "text",
    [
        HEAD + 'meters = [{ kind = "sml", id = "M1", url = "tcp://h:1", utc_offset_min = 0 }]\n',
        HEAD + ODD + "[x]'''\n",
    ],
)
def test_a_file_that_cannot_be_changed_safely_is_left_as_it_is(config: Path, text: str) -> None:
    config.write_text(text)
    with pytest.raises(InvalidValueError):
        put_meter(config, order())
    assert config.read_text() == text
    assert [one.name for one in config.parent.iterdir()] == ["gateway.toml"]


def test_a_table_that_is_part_of_a_text_is_let_alone(config: Path) -> None:
    config.write_text(HEAD + ODD + "'''\n")
    put_meter(config, order())
    assert ids(config) == ["M1", "M3"]


def test_a_meter_that_breaks_the_configuration_is_refused(config: Path) -> None:
    with pytest.raises(InvalidValueError, match="equipment_id"):
        put_meter(config, order({**METER, "equipment_id": "M2"}))
    assert ids(config) == ["M1", "M2"]


@pytest.mark.parametrize("change", [{"kind": "abacus"}, {"url": 7}, {"colour": "red"}])
def test_an_order_whose_meter_cannot_be_is_refused_without_its_keys(change: Any) -> None:
    with pytest.raises(InvalidValueError) as refused:
        ordered_meter(order({**METER, **change}))
    assert "back" not in str(refused.value)


def test_what_toml_has_no_word_for_is_refused(config: Path) -> None:
    with pytest.raises(InvalidValueError, match="no place"):
        put_meter(config, order({**METER, "physical_address": None}))
