"""What is wrong with what a gateway stands on, and what to do about it: rules over facts.

Law: FAIL is what loses readings or gives secrets away, WARN what will; nothing is repaired here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from quince.edge.health.facts import Facts, FileFact
from quince.edge.health.heartbeat import BEAT_S

# Renewal begins with a third of a certificate's life left; two weeks before its end it has failed
# for weeks.
CERTIFICATE_DAYS_MIN = 14
HEALTH_AGE_MAX = timedelta(seconds=3 * BEAT_S)
OFFLINE_MAX = timedelta(minutes=15)  # a modem restarts, a head-end is updated
DISK_BYTES_MIN = 4 * 1024 * 1024  # below it the outbox lives on its ballast
MEMORY_KB_MIN = 32 * 1024
_OUTBOX_PART_MAX = 0.5
_OTHERS = 0o007
_GROUP_WRITES = 0o020


class Verdict(StrEnum):
    """How a check came out."""

    PASS = "pass"  # noqa: S105 - a verdict
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check: `said` and `advice` are English, with `values` to be filled in."""

    check: str
    verdict: Verdict
    said: str
    advice: str = ""
    values: dict[str, object] = field(default_factory=dict)


def examine(facts: Facts) -> tuple[Finding, ...]:
    """Return a finding of every check, in the order a person would look."""
    checks = (_secrets, _outbox, _disk, _devices, _clock, _broker, _certificate, _agent, _memory)
    return tuple(finding for check in checks for finding in check(facts))


def worst(findings: tuple[Finding, ...]) -> Verdict:
    """Return the gravest verdict."""
    order = list(Verdict)
    return max((finding.verdict for finding in findings), key=order.index, default=Verdict.PASS)


def unreadable(reason: str) -> Finding:
    """Return the one finding there is where the configuration cannot be read."""
    return _fail("configuration", "{reason}", "Correct the configuration file.", reason=reason)


def _secrets(facts: Facts) -> Iterator[Finding]:
    found = [_secret(file) for file in facts.secrets]
    wrong = [finding for finding in found if finding is not None]
    yield from wrong or [_pass("secrets", "Files with secrets are their owner's alone.")]


def _secret(file: FileFact) -> Finding | None:
    """Return what is wrong; a file that is missing is found where it is used."""
    if file.mode is None:
        return None
    values: dict[str, object] = {"file": str(file.path), "mode": f"{file.mode:03o}"}
    advice = "chmod 600 {file}"
    if file.mode & _OTHERS:
        return _fail("secrets", "Anybody can open {file} ({mode}).", advice, **values)
    if file.mode & _GROUP_WRITES:
        return _warn("secrets", "A group may change {file} ({mode}).", advice, **values)
    if not file.readable:
        advice = "Run as the user of the gateway."
        return _fail("secrets", "{file} cannot be read.", advice, **values)
    return None


def _outbox(facts: Facts) -> Iterator[Finding]:
    view = facts.outbox
    if not facts.outbox_folder_writable:
        advice = "Make its folder writable for the user of the gateway."
        yield _fail("outbox", "The outbox cannot be written.", advice)
    elif view is None:
        said = "There is no outbox that can be read: {reason}"
        advice = "The gateway makes one when it first runs."
        yield _warn("outbox", said, advice, reason=facts.outbox_error)
    else:
        part = view.bytes_used / view.bytes_max
        values = {"count": view.messages, "percent": round(100 * part)}
        if part > _OUTBOX_PART_MAX:
            said = "The outbox is filling: {count} messages wait, {percent} % of its room is taken."
            advice = "See to the contact with the head-end; beyond 94 % meters keep the intervals."
            yield _warn("outbox", said, advice, **values)
        else:
            said = "{count} messages wait, {percent} % of the outbox's room is taken."
            yield _pass("outbox", said, **values)


