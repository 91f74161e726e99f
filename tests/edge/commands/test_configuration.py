"""A configuration of the head-end's is in force at once, and at the next start."""

import os

import pytest

from quince.edge.config import load_config
from quince.model.errors import InvalidValueError
from quince.protocols.gateway.commands import Configure, configuration_purpose
from quince.protocols.gateway.messages import Stage
from quince.protocols.gateway.sealing import seal

REVISED = """
backfill_days = 9
[[meters]]
kind = "modbus"
id = "M7"
url = "modbus+tcp://127.0.0.1:5020"
utc_offset_min = -360
device_id = 3
profile = "orno_we516"
"""


@pytest.fixture
def revise(own_key):
    def sealed(revision, text=REVISED):
        plain = text if isinstance(text, bytes) else text.encode()
        purpose = configuration_purpose(revision)
        return Configure(
            revision=revision, sealed=seal(plain, own_key.public_key(), purpose=purpose)
        )

    return sealed


def in_force(folder):
    config = load_config(folder / "gateway.toml")
    return config.revision, config.backfill_days, [meter.id for meter in config.meters]


async def test_a_revision_is_served_at_once_and_loaded_at_the_next_start(gateway, folder, revise):
    command = await gateway.do(revise(4))
    assert gateway.document(command) == {"revision": 4, "meters": 1}
    assert [meter.id for meter in gateway.served[-1].meters] == ["M7"]
    assert in_force(folder) == (4, 9, ["M7"])


async def test_its_file_is_for_its_owners_eyes_alone(gateway, folder, revise):
    await gateway.do(revise(1))
    assert (folder / "outbox.revision").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in folder.glob("outbox.revision*")) == ["outbox.revision"]


async def test_a_lower_revision_is_refused(gateway, folder, revise):
    await gateway.do(revise(4))
    command = await gateway.do(revise(3, "meters = 1"))
    assert gateway.last(command).code == "revision_not_higher"
    assert in_force(folder) == (4, 9, ["M7"])


async def test_the_revision_in_force_is_done_already(gateway, start, revise):
    await gateway.do(revise(4))
    again = start()
    command = await again.do(revise(4))
    assert again.document(command) == {"revision": 4, "meters": 1}
    assert again.served == []


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (REVISED.replace("device_id = 3", "device_id = 0"), "meters.0.modbus.device_id"),
        ('broker = { host = "evil" }' + REVISED, "broker"),
        (REVISED + REVISED.partition("[[")[1] + REVISED.partition("[[")[2], "meters.id"),
        ("backfill_days = 1", "meters"),
        ("revision = 9\n" + REVISED, "config"),
        (b"\xff\xfe", "configuration"),
    ],
)
async def test_a_wrong_configuration_is_refused_by_the_name_of_its_field(
    gateway, folder, revise, text, field
):
    command = await gateway.do(revise(2, text))
    result = gateway.last(command)
    assert (result.stage, result.code) == (Stage.REFUSED, "invalid_value")
    assert result.detail.startswith(f"{field} = ")
    assert in_force(folder) == (0, 3, ["M1"])


async def test_one_that_cannot_be_served_is_not_kept(gateway, folder, revise, monkeypatch):
    def refuse(_config):
        raise InvalidValueError("M7.profile", "orno", "no such profile")

    monkeypatch.setattr(gateway.configuration, "_serve", refuse)
    command = await gateway.do(revise(2))
    assert gateway.last(command).detail.startswith("M7.profile")
    assert in_force(folder) == (0, 3, ["M1"])
    assert list(folder.glob("*.new")) == []


async def test_one_that_cannot_be_kept_is_not_served(gateway, revise, monkeypatch):
    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    command = await gateway.do(revise(2))
    assert gateway.last(command).code == "storage_error"
    assert gateway.last(command).stage is Stage.FAILED
    assert gateway.served == []


async def test_one_that_was_sealed_as_another_revision_is_refused(gateway, revise):
    stolen = Configure(revision=9, sealed=revise(8).sealed)
    command = await gateway.do(stolen)
    assert gateway.last(command).code == "seal_refused"


def test_a_file_that_says_its_own_revision_outranks_an_older_one(folder):
    (folder / "outbox.revision").write_text(f"revision = 3\n{REVISED}")
    own = (folder / "gateway.toml").read_text()
    (folder / "gateway.toml").write_text(f"revision = 5\n{own}")
    assert in_force(folder) == (5, 3, ["M1"])


def test_a_damaged_revision_is_told_by_its_name(folder):
    (folder / "outbox.revision").write_text("revision = ")
    with pytest.raises(InvalidValueError, match=r"outbox\.revision"):
        load_config(folder / "gateway.toml")
