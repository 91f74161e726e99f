"""Work orders: what a technician is asked to do at one place.

Law: an order holds the keys of its meter, so it is a secret wherever it lies.
"""

import re
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from enum import StrEnum
from typing import Self

from quince.model.errors import InvalidValueError
from quince.protocols.visits.documents import Document

TEXT_CHARS_MAX = 200  # names and addresses; longer ones are a mistake
RATIO_MAX = 1_000_000  # a current transformer times a voltage transformer

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")  # part of URLs and of files' names


class OrderKind(StrEnum):
    """What is to be done."""

    COMMISSION = "commission"  # a meter's first day
    SWAP = "swap"  # another meter takes an old one's place
    VISIT = "visit"  # look at a meter that is there


class OrderState(StrEnum):
    """How far it is: a report closes an order; what failed may be mended, what is done stays so."""

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkOrder:
    """One order.

    `meter` is the meter's table of the gateway's configuration file, keys included.
    `last_register_wh` is the last active import known of that very meter. `technician` is who it
    is for, anybody if empty; `due` an ISO 8601 date, if any.
    """

    order_id: str
    kind: OrderKind
    metering_point: str
    premise: str
    zone: str
    gateway: str
    serial: str
    meter: Document = field(repr=False)
    address: str = ""
    old_meter_id: str = ""
    transformer_ratio: int = 1
    last_register_wh: int | None = None
    due: str = ""
    technician: str = ""

    def __post_init__(self) -> None:
        if _NAME.fullmatch(str(self.order_id)) is None:
            raise InvalidValueError("order_id", self.order_id, "up to 63 letters, digits, . _ -")
        for one in ("metering_point", "premise", "zone", "gateway", "serial"):
            _require_text(one, getattr(self, one), chars_min=1)
        for one in ("address", "old_meter_id", "due", "technician"):
            _require_text(one, getattr(self, one), chars_min=0)
        _require_text("meter.id", self.meter.get("id"), chars_min=1)
        if (self.kind is OrderKind.SWAP) != bool(self.old_meter_id):
            raise InvalidValueError(
                "old_meter_id", self.old_meter_id, "a swap has one, and only it"
            )
        _require_number("transformer_ratio", self.transformer_ratio, 1, RATIO_MAX)
        if self.last_register_wh is not None:
            _require_number("last_register_wh", self.last_register_wh, 0, 2**63 - 1)
        if self.due:
            _require_date(self.due)

    @property
    def meter_id(self) -> str:
        """Return the meter's name in the gateway's configuration."""
        return str(self.meter["id"])

    def document(self) -> Document:
        """Return the order as JSON has it."""
        return asdict(self)

    def summary(self) -> Document:
        """Return what anybody may see of it: all but the meter's table, of which its name."""
        document = asdict(self)
        del document["meter"]
        return {**document, "meter_id": self.meter_id}

    @classmethod
    def read(cls, document: Document) -> Self:
        """Read what `document` wrote; InvalidValueError names what is wrong with it."""
        known = {one.name for one in fields(cls)}
        for name in document:
            if name not in known:
                raise InvalidValueError("order", name, "an order has no such field")
        values = dict(document)
        if not isinstance(values.get("meter"), dict):
            raise InvalidValueError("meter", values.get("meter"), "a table of the configuration")
        values["kind"] = _kind(values.get("kind"))
        try:
            return cls(**values)
        except TypeError as error:
            raise InvalidValueError("order", values.get("order_id"), str(error)) from error


def _kind(text: object) -> OrderKind:
    try:
        return OrderKind(str(text))
    except ValueError:
        raise InvalidValueError("kind", text, f"one of {', '.join(OrderKind)}") from None


def _require_text(field_name: str, value: object, *, chars_min: int) -> None:
    if not isinstance(value, str) or not chars_min <= len(value) <= TEXT_CHARS_MAX:
        raise InvalidValueError(field_name, value, f"text of {chars_min}..{TEXT_CHARS_MAX}")


def _require_number(field_name: str, value: object, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise InvalidValueError(field_name, value, f"a whole number, {least}..{most}")


def _require_date(text: str) -> None:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise InvalidValueError("due", text, "an ISO 8601 date") from None
