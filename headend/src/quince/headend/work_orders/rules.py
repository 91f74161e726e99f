"""Orders from a file, what a report means for its order, and the proof that a meter arrives."""

import hashlib
import re
import tomllib
from dataclasses import dataclass
from datetime import datetime

from quince.headend.assets.rules import Meter
from quince.headend.errors import ReportRefusedError, WorkOrderFileError
from quince.headend.usage.rules import Conservation
from quince.model.errors import InvalidValueError
from quince.model.quality import Quality
from quince.protocols.visits.documents import Document
from quince.protocols.visits.orders import OrderState, WorkOrder

ORDERS_MAX = 10_000  # of one file, and of one tenant's open ones; a crew does some ten a day
_STATES = {"pass": OrderState.DONE, "warn": OrderState.DONE, "fail": OrderState.FAILED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Technician:
    """Who signs reports: `public_key` is an Ed25519 key, as its 32 octets."""

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        if re.fullmatch(r"[\w.@ -]{1,100}", self.name) is None:
            raise InvalidValueError("name", self.name, "1..100 letters, digits, . @ _ - and spaces")
        if len(self.public_key) != 32:  # noqa: PLR2004 - what an Ed25519 key has
            raise InvalidValueError("public_key", self.public_key.hex(), "64 hexadecimal digits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """The first interval of a meter that begins at or behind a moment, and whether it adds up.

    `conservation` compares the intervals from there on, as far as they have no gap, with what the
    register grew by.
    """

    start_utc: datetime
    energy_wh: int
    quality: Quality
    count: int
    conservation: Conservation


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptOrder:
    """An order, and how far it is."""

    order: WorkOrder
    state: OrderState


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptReport:
    """A signed report as it came, whose it is, and what it makes of its order."""

    order_id: str
    body: bytes
    technician: str
    state: OrderState
    received_utc: datetime

    @property
    def sha256(self) -> str:
        """Return what the same report, sent again, is known by."""
        return hashlib.sha256(self.body).hexdigest()


def read_orders(text: str) -> tuple[WorkOrder, ...]:
    """Read a file of `[[order]]` tables; WorkOrderFileError names every one that cannot be."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WorkOrderFileError([str(error)]) from error
    rows = document.get("order", [])
    if document.keys() != {"order"} or not isinstance(rows, list) or len(rows) > ORDERS_MAX:
        raise WorkOrderFileError([f"expected [[order]] tables alone, at most {ORDERS_MAX}"])
    orders: list[WorkOrder] = []
    problems: list[str] = []
    for number, row in enumerate(rows, start=1):
        try:
            orders.append(_order(row))
        except InvalidValueError as error:
            problems.append(f"order {number}: {error}")
    named = [order.order_id for order in orders]
    problems += [
        f"order {name!r}: named twice" for name in sorted({*named}) if named.count(name) > 1
    ]
    if problems:
        raise WorkOrderFileError(problems)
    return tuple(orders)


def read_technician(name: str, public_key: str) -> Technician:
    """Read a technician; InvalidValueError for a key that is not 64 hexadecimal digits."""
    try:
        octets = bytes.fromhex(public_key)
    except ValueError:
        raise InvalidValueError("public_key", public_key, "64 hexadecimal digits") from None
    return Technician(name=name, public_key=octets)


def _order(row: object) -> WorkOrder:
    if not isinstance(row, dict):
        raise InvalidValueError("order", row, "a table")
    order = WorkOrder.read(row)
    place(order)
    return order


def place(order: WorkOrder) -> Meter:
    """Return where the meter of an order is to stand; InvalidValueError if it cannot."""
    return Meter(
        meter_id=order.meter_id,
        premise=order.premise,
        zone=order.zone,
        metering_point=order.metering_point,
    )


def outcome(order: WorkOrder, report: Document) -> OrderState:
    """Return what a report makes of its order; ReportRefusedError if it is not of this order."""
    for name, expected in (
        ("order", order.order_id),
        ("meter", order.meter_id),
        ("metering_point", order.metering_point),
    ):
        if report.get(name) != expected:
            raise ReportRefusedError(f"{name} {report.get(name)!r}: the order has {expected!r}")
    verdict = report.get("verdict")
    if verdict not in ("pass", "warn", "fail"):
        raise ReportRefusedError(f"verdict {verdict!r}: one of {', '.join(_STATES)}")
    return _STATES[verdict]
