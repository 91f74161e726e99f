"""The rules of a commissioning: pure functions of what the meter told and what the order says."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from quince.edge.commissioning.drift import Drift
from quince.edge.commissioning.hints import Kind, hints
from quince.edge.commissioning.phases import picture
from quince.edge.orders.facts import RECENT, Facts, Untold
from quince.edge.orders.verdicts import Check, failed, passed, skipped, warned
from quince.edge.readers.reader import SupplyState
from quince.model.interval import STEP_S
from quince.model.obis import ACTIVE_IMPORT_REGISTER
from quince.protocols.visits.documents import Document
from quince.protocols.visits.orders import WorkOrder

DRIFT_GOOD_S = 5
_HINTS = {
    Kind.MISSING_PHASE: "No voltage on {phases}: {shown}.",
    Kind.UNBALANCED_VOLTAGE: "The voltage of {phases} is apart: {shown}.",
    Kind.REVERSED_CT: "The current of {phases} flows backwards: {shown}.",
    Kind.SWAPPED_PHASES: "The currents of {phases} look exchanged: {shown}.",
    Kind.ROTATED_PHASES: "The currents of {phases} look one phase further: {shown}.",
    Kind.ALL_FEED_IN: "The premise exports on {phases}: {shown}.",
}
# A premise with a generator, or a bad neutral up the street: no fault of this installation.
_REMARKS = frozenset({Kind.UNBALANCED_VOLTAGE, Kind.ALL_FEED_IN})
WAITING_MAX = 100  # messages: beyond a day's, the gateway has not been heard

_TEXT_CHARS_MAX = 200  # what a meter says of itself ends on one page


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why there are no facts: who did not answer, or did not let us in."""

    reason: str
    answered: bool


def check_meter(order: WorkOrder, url: str, found: Facts | Refusal) -> tuple[Check, ...]:
    """Return the checks of one session, in the order a technician reads them."""
    if isinstance(found, Refusal):
        reason = _brief(found.reason)
        if found.answered:
            return (
                passed("answers", "It answered at {url}.", url=url),
                failed("keys", "It refused our password or keys: {reason}", reason=reason),
            )
        return (failed("answers", "No answer at {url}: {reason}", url=url, reason=reason),)
    return (
        passed("answers", "It answered at {url}.", url=url),
        _keys(order),
        *(rule(order, found) for rule in _RULES),
    )


def _keys(order: WorkOrder) -> Check:
    security = order.meter.get("security")
    is_proven = isinstance(security, dict) and security.get("kind") != "none"
    if is_proven or order.meter.get("password") or order.meter.get("key"):
        return passed("keys", "The password or keys of the order opened a session.")
    return skipped("keys", "It is spoken to without password or keys.")


def check_serial(order: WorkOrder, facts: Facts) -> Check:
    """The meter is the one that was ordered."""
    if isinstance(facts.identity, Untold):
        return _untold("serial", facts.identity)
    serial = _brief(facts.identity.serial)
    if not serial:
        says = "It does not tell its serial number: compare {ordered} with its plate."
        return warned("serial", says, ordered=order.serial)
    if serial == order.serial:
        return passed("serial", "It is {serial}, as ordered.", serial=serial)
    return failed(
        "serial", "It is {serial}; the order is for {ordered}.", serial=serial, ordered=order.serial
    )


def check_firmware(_order: WorkOrder, facts: Facts) -> Check:
    """The firmware is known."""
    if isinstance(facts.identity, Untold):
        return _untold("firmware", facts.identity)
    if firmware := _brief(facts.identity.firmware):
        return passed("firmware", "Firmware {firmware}.", firmware=firmware)
    return warned("firmware", "It does not tell its firmware.")


def check_clock(_order: WorkOrder, facts: Facts) -> Check:
    """The clock is right."""
    if isinstance(facts.drift, Untold):
        if not facts.drift.is_fault:
            return skipped("clock", "It has no clock: the gateway's stands for it.")
        return _untold("clock", facts.drift)
    return judge_drift(facts.drift)


def judge_drift(found: Drift) -> Check:
    """Return what a clock that is off by so much comes to."""
    says, drift = "Its clock is {drift} off.", found.text
    if abs(found.drift_s) <= DRIFT_GOOD_S:
        return passed("clock", says, drift=drift)
    if found.is_right:
        return warned("clock", says, drift=drift)
    return failed("clock", says, drift=drift)


def check_ratio(order: WorkOrder, _facts: Facts) -> Check:
    """Somebody multiplies by the transformers, and once."""
    ratio = order.transformer_ratio
    ours = order.meter.get("transformer_ratio", 1)
    if ours == ratio:
        return passed("ratio", "Transformer ratio {ratio}.", ratio=ratio)
    if ours == 1:
        return warned(
            "ratio", "The meter must multiply by {ratio} itself: compare its display.", ratio=ratio
        )
    return failed(
        "ratio", "The gateway would multiply by {ours}, not by {ratio}.", ours=ours, ratio=ratio
    )


