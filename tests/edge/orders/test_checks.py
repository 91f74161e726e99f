import ast
import inspect
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from string import Formatter
from typing import Any

import pytest

from quince.edge.cli.language import spanish
from quince.edge.commissioning.drift import Drift
from quince.edge.orders import checks, paper, visit
from quince.edge.orders.checks import (
    Refusal,
    check_arrival,
    check_meter,
    check_waiting,
)
from quince.edge.orders.facts import Facts, Untold
from quince.edge.orders.verdicts import Check, Verdict, failed, overall, passed, skipped, warned
from quince.edge.readers.reader import Identity, Momentary, SupplyState
from quince.model.interval import RegisterReading
from quince.model.obis import ACTIVE_IMPORT_REGISTER, Obis
from quince.protocols.visits.orders import OrderKind, WorkOrder

NOON = datetime(2026, 5, 2, 12, tzinfo=UTC)
ORDER = WorkOrder(
    order_id="WO-1",
    kind=OrderKind.COMMISSION,
    metering_point="mp-1",
    premise="Calle 7",
    zone="America/El_Salvador",
    gateway="gw-1",
    serial="SN-1",
    meter={"id": "M1", "security": {"kind": "lls"}},
    last_register_wh=100,
)
NONE = Untold(reason="no such thing", is_fault=False)
BROKEN = Untold(reason="codec_error: nonsense", is_fault=True)


def drift(seconds: float) -> Drift:
    return Drift(shown_utc=NOON + timedelta(seconds=seconds), true_utc=NOON)


def register(value: int, obis: Obis = ACTIVE_IMPORT_REGISTER) -> RegisterReading:
    return RegisterReading(meter_id="M1", obis=obis, at_utc=NOON, value=value)


def momentaries(**values: int) -> tuple[Momentary, ...]:
    """Name values by phase and quantity: `v1` in V, `p1` in W, `i1` in A."""
    groups = {"v": 12, "p": 16, "i": 11}
    return tuple(
        Momentary(
            obis=Obis(1, 0, groups[name[0]] + 20 * int(name[1]), 7, 0),
            at_utc=NOON,
            thousandths=1000 * value,
            unit="",
        )
        for name, value in values.items()
    )


GOOD = Facts(
    identity=Identity(serial="SN-1", firmware="1.0"),
    drift=drift(0.4),
    period_s=900,
    recent=(None, *[5] * 15),
    registers=(register(100),),
    momentaries=momentaries(v1=121, v2=120, v3=119),
    supply=SupplyState.CONNECTED,
)


def check(name: str, facts: Facts, order: WorkOrder = ORDER) -> Check:
    return next(one for one in check_meter(order, "tcp://m:1", facts) if one.name == name)


def test_a_good_installation_passes_every_check() -> None:
    found = check_meter(ORDER, "tcp://m:1", GOOD)
    assert {one.verdict for one in found} == {Verdict.PASS}
    assert len(found) == 11


CASES: list[tuple[str, dict[str, Any], Verdict]] = [
    ("serial", {"identity": Identity(serial="SN-2")}, Verdict.FAIL),
    ("serial", {"identity": Identity(serial="")}, Verdict.WARN),  # most Modbus meters
    ("serial", {"identity": BROKEN}, Verdict.FAIL),
    ("firmware", {"identity": Identity(serial="SN-1")}, Verdict.WARN),
    ("firmware", {"identity": NONE}, Verdict.SKIP),
    ("clock", {"drift": drift(-5)}, Verdict.PASS),
    ("clock", {"drift": drift(-5.1)}, Verdict.WARN),
    ("clock", {"drift": drift(60)}, Verdict.WARN),
    ("clock", {"drift": drift(60.1)}, Verdict.FAIL),
    ("clock", {"drift": NONE}, Verdict.SKIP),
    ("clock", {"drift": BROKEN}, Verdict.FAIL),
    ("period", {"period_s": 3600}, Verdict.FAIL),
    ("period", {"period_s": NONE}, Verdict.SKIP),
    ("period", {"period_s": BROKEN}, Verdict.FAIL),
    ("profile", {"recent": (5, None, 5)}, Verdict.WARN),
    ("profile", {"recent": (None, None)}, Verdict.WARN),
    ("profile", {"recent": NONE}, Verdict.SKIP),
    ("profile", {"recent": BROKEN}, Verdict.FAIL),
    ("registers", {"registers": (register(99),)}, Verdict.FAIL),
    ("registers", {"registers": (register(7, Obis(1, 0, 2, 8, 0)),)}, Verdict.FAIL),
    ("registers", {"registers": BROKEN}, Verdict.FAIL),
    ("phases", {"momentaries": ()}, Verdict.SKIP),
    ("phases", {"momentaries": NONE}, Verdict.SKIP),
    ("phases", {"momentaries": BROKEN}, Verdict.FAIL),
    ("phases", {"momentaries": momentaries(v1=120, v2=3)}, Verdict.FAIL),
    ("phases", {"momentaries": momentaries(v1=120, v2=90)}, Verdict.WARN),
    (
        "phases",
        {"momentaries": momentaries(v1=120, v2=120, i1=5, i2=5, p1=500, p2=-500)},
        Verdict.FAIL,
    ),
    ("phases", {"momentaries": momentaries(v1=120, i1=5, p1=-500)}, Verdict.WARN),
    ("supply", {"supply": SupplyState.DISCONNECTED}, Verdict.WARN),
    ("supply", {"supply": SupplyState.READY}, Verdict.WARN),
    ("supply", {"supply": NONE}, Verdict.SKIP),
    ("supply", {"supply": BROKEN}, Verdict.FAIL),
]


