"""A visit from beginning to end: the checks, the configuration, the proof of arrival, the report.

Law: a meter that fails a check is not put into the gateway's configuration; a report is made
whatever came out.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

from quince.edge.commissioning.visit import open_instrument
from quince.edge.config import GatewayConfig, MeterConfig
from quince.edge.errors import TransportError
from quince.edge.orders.arrival import Arrivals, Waited, prove_arrival
from quince.edge.orders.checks import Refusal, check_meter, check_waiting, judge_drift
from quince.edge.orders.configuration import ordered_meter, put_meter
from quince.edge.orders.evidence import Evidence
from quince.edge.orders.facts import Connect, Facts, Untold, correct_clock, gather_facts
from quince.edge.orders.verdicts import Check, Verdict, failed, overall, passed, skipped, warned
from quince.edge.outbox.view import look
from quince.edge.readers.reader import Instrument
from quince.model.clock import Clock
from quince.model.errors import InvalidValueError, QuinceError
from quince.model.event import MeterEvent
from quince.model.interval import RegisterReading
from quince.model.obis import ACTIVE_IMPORT_REGISTER
from quince.protocols.visits.documents import Document
from quince.protocols.visits.orders import OrderKind, WorkOrder
from quince.protocols.visits.reports import REPORT_FORM

READINGS_MAX = 64  # registers of one meter: quantities times rates; a report stays a page or two


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What a visit stands on.

    `may_set_clock` asks the technician, given how far the clock is off. `arrivals` is the
    head-end; without it nothing is waited for. `old_reading` is what `final_reading` returned.
    """

    order: WorkOrder
    config: GatewayConfig
    config_path: Path
    clock: Clock
    evidence: Evidence
    may_set_clock: Callable[[str], bool]
    arrivals: Arrivals | None
    wait_s: int
    waited: Waited
    old_reading: Document | None = None

    def __post_init__(self) -> None:
        if self.order.gateway != self.config.gateway:
            raise InvalidValueError(
                "gateway", self.config.gateway, f"the order is for {self.order.gateway}"
            )
        if (self.order.kind is OrderKind.SWAP) != (self.old_reading is not None):
            raise InvalidValueError("kind", str(self.order.kind), "`swap` does those, and no other")


async def carry_out(visit: Visit) -> Document:
    """Return the report of a visit, to be signed."""
    started_utc = visit.clock.now_utc()
    evidence = visit.evidence.document()
    meter = ordered_meter(visit.order)
    connect = session(visit.config, meter, visit.clock)
    found = await _examine(connect, visit.clock)
    checks = [*check_meter(visit.order, meter.url, found)]
    checks = await _offer_clock(visit, connect, checks)
    if visit.old_reading is not None:
        checks.append(_check_old(visit.old_reading))
    arrival: Document | None = None
    if overall(checks) is not Verdict.FAIL:
        checks.append(_configure(visit))
    checks.append(_check_outbox(visit.config.outbox))
    if overall(checks) is not Verdict.FAIL:
        check, arrival = await _prove(visit)
        checks.append(check)
    return {
        **_head(visit, started_utc),
        "verdict": overall(checks).value,
        "checks": [check.document() for check in checks],
        **_told_by_meter(found),
        "old_reading": visit.old_reading,
        "arrival": arrival,
        "evidence": evidence,
    }


def session(config: GatewayConfig, meter: MeterConfig, clock: Clock) -> Connect:
    """Return what opens sessions with a meter, under the gateway's counters."""
    return partial(_open, meter, counters=config.outbox.with_suffix(".counters"), clock=clock)


async def final_reading(connect: Connect, meter_id: str) -> Document:
    """Return what an old meter's registers show last; TransportError if it does not answer."""
    async with connect() as instrument:
        return {
            "meter": meter_id,
            "typed": False,
            "registers": _readings(await instrument.registers()),
        }


def typed_reading(meter_id: str, final_wh: int, at_utc: datetime) -> Document:
    """Return a final reading that a person took from the display."""
    reading = RegisterReading(
        meter_id=meter_id, obis=ACTIVE_IMPORT_REGISTER, at_utc=at_utc, value=final_wh
    )
    return {"meter": meter_id, "typed": True, "registers": _readings([reading])}


