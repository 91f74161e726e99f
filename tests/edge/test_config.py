import pytest

from quince.edge.config import DlmsMeterConfig, load_config
from quince.edge.readers.dlms.reader import Quirk
from quince.model.errors import InvalidValueError

GOOD = """
gateway = "gw-1"
cell = "sv-1"
outbox = "outbox.db"
broker = { host = "127.0.0.1", port = 1883 }
[[meters]]
kind = "dlms"
id = "M1"
url = "tcp://127.0.0.1:4059"
utc_offset_min = -360
client_sap = 1
server_sap = 1
equipment_id = "E1"
security = { kind = "lls", password = "12345678" }
"""


@pytest.fixture
def load(tmp_path):
    def write_and_load(text):
        path = tmp_path / "gateway.toml"
        path.write_text(text)
        return load_config(path)

    return write_and_load


def test_a_good_file_is_read_and_the_outbox_lies_beside_it(load, tmp_path):
    config = load(GOOD)
    assert config.outbox == tmp_path / "outbox.db"
    assert isinstance(config.meters[0], DlmsMeterConfig)
    assert config.backfill_days == 3


def test_secrets_are_not_shown(load):
    assert "12345678" not in repr(load(GOOD))


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (GOOD.replace("port = 1883", "port = 0"), "broker.port"),
        (GOOD.replace("client_sap = 1", "client_sap = 1\nclient_spa = 1"), "client_spa"),
        (GOOD.replace('kind = "dlms"', 'kind = "dlsm"'), "meters.0"),
        (GOOD.replace('id = "M1"', 'id = "M 1"'), "id"),
        (GOOD + GOOD[GOOD.index("[[meters]]") :], "meters.id"),
        (GOOD.replace("gateway =", "gateway = ["), "config"),
        ("", "gateway"),
        (GOOD.replace("server_sap = 1", 'server_sap = 1\nquirks = ["lazy"]'), "quirks"),
        (GOOD.replace("-360", "-361"), "utc_offset_min"),
        (
            GOOD + GOOD[GOOD.index("[[meters]]") :].replace('id = "M1"', 'id = "M2"', 1),
            "meters.equipment_id",
        ),
    ],
)
def test_a_mistake_names_its_field(load, wrong, field):
    with pytest.raises(InvalidValueError) as refused:
        load(wrong)
    assert field in refused.value.field


def test_a_file_that_is_not_text_is_refused_in_one_line(tmp_path):
    (tmp_path / "gateway.toml").write_bytes(b"gateway = '\xff'")
    with pytest.raises(InvalidValueError, match="utf-8"):
        load_config(tmp_path / "gateway.toml")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InvalidValueError, match=r"nowhere\.toml"):
        load_config(tmp_path / "nowhere.toml")


def test_a_meters_quirks_are_named(load):
    config = load(GOOD.replace("server_sap = 1", 'server_sap = 1\nquirks = ["deviation_inverted"]'))
    assert config.meters[0].quirks == {Quirk.DEVIATION_INVERTED}


def test_a_file_of_brackets_is_refused_as_any_other(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text("meters = " + "[" * 5_000)
    with pytest.raises(InvalidValueError, match="config"):
        load_config(path)