@pytest.mark.parametrize(("name", "found", "verdict"), CASES)
def test_what_is_amiss_is_told(name: str, found: dict[str, Any], verdict: Verdict) -> None:
    assert check(name, replace(GOOD, **found)).verdict is verdict


@pytest.mark.parametrize(
    ("ordered", "configured", "verdict"),
    [(40, 40, Verdict.PASS), (40, 1, Verdict.WARN), (40, 60, Verdict.FAIL)],
)
def test_somebody_multiplies_by_the_transformers(
    ordered: int, configured: int, verdict: Verdict
) -> None:
    meter = {"id": "M1", "transformer_ratio": configured}
    order = replace(ORDER, transformer_ratio=ordered, meter=meter)
    assert check("ratio", GOOD, order).verdict is verdict


def test_a_reversed_current_outweighs_a_voltage_that_is_apart() -> None:
    seen = momentaries(v1=120, v2=90, i1=5, i2=5, p1=500, p2=-500)
    assert "backwards" in check("phases", replace(GOOD, momentaries=seen)).says


def test_a_meter_that_is_not_there_and_one_that_refuses_are_two_things() -> None:
    silent = check_meter(ORDER, "tcp://m:1", Refusal(reason="refused", answered=False))
    closed = check_meter(ORDER, "tcp://m:1", Refusal(reason="wrong", answered=True))
    assert [one.name for one in silent] == ["answers"]
    assert [(one.name, one.verdict.value) for one in closed] == [
        ("answers", "pass"),
        ("keys", "fail"),
    ]


@pytest.mark.parametrize(
    ("waiting", "verdict"),
    [(None, Verdict.SKIP), (100, Verdict.PASS), (101, Verdict.WARN)],
)
def test_a_gateway_that_delivers_nothing_is_told(waiting: int | None, verdict: Verdict) -> None:
    assert check_waiting(waiting).verdict is verdict


@pytest.mark.parametrize(
    ("arrival", "verdict"),
    [
        ({"start": "2026-05-02T12:00:00+00:00", "quality": []}, Verdict.PASS),
        ({"start": "long ago", "quality": "?"}, Verdict.PASS),
        ({"start": "2026-05-02T12:00:00+00:00", "quality": ["reset"]}, Verdict.WARN),
        ({"conservation": "not_conserved"}, Verdict.FAIL),
    ],
)
def test_what_arrived_has_to_add_up(arrival: dict[str, Any], verdict: Verdict) -> None:
    assert check_arrival(arrival, 125).verdict is verdict


def test_the_worst_verdict_is_the_visits() -> None:
    good, odd, bad, none = passed("a", ""), warned("a", ""), failed("a", ""), skipped("a", "")
    assert overall([good, odd, bad, none]) is Verdict.FAIL
    assert overall([good, odd, none]) is Verdict.WARN
    assert overall([good, none]) is Verdict.PASS
    assert overall([none]) is Verdict.SKIP


def test_what_a_meter_says_of_itself_is_cut_to_what_can_be_shown() -> None:
    long = replace(GOOD, identity=Identity(serial="x" * 999))
    assert len(str(check("serial", long).values["serial"])) == 200


def test_every_reason_is_said_in_spanish_with_the_same_values() -> None:
    told = [check(name, replace(GOOD, **found)).says for name, found, _ in CASES]
    told += [one.says for one in check_meter(ORDER, "tcp://m:1", GOOD)]
    told += [*checks._HINTS.values(), *paper.TITLES.values(), *paper.VERDICTS.values()]
    told += [*paper.CHECKS.values(), *paper.QUANTITIES.values()]
    assert {one for one in told if one not in spanish()} == set()
    assert [one for one in told if _fields(one) != _fields(spanish()[one])] == []


def _fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_every_sentence_of_a_visit_stands_in_the_catalogue() -> None:
    for module in (checks, visit):
        for code in _constants(module):
            assert code in spanish()


def _constants(module: Any) -> set[str]:
    """Return the sentences with values, or that end in a full stop, in a module's functions."""
    called = {"passed", "warned", "failed", "skipped"}
    tree = ast.walk(ast.parse(inspect.getsource(module)))
    return {
        str(argument.value)
        for node in tree
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in called
        for argument in node.args[1:2]
        if isinstance(argument, ast.Constant)
    }


@pytest.mark.parametrize(
    ("secret", "verdict"),
    [
        ({}, Verdict.SKIP),
        ({"security": {"kind": "none"}}, Verdict.SKIP),
        ({"security": {"kind": "hls-gmac"}}, Verdict.PASS),
        ({"password": "1"}, Verdict.PASS),
        ({"key": "00" * 16}, Verdict.PASS),
    ],
)
def test_keys_that_there_are_none_of_open_nothing(secret: dict[str, Any], verdict: Verdict) -> None:
    assert check("keys", GOOD, replace(ORDER, meter={"id": "M1", **secret})).verdict is verdict


@pytest.mark.parametrize(
    ("seconds", "text"), [(-0.04, "+0.0 s"), (-0.06, "-0.1 s"), (90, "+90.0 s")]
)
def test_a_drift_that_rounds_to_nothing_has_no_sign_of_its_own(seconds: float, text: str) -> None:
    assert drift(seconds).text == text