def _open(
    meter: MeterConfig, *, counters: Path, clock: Clock
) -> AbstractAsyncContextManager[Instrument]:
    return open_instrument(meter, counters=counters, clock=clock, accept=_pass_over)


def _pass_over(event: MeterEvent) -> None:
    """A meter that is being worked on says all kinds of things, and means none of them."""


async def _examine(connect: Connect, clock: Clock) -> Facts | Refusal:
    try:
        async with connect() as instrument:
            return await gather_facts(instrument, clock)
    except TransportError as error:
        return Refusal(reason=str(error), answered=False)
    except QuinceError as error:
        return Refusal(reason=f"{error.code}: {error}", answered=True)


async def _offer_clock(visit: Visit, connect: Connect, checks: list[Check]) -> list[Check]:
    """Set a clock that is off, if the technician wants it; what is said then is how it is now."""
    clock = next((one for one in checks if one.name == "clock"), None)
    if clock is None or "drift" not in clock.values or clock.verdict is Verdict.PASS:
        return checks
    was = str(clock.values["drift"])
    if not visit.may_set_clock(was):
        return checks
    try:
        now = judge_drift(await correct_clock(connect, visit.clock))
        says = "Its clock was {was} off, was set, and is {drift} off."
        now = replace(now, says=says, values={**now.values, "was": was})
    except QuinceError as error:
        says = "Its clock is {drift} off, and could not be set: {reason}"
        now = replace(clock, says=says, values={"drift": was, "reason": str(error)})
    return [now if one is clock else one for one in checks]


def _check_old(reading: Document) -> Check:
    values = [
        int(one["value"])
        for one in reading["registers"]
        if one["obis"] == str(ACTIVE_IMPORT_REGISTER)
    ]
    if not values:
        return failed("old", "The old meter's final reading has no active import.")
    if reading["typed"]:
        says = "The old meter's last active import is {value} Wh, by its display."
        return warned("old", says, value=values[0])
    return passed("old", "The old meter's last active import is {value} Wh.", value=values[0])


def _configure(visit: Visit) -> Check:
    if visit.order.kind is OrderKind.VISIT:
        return skipped("configured", "The order leaves the gateway's configuration as it is.")
    try:
        put_meter(visit.config_path, visit.order)
    except InvalidValueError as error:
        says = "The gateway's configuration could not be changed: {reason}"
        return failed("configured", says, reason=str(error))
    return passed("configured", "The gateway reads it from now on.")


def _check_outbox(outbox: Path) -> Check:
    return check_waiting(look(outbox).messages if outbox.exists() else None)


async def _prove(visit: Visit) -> tuple[Check, Document | None]:
    if visit.arrivals is None:
        return skipped("arrival", "Its arrival at the head-end was not waited for."), None
    return await prove_arrival(
        visit.arrivals,
        visit.order.meter_id,
        clock=visit.clock,
        wait_s=visit.wait_s,
        waited=visit.waited,
    )


def _head(visit: Visit, started_utc: datetime) -> Document:
    order = visit.order
    return {
        "form": REPORT_FORM,
        "order": order.order_id,
        "kind": order.kind.value,
        "gateway": order.gateway,
        "meter": order.meter_id,
        "metering_point": order.metering_point,
        "premise": order.premise,
        "address": order.address,
        "zone": order.zone,
        "technician": order.technician,
        "started": started_utc.isoformat(),
        "ended": visit.clock.now_utc().isoformat(),
        "software": f"quince-edge {version('quince-edge')}",
    }


def _told_by_meter(found: Facts | Refusal) -> Document:
    if isinstance(found, Refusal):
        return {"identity": None, "registers": []}
    identity, registers = found.identity, found.registers
    return {
        "identity": None
        if isinstance(identity, Untold)
        else {
            "serial": identity.serial,
            "maker": identity.maker,
            "model": identity.model,
            "firmware": identity.firmware,
        },
        "registers": [] if isinstance(registers, Untold) else _readings(registers),
    }


def _readings(registers: Sequence[RegisterReading]) -> list[Document]:
    return [
        {"obis": str(one.obis), "value": one.value, "at": one.at_utc.isoformat()}
        for one in registers[:READINGS_MAX]
    ]
