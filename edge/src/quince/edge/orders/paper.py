"""A visit's report on paper: a PDF in the reader's language, made from signed JSON."""

import hashlib
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, tzinfo
from importlib.resources import as_file, files
from typing import Any, Literal
from zoneinfo import ZoneInfo

from quince.edge.errors import UnsupportedError
from quince.edge.orders.verdicts import Verdict, fill
from quince.model.errors import InvalidValueError
from quince.model.obis import Obis
from quince.protocols.visits.documents import Document
from quince.protocols.visits.orders import OrderKind
from quince.protocols.visits.reports import SignedReport, verify_report, write_report

Say = Callable[..., str]
Format = Literal["pdf", "png"]

TITLES = {
    OrderKind.COMMISSION: "Commissioning report",
    OrderKind.SWAP: "Meter exchange report",
    OrderKind.VISIT: "Visit report",
}
VERDICTS = {
    Verdict.PASS: "passed",
    Verdict.WARN: "passed, with remarks",
    Verdict.FAIL: "failed",
    Verdict.SKIP: "not checked",
}
CHECKS = {
    "answers": "Communication",
    "keys": "Keys",
    "serial": "Serial number",
    "firmware": "Firmware",
    "clock": "Clock",
    "ratio": "Transformers",
    "period": "Recording period",
    "profile": "Load profile",
    "registers": "Registers",
    "phases": "Phases",
    "supply": "Supply",
    "old": "Old meter",
    "configured": "Configuration",
    "outbox": "Gateway",
    "arrival": "Head-end",
}
QUANTITIES = {
    (1, 8): "Active import",
    (2, 8): "Active export",
    (3, 8): "Reactive import",
    (4, 8): "Reactive export",
}
_UNITS = {1: "Wh", 2: "Wh", 3: "varh", 4: "varh"}
_PIXELS_PER_INCH = 110


def make_paper(
    signed: SignedReport, *, say: Say, language: Literal["en", "es"], as_: Format = "pdf"
) -> bytes:
    """Return the page of a report whose signature holds.

    UnsupportedError where the typesetter is not installed; ReportSignatureError; InvalidValueError
    for a report whose page cannot be made.
    """
    try:
        import typst  # noqa: PLC0415 - optional: a gateway needs no typesetter
    except ImportError as error:
        raise UnsupportedError("a page needs typst: install quince-edge[report]") from error
    shown = json.dumps({**_shown(signed, say), "language": language})
    with as_file(files(__package__) / "report.typ") as template:
        try:
            page = typst.compile(
                template, format=as_, ppi=_PIXELS_PER_INCH, sys_inputs={"report": shown}
            )
        except RuntimeError as error:
            raise InvalidValueError("report", "page", str(error)) from error
    if not isinstance(page, bytes):
        raise InvalidValueError("report", "page", "it does not fit on one page")
    return page


def _shown(signed: SignedReport, say: Say) -> Document:
    """Return what the page shows, each text in its language."""
    report = verify_report(signed)
    try:
        return _page(report, say) | {
            "fingerprint": hashlib.sha256(write_report(signed)).hexdigest(),
            "key": signed.key.hex(),
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidValueError("report", report.get("order"), f"incomplete: {error!r}") from error


def _page(report: Document, say: Say) -> Document:
    zone = _zone(report["zone"])
    verdict = Verdict(report["verdict"])
    return {
        "title": say(TITLES[OrderKind(report["kind"])]),
        "order": report["order"],
        "date": _moment(report["ended"], zone),
        "verdict": {"kind": verdict.value, "text": _sentence(say(VERDICTS[verdict]))},
        "place": {
            "title": say("Place"),
            "name": report["premise"],
            "lines": [report["address"], f"{say('Metering point')} {report['metering_point']}"],
        },
        "meter": {
            "title": say("Meter"),
            "name": report["meter"],
            "lines": _identity(report["identity"]),
        },
        "visit": {
            "title": say("Result"),
            "lines": [f"{say('Gateway')} {report['gateway']}", report["technician"]],
        },
        "checks": {
            "title": say("Checks"),
            "rows": [_check(one, say) for one in report["checks"]],
        },
        "readings": {"title": say("Readings"), "rows": list(_readings(report, zone, say))},
        "evidence": {
            "title": say("Evidence"),
            "rows": list(_evidence(report["evidence"], say)),
        },
        "signature": say("Signed by the technician's key"),
        "print": say("Fingerprint of the signed report (SHA-256)"),
        "software": report["software"],
    }


def _identity(identity: Document | None) -> list[str]:
    if identity is None:
        return []
    names = ("serial", "maker", "model", "firmware")
    return [" · ".join(identity[name] for name in names if identity[name])]


def _check(check: Document, say: Say) -> Document:
    return {
        "name": say(CHECKS[check["check"]]),
        "kind": Verdict(check["verdict"]).value,
        "says": fill(say(check["says"]), check["values"]),
    }


def _readings(report: Document, zone: tzinfo, say: Say) -> Iterable[Document]:
    old = report["old_reading"]
    groups: list[tuple[str, list[Document]]] = [(report["meter"], report["registers"])]
    if old is not None:
        groups.insert(0, (f"{old['meter']} ({say('removed')})", old["registers"]))
    for meter, registers in groups:
        for one in registers:
            obis = Obis.parse(one["obis"])
            yield {
                "meter": meter,
                "obis": one["obis"],
                "quantity": _quantity(obis, say),
                "value": f"{one['value']:,}".replace(",", "\N{NARROW NO-BREAK SPACE}"),
                "unit": _UNITS.get(obis.c, ""),
                "at": _moment(one["at"], zone),
            }


def _quantity(obis: Obis, say: Say) -> str:
    name = QUANTITIES.get((obis.c, obis.d))
    if name is None:
        return ""
    return f"{say(name)} T{obis.e}" if obis.e else say(name)


def _evidence(evidence: Document, say: Say) -> Iterable[list[str]]:
    if evidence["seals"]:
        yield [say("Seals"), ", ".join(evidence["seals"])]
    if evidence["position"]:
        yield [say("Position"), evidence["position"]]
    for photo in evidence["photos"]:
        yield [say("Photograph"), f"{photo['name']} · SHA-256 {photo['sha256'][:16]}…"]
    if evidence["note"]:
        yield [say("Note"), evidence["note"]]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _zone(name: Any) -> tzinfo:
    """Return the place's zone; a device that does not know it shows UTC, and says so."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def _moment(text: str, zone: tzinfo) -> str:
    return datetime.fromisoformat(text).astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")