def check_period(_order: WorkOrder, facts: Facts) -> Check:
    """The load profile has quarter-hours."""
    match facts.period_s:
        case Untold(is_fault=False):
            return skipped("period", "It keeps no load profile: the gateway samples its registers.")
        case Untold() as untold:
            return _untold("period", untold)
        case period_s if period_s == STEP_S:
            return passed("period", "A row every {period_s} s.", period_s=period_s)
        case period_s:
            return failed(
                "period",
                "A row every {period_s} s; it must be {step_s}.",
                period_s=period_s,
                step_s=STEP_S,
            )


def check_profile(_order: WorkOrder, facts: Facts) -> Check:
    """The last hours of the load profile are there, from the first quarter-hour it has."""
    if isinstance(facts.recent, Untold):
        if facts.recent.is_fault:
            return _untold("profile", facts.recent)
        return skipped("profile", "It keeps no load profile: the gateway samples its registers.")
    present = [value is not None for value in facts.recent]
    if not any(present):
        return warned("profile", "No quarter-hour of the last four hours yet.")
    gaps = present[present.index(True) :].count(False)
    counted = {"count": present.count(True), "of": RECENT}
    if gaps:
        return warned(
            "profile",
            "{count} of {of} quarter-hours; {gaps} missing in between.",
            gaps=gaps,
            **counted,
        )
    return passed("profile", "{count} of {of} quarter-hours, without a gap.", **counted)


def check_registers(order: WorkOrder, facts: Facts) -> Check:
    """Active import has a reading, and it is not below the one that is known."""
    if isinstance(facts.registers, Untold):
        return _untold("registers", facts.registers)
    found = [one.value for one in facts.registers if one.obis == ACTIVE_IMPORT_REGISTER]
    if not found:
        return failed("registers", "It has no register of active import.")
    known = order.last_register_wh
    if known is not None and found[0] < known:
        return failed(
            "registers",
            "Active import {value} Wh is below the {known} Wh known of it.",
            value=found[0],
            known=known,
        )
    return passed("registers", "Active import {value} Wh.", value=found[0])


def check_wiring(_order: WorkOrder, facts: Facts) -> Check:
    """Every phase has its voltage, and every current its direction."""
    if isinstance(facts.momentaries, Untold):
        if facts.momentaries.is_fault:
            return _untold("phases", facts.momentaries)
        return skipped("phases", "It does not tell voltages.")
    seen = picture(facts.momentaries)
    voltages_mv = {one.number: one.voltage_mv for one in seen.phases if one.voltage_mv is not None}
    if not voltages_mv:
        return skipped("phases", "It does not tell voltages.")
    shown = " · ".join(f"L{number} {mv / 1000:.1f} V" for number, mv in voltages_mv.items())
    found = sorted(hints(seen), key=lambda hint: hint.kind in _REMARKS)
    if not found:
        return passed("phases", "{shown}.", shown=shown)
    worst = found[0]
    phases = ", ".join(f"L{number}" for number in worst.phases)
    judged = warned if worst.kind in _REMARKS else failed
    return judged("phases", _HINTS[worst.kind], phases=phases, shown=shown)


def check_supply(_order: WorkOrder, facts: Facts) -> Check:
    """The premise is connected."""
    match facts.supply:
        case Untold(is_fault=False):
            return skipped("supply", "It has no switch.")
        case Untold() as untold:
            return _untold("supply", untold)
        case SupplyState.CONNECTED:
            return passed("supply", "The premise is connected.")
        case SupplyState.READY:
            return warned("supply", "Ready: the button on the meter connects the premise.")
        case SupplyState.DISCONNECTED:
            return warned("supply", "The premise is disconnected.")


def check_waiting(waiting: int | None) -> Check:
    """The gateway gets rid of what it reads."""
    if waiting is None:
        return skipped("outbox", "No gateway runs on this device.")
    if waiting > WAITING_MAX:
        return warned("outbox", "{waiting} messages wait for the head-end.", waiting=waiting)
    return passed("outbox", "{waiting} messages wait for the head-end.", waiting=waiting)


def check_arrival(arrival: Document, waited_s: int) -> Check:
    """The head-end has the meter's first interval, and it adds up."""
    start = _moment(str(arrival.get("start")))
    if arrival.get("conservation") == "not_conserved":
        says = "The quarter-hour of {start} arrived, and does not match the register."
        return failed("arrival", says, start=start)
    flags = arrival.get("quality")
    if isinstance(flags, list) and flags:
        says = "The quarter-hour of {start} arrived, flagged {flags}."
        return warned("arrival", says, start=start, flags=_brief(", ".join(map(str, flags))))
    says = "The quarter-hour of {start} arrived after {minutes} min."
    return passed("arrival", says, start=start, minutes=waited_s // 60)


_RULES: tuple[Callable[[WorkOrder, Facts], Check], ...] = (
    check_serial,
    check_firmware,
    check_clock,
    check_ratio,
    check_period,
    check_profile,
    check_registers,
    check_wiring,
    check_supply,
)


def _untold(name: str, untold: Untold) -> Check:
    says = "It could not be read: {reason}"
    reason = _brief(untold.reason)
    return (
        failed(name, says, reason=reason) if untold.is_fault else skipped(name, says, reason=reason)
    )


def _moment(text: str) -> str:
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError):
        return _brief(text)


def _brief(text: str) -> str:
    return "".join(filter(str.isprintable, text))[:_TEXT_CHARS_MAX]
