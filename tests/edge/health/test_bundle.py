import io
import json
import random
import zipfile

import pytest

from quince.edge.health.bundle import BUNDLE_BYTES_MAX, make_bundle
from quince.edge.health.heartbeat import health_file
from quince.edge.health.redaction import MASK, redact

SECRETS = [
    "000102030405060708090a0b0c0d0e0f",
    "000102030405060708090A0B0C0D0E0F",
    "d0d1d2d3d4d5d6d7d8d9dadbdcdddedf",
    "broker-Password-1",
    'pass"word\\2',
    'pass\\"word\\\\2',
]


def unpack(octets):
    with zipfile.ZipFile(io.BytesIO(octets)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


@pytest.mark.usefixtures("outbox")
def test_a_bundle_says_how_the_gateway_is(config_file, config, clock):
    health_file(config).write_text(json.dumps({"running": True, "gateway": "gw-0001"}))
    files = unpack(make_bundle(config_file, config, clock))
    assert json.loads(files["manifest.json"])["gateway"] == "gw-0001"
    assert json.loads(files["manifest.json"])["versions"]["quince-edge"]
    assert json.loads(files["health.json"])["running"]
    assert [lane["messages"] for lane in json.loads(files["outbox.json"])["lanes"]] == [1, 0, 1, 0]
    assert "outbox" in [finding["check"] for finding in json.loads(files["doctor.json"])]
    assert json.loads(files["config.json"])["broker"]["password"] == MASK


@pytest.mark.usefixtures("outbox")
def test_no_secret_is_in_a_bundle_wherever_it_was_planted(config_file, config, clock, tmp_path):
    planted = " ".join([*SECRETS, "https://tech:hunter2@headend.example/v1"])
    health_file(config).write_text(json.dumps({"running": True, "reason": planted}))
    log = tmp_path / "log.txt"
    log.write_text(f"2026-05-01 key is {planted}\n")
    files = unpack(make_bundle(config_file, config, clock, log_file=log))
    everything = "".join(files.values()).lower()
    assert [secret for secret in SECRETS if secret.lower() in everything] == []
    assert "hunter2" not in everything
    assert f"https://{MASK}@headend.example" in files["log.txt"]


def test_a_bundle_without_an_outbox_says_so(config_file, config, clock):
    files = unpack(make_bundle(config_file, config, clock))
    assert "no such outbox" in json.loads(files["outbox.json"])["error"]
    assert json.loads(files["health.json"]) is None


def test_however_long_the_log_its_end_is_in_a_bundle_that_fits(
    config_file, config, clock, tmp_path
):
    log = tmp_path / "log.txt"
    log.write_text(random.Random(1).randbytes(400_000).hex() + "\nthe last line\n")
    octets = make_bundle(config_file, config, clock, log_file=log)
    assert BUNDLE_BYTES_MAX / 3 < len(octets) <= BUNDLE_BYTES_MAX
    assert unpack(octets)["log.txt"].endswith("the last line\n")


def test_a_log_that_is_not_there_is_told_in_its_place(config_file, config, clock, tmp_path):
    files = unpack(make_bundle(config_file, config, clock, log_file=tmp_path / "none"))
    assert "No such file" in files["log.txt"]


def test_a_short_secret_does_not_blot_out_the_rest(config):
    broker = config.broker.model_copy(update={"password": None})
    assert redact("meter 1 of 12", config.model_copy(update={"broker": broker})) == "meter 1 of 12"


def test_a_configuration_without_secrets_leaves_texts_alone(config):
    bare = config.model_copy(update={"meters": []})
    bare = bare.model_copy(update={"broker": bare.broker.model_copy(update={"password": None})})
    assert redact("nothing to hide", bare) == "nothing to hide"