def _disk(facts: Facts) -> Iterator[Finding]:
    free, used = facts.disk_bytes_free, 0 if facts.outbox is None else facts.outbox.bytes_used
    room = 0 if facts.outbox is None else facts.outbox.bytes_max
    values = {"mib": free // 1024**2}
    if free < DISK_BYTES_MIN:
        yield _fail("disk", "The disk is full: {mib} MiB are free.", "Make room on it.", **values)
    elif free < room - used:
        said = "{mib} MiB of disk are free: less than the outbox may need."
        yield _warn("disk", said, "Make room on it.", **values)
    else:
        yield _pass("disk", "{mib} MiB of disk are free.", **values)


def _devices(facts: Facts) -> Iterator[Finding]:
    for device in facts.devices:
        values: dict[str, object] = {"device": device.path, "group": device.group}
        if not device.exists:
            advice = "Plug its adapter in, or correct the url of its meters."
            yield _fail("line", "There is no {device}.", advice, **values)
        elif not device.usable:
            advice = "Add the user of the gateway to the group {group}."
            yield _fail("line", "{device} may not be opened.", advice, **values)
        else:
            yield _pass("line", "{device} may be opened.", **values)


def _clock(facts: Facts) -> Iterator[Finding]:
    match facts.clock_steered:
        case True:
            yield _pass("clock", "The clock is steered.")
        case False:
            advice = "Enable systemd-timesyncd or chrony, and let NTP through the firewall."
            yield _fail("clock", "Nothing steers the clock.", advice)
        case None:
            advice = "See with `timedatectl` whether the clock is synchronised."
            yield _warn("clock", "The system does not tell whether its clock is steered.", advice)


def _broker(facts: Facts) -> Iterator[Finding]:
    broker = facts.broker
    if broker is None:
        return
    values: dict[str, object] = {"host": broker.host, "port": broker.port, "reason": broker.error}
    if broker.error:
        advice = "Check network, firewall, and the certificates on both sides."
        yield _fail("broker", "{host}:{port} does not answer: {reason}", advice, **values)
    elif broker.tls:
        yield _pass("broker", "{host}:{port} answers over TLS and takes our certificate.", **values)
    elif broker.host in ("127.0.0.1", "::1", "localhost"):
        yield _pass("broker", "{host}:{port} answers.", **values)
    else:
        advice = "Configure [broker.tls]: keys and readings travel in the clear."
        yield _warn("broker", "{host}:{port} answers without TLS.", advice, **values)


def _certificate(facts: Facts) -> Iterator[Finding]:
    certificate = facts.certificate
    if facts.certificate_error:
        said, advice = "The certificate cannot be read: {reason}", "Enrol the gateway again."
        yield _fail("certificate", said, advice, reason=facts.certificate_error)
    if certificate is None:
        return
    days = (certificate.not_after_utc - facts.now_utc).days
    advice = "See why its renewal fails, or enrol the gateway again."
    if certificate.not_after_utc <= facts.now_utc:
        yield _fail("certificate", "The certificate has expired.", advice)
    elif facts.now_utc < certificate.not_before_utc:
        yield _fail("certificate", "The certificate is not valid yet.", "Set the clock.")
    elif days < CERTIFICATE_DAYS_MIN:
        yield _warn("certificate", "The certificate expires in {days} days.", advice, days=days)
    elif not certificate.is_issued_by_ours:
        said = "The certificate is not of the authority in ca_file."
        yield _warn("certificate", said, "See that both are of the same head-end.")
    else:
        yield _pass("certificate", "The certificate is good for {days} days.", days=days)


def _agent(facts: Facts) -> Iterator[Finding]:
    health = facts.health
    if health is None or not health.get("running"):
        advice = "systemctl start quince-edge"
        yield _warn("agent", "The gateway is not running.", advice)
        return
    written_utc = _moment(health.get("written_utc"))
    if written_utc is None or facts.now_utc - written_utc > HEALTH_AGE_MAX:
        said = "The gateway has not written its health since {moment}."
        advice = "It died or hangs: see `journalctl -u quince-edge`."
        yield _fail("agent", said, advice, moment=health.get("written_utc"))
        return
    yield _pass("agent", "The gateway runs since {moment}.", moment=health.get("started_utc"))
    yield from _contact(facts, health.get("uplink"))
    yield from _meters(health.get("meters"))


def _contact(facts: Facts, uplink: Any) -> Iterator[Finding]:
    if not isinstance(uplink, dict):
        return
    since_utc = _moment(uplink.get("since_utc"))
    values: dict[str, object] = {
        "moment": uplink.get("since_utc"),
        "version": uplink.get("version"),
        "reason": uplink.get("reason"),
    }
    if uplink.get("online"):
        yield _pass("contact", "In contact with the broker since {moment} ({version}).", **values)
    elif since_utc is not None and facts.now_utc - since_utc > OFFLINE_MAX:
        said, advice = "No contact with the broker since {moment}: {reason}", "See `broker` above."
        yield _fail("contact", said, advice, **values)
    else:
        said = "No contact with the broker at the moment: {reason}"
        yield _warn("contact", said, "Wait a few minutes.", **values)


def _meters(meters: Any) -> Iterator[Finding]:
    known = [one for one in meters if isinstance(one, dict)] if isinstance(meters, list) else []
    failing = [str(one.get("meter_id")) for one in known if one.get("failures")]
    if failing:
        said = "{count} of {all} meters do not answer: {names}"
        advice = "Check their lines, then `quince-edge read` one of them."
        values = {"count": len(failing), "all": len(known), "names": ", ".join(failing[:5])}
        yield _warn("meters", said, advice, **values)
    elif known:
        yield _pass("meters", "{count} meters answer.", count=len(known))


def _memory(facts: Facts) -> Iterator[Finding]:
    available_kb = facts.memory_available_kb
    if available_kb is None:
        return
    values = {"mib": available_kb // 1024}
    if available_kb < MEMORY_KB_MIN:
        said, advice = "{mib} MiB of memory are left.", "See what else runs on this machine."
        yield _warn("memory", said, advice, **values)
    else:
        yield _pass("memory", "{mib} MiB of memory are left.", **values)


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment


def _pass(check: str, said: str, **values: object) -> Finding:
    return Finding(check=check, verdict=Verdict.PASS, said=said, values=values)


def _warn(check: str, said: str, advice: str, **values: object) -> Finding:
    return Finding(check=check, verdict=Verdict.WARN, said=said, advice=advice, values=values)


def _fail(check: str, said: str, advice: str, **values: object) -> Finding:
    return Finding(check=check, verdict=Verdict.FAIL, said=said, advice=advice, values=values)
