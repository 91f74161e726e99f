"""Rules over facts: what is found, how grave it is, what is advised."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from quince.edge.health.checks import Verdict, examine, unreadable, worst
from quince.edge.health.facts import BrokerFact, CertificateFact, DeviceFact, Facts, FileFact
from quince.edge.outbox.view import LaneView, OutboxView
from quince.protocols.gateway.topics import Lane

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
MIB = 1024**2
OUTBOX = OutboxView(
    epoch="a",
    bytes_used=MIB,
    bytes_max=64 * MIB,
    lanes=(LaneView(lane=Lane.LIVE, oldest_seq=5, next_seq=8),),
)
CERTIFICATE = CertificateFact(
    not_before_utc=NOON - timedelta(days=10),
    not_after_utc=NOON + timedelta(days=80),
    is_issued_by_ours=True,
)
BROKER = BrokerFact(host="broker.example", port=8883, tls=True)
UPLINK = {"online": True, "since_utc": NOON.isoformat(), "version": "V5", "reason": ""}
HEALTH = {
    "running": True,
    "written_utc": NOON.isoformat(),
    "started_utc": NOON.isoformat(),
    "uplink": UPLINK,
    "meters": [{"meter_id": "M1", "failures": 0}],
}
SOUND = Facts(
    now_utc=NOON,
    gateway="gw-0001",
    meters=1,
    secrets=(FileFact(path=Path("gateway.toml"), mode=0o600, readable=True),),
    outbox=OUTBOX,
    outbox_error="",
    outbox_folder_writable=True,
    disk_bytes_free=1024 * MIB,
    devices=(DeviceFact(path="/dev/ttyUSB0", exists=True, usable=True, group="dialout"),),
    clock_steered=True,
    broker=BROKER,
    certificate=CERTIFICATE,
    certificate_error="",
    health=HEALTH,
    memory_available_kb=512 * 1024,
)


def found(check, **changed):
    """The graver findings of one check, said in English."""
    findings = examine(replace(SOUND, **changed))
    return [
        (finding.verdict, finding.said.format(**finding.values))
        for finding in findings
        if finding.check == check and finding.verdict is not Verdict.PASS
    ]


def test_a_sound_gateway_passes_every_check():
    findings = examine(SOUND)
    assert {finding.verdict for finding in findings} == {Verdict.PASS}
    assert [finding.check for finding in findings] == [
        "secrets",
        "outbox",
        "disk",
        "line",
        "clock",
        "broker",
        "certificate",
        "agent",
        "contact",
        "meters",
        "memory",
    ]


@pytest.mark.parametrize(
    ("mode", "readable", "verdict"),
    [(0o604, True, Verdict.FAIL), (0o660, True, Verdict.WARN), (0o600, False, Verdict.FAIL)],
)
def test_secrets_are_for_their_owner(mode, readable, verdict):
    file = FileFact(path=Path("key.pem"), mode=mode, readable=readable)
    ((given, said),) = found("secrets", secrets=(file,))
    assert given is verdict
    assert "key.pem" in said


def test_a_secret_that_is_not_there_is_no_secret_told():
    assert found("secrets", secrets=(FileFact(path=Path("x"), mode=None, readable=False),)) == []


def test_an_outbox_that_fills_is_a_warning_and_one_that_cannot_be_written_a_failure():
    filling = replace(OUTBOX, bytes_used=48 * MIB)
    said = "The outbox is filling: 3 messages wait, 75 % of its room is taken."
    assert found("outbox", outbox=filling) == [(Verdict.WARN, said)]
    said = "There is no outbox that can be read: none"
    assert found("outbox", outbox=None, outbox_error="none") == [(Verdict.WARN, said)]
    said = "The outbox cannot be written."
    assert found("outbox", outbox_folder_writable=False) == [(Verdict.FAIL, said)]


def test_a_disk_smaller_than_the_outbox_may_grow_is_a_warning():
    said = "60 MiB of disk are free: less than the outbox may need."
    assert found("disk", disk_bytes_free=60 * MIB) == [(Verdict.WARN, said)]
    said = "The disk is full: 3 MiB are free."
    assert found("disk", disk_bytes_free=3 * MIB, outbox=None) == [(Verdict.FAIL, said)]


def test_a_line_has_to_be_there_and_ours():
    gone = DeviceFact(path="/dev/ttyUSB1", exists=False, usable=False)
    assert found("line", devices=(gone,)) == [(Verdict.FAIL, "There is no /dev/ttyUSB1.")]
    theirs = DeviceFact(path="/dev/ttyUSB1", exists=True, usable=False, group="dialout")
    (finding,) = (one for one in examine(replace(SOUND, devices=(theirs,))) if one.check == "line")
    advice = "Add the user of the gateway to the group dialout."
    assert finding.advice.format(**finding.values) == advice


def test_a_clock_nothing_steers_is_a_failure_and_an_unknown_one_a_warning():
    assert found("clock", clock_steered=False) == [(Verdict.FAIL, "Nothing steers the clock.")]
    ((verdict, _),) = found("clock", clock_steered=None)
    assert verdict is Verdict.WARN


def test_a_broker_that_does_not_answer_is_a_failure():
    silent = replace(BROKER, error="timed out")
    said = "broker.example:8883 does not answer: timed out"
    assert found("broker", broker=silent) == [(Verdict.FAIL, said)]


def test_a_link_in_clear_is_for_this_machine_alone():
    said = "broker.example:8883 answers without TLS."
    assert found("broker", broker=replace(BROKER, tls=False)) == [(Verdict.WARN, said)]
    assert found("broker", broker=replace(BROKER, tls=False, host="127.0.0.1")) == []


def test_a_broker_that_was_not_asked_is_not_judged():
    assert "broker" not in [one.check for one in examine(replace(SOUND, broker=None))]


@pytest.mark.parametrize(
    ("changed", "verdict", "said"),
    [
        ({"not_after_utc": NOON}, Verdict.FAIL, "The certificate has expired."),
        (
            {"not_before_utc": NOON + timedelta(hours=1)},
            Verdict.FAIL,
            "The certificate is not valid yet.",
        ),
        (
            {"not_after_utc": NOON + timedelta(days=13, hours=1)},
            Verdict.WARN,
            "The certificate expires in 13 days.",
        ),
        (
            {"is_issued_by_ours": False},
            Verdict.WARN,
            "The certificate is not of the authority in ca_file.",
        ),
    ],
)
def test_a_certificate_is_judged_by_its_days_and_its_issuer(changed, verdict, said):
    assert found("certificate", certificate=replace(CERTIFICATE, **changed)) == [(verdict, said)]


def test_a_certificate_that_cannot_be_read_is_a_failure():
    said = "The certificate cannot be read: no PEM"
    broken = found("certificate", certificate=None, certificate_error="no PEM")
    assert broken == [(Verdict.FAIL, said)]


@pytest.mark.parametrize("health", [None, {"running": False}, {}])
def test_a_gateway_that_does_not_run_is_a_warning(health):
    assert found("agent", health=health) == [(Verdict.WARN, "The gateway is not running.")]


@pytest.mark.parametrize("moment", ["2026-05-01T11:58:00+00:00", "2026-05-01T12:00:00", "soon"])
def test_a_gateway_that_no_longer_writes_its_health_is_a_failure(moment):
    ((verdict, _),) = found("agent", health={**HEALTH, "written_utc": moment})
    assert verdict is Verdict.FAIL


def test_no_contact_is_a_warning_and_after_a_quarter_of_an_hour_a_failure():
    offline = {**UPLINK, "online": False, "reason": "refused"}
    said = "No contact with the broker at the moment: refused"
    assert found("contact", health={**HEALTH, "uplink": offline}) == [(Verdict.WARN, said)]
    offline["since_utc"] = "2026-05-01T11:00:00+00:00"
    said = "No contact with the broker since 2026-05-01T11:00:00+00:00: refused"
    assert found("contact", health={**HEALTH, "uplink": offline}) == [(Verdict.FAIL, said)]


def test_meters_that_do_not_answer_are_named():
    meters = [{"meter_id": f"M{n}", "failures": n} for n in range(9)]
    said = "8 of 9 meters do not answer: M1, M2, M3, M4, M5"
    assert found("meters", health={**HEALTH, "meters": meters}) == [(Verdict.WARN, said)]


def test_a_health_of_another_version_is_judged_as_far_as_it_is_understood():
    strange = {**HEALTH, "uplink": "up", "meters": {"M1": "fine"}}
    findings = examine(replace(SOUND, health=strange))
    assert worst(findings) is Verdict.PASS
    assert not {"contact", "meters"} & {finding.check for finding in findings}


def test_little_memory_is_a_warning_and_unknown_memory_is_not_judged():
    said = "20 MiB of memory are left."
    assert found("memory", memory_available_kb=20 * 1024) == [(Verdict.WARN, said)]
    assert "memory" not in [one.check for one in examine(replace(SOUND, memory_available_kb=None))]


def test_the_worst_verdict_is_that_of_all():
    assert worst(()) is Verdict.PASS
    assert worst((*examine(SOUND), unreadable("line 3"))) is Verdict.FAIL
