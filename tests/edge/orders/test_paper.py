import sys
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from quince.edge.cli.language import say
from quince.edge.errors import UnsupportedError
from quince.edge.orders.paper import make_paper
from quince.model.errors import InvalidValueError
from quince.protocols.visits.reports import REPORT_FORM, SignedReport, sign_report

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
REGISTER = {"obis": "1-0:1.8.1", "value": 18_442_731, "at": "2026-05-02T14:06:00+00:00"}
REPORT: dict[str, Any] = {
    "form": REPORT_FORM,
    "order": "WO-123",
    "kind": "swap",
    "gateway": "gw-1",
    "meter": "M1",
    "metering_point": "mp-1",
    "premise": '#panic("typst") $x$ \\',
    "address": "",
    "zone": "America/El_Salvador",
    "technician": "Ana",
    "ended": "2026-05-02T14:31:00+00:00",
    "software": "quince-edge",
    "verdict": "warn",
    "identity": {"serial": "5614086", "maker": "QNC", "model": "", "firmware": ""},
    "checks": [
        {"check": "keys", "verdict": "fail", "says": "{a:999999999} {a}", "values": {"a": "*bold*"}}
    ],
    "registers": [REGISTER, {**REGISTER, "obis": "0-0:96.1.0"}],
    "old_reading": {"meter": "M0", "typed": True, "registers": [REGISTER]},
    "evidence": {
        "seals": ["A-1"],
        "position": "0,0",
        "photos": [{"name": "a.jpg", "sha256": "ab" * 32}],
        "note": "a note",
    },
}
BARE: dict[str, Any] = {
    "identity": None,
    "registers": [],
    "old_reading": None,
    "zone": "Mars",
    "evidence": {"seals": [], "position": "", "photos": [], "note": ""},
}


def signed(**fields: Any) -> SignedReport:
    return sign_report({**REPORT, **fields}, KEY)


@pytest.mark.parametrize("fields", [{}, BARE])
def test_a_report_becomes_one_page(fields: Any) -> None:
    page = make_paper(signed(**fields), say=say, language="en", as_="png")
    assert page.startswith(b"\x89PNG")


def test_many_registers_go_on_overleaf() -> None:
    assert make_paper(signed(registers=[REGISTER] * 64), say=say, language="es")[:4] == b"%PDF"


@pytest.mark.parametrize(
    "fields",
    [
        {"checks": [{"check": "taste"}]},
        {"checks": 7},
        {"kind": "paint"},
        {"ended": "noon"},
        {"registers": [{}]},
        {"registers": [{**REGISTER, "obis": "energy"}]},
        {"evidence": None},
        {"checks": [{"check": "keys", "verdict": "pass", "says": "{b}", "values": {}}]},
        {"checks": [{"check": "keys", "verdict": "pass", "says": "{b}", "values": 7}]},
        {"identity": 7},
        {"premise": 7},
    ],
)
def test_a_report_that_is_incomplete_has_no_page(fields: Any) -> None:
    with pytest.raises(InvalidValueError):
        make_paper(signed(**fields), say=say, language="en")


def test_without_the_typesetter_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(UnsupportedError, match=r"quince-edge\[report\]"):
        make_paper(signed(), say=say, language="en")


def test_a_long_address_is_not_cut() -> None:
    short, long = (
        make_paper(signed(address=address), say=say, language="en", as_="pdf")
        for address in ("a", "portón gris " * 16)
    )
    assert len(long) > len(short)
