"""Orders and reports on this device: downloaded before the trip, sent after it; one SQLite file.

Law: a report is kept until the head-end has it, and what it refuses is kept with the reason.
"""

import hashlib
import json
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from quince.edge.errors import OrderBookError
from quince.edge.files import private_folder
from quince.model.errors import InvalidValueError
from quince.protocols.visits.documents import Document, read_document
from quince.protocols.visits.orders import WorkOrder

_SCHEMA = """
create table if not exists work_order (order_id text primary key, document text not null);
create table if not exists old_reading (order_id text primary key, document text not null);
create table if not exists report (
  sha256 text primary key, order_id text not null, body blob not null,
  made_utc text not null, sent integer not null default 0, refusal text not null default '');
"""
REPORTS_UNSENT_MAX = 1_000  # a crew's year; whoever has more has never pushed


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptReport:
    """A signed report, as its file has it; `refusal` is the head-end's last word on it."""

    order_id: str
    body: bytes
    sent: bool
    refusal: str


class OrderBook:
    """The orders and reports of one technician's device."""

    def __init__(self, folder: Path) -> None:
        """Open or make the file in `folder`; only its owner may read it."""
        path = private_folder(folder) / "orders.db"
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        path.chmod(0o600)
        self._db = sqlite3.connect(path, isolation_level=None)
        try:
            self._db.execute("pragma synchronous=full")
            self._db.execute("pragma secure_delete=on")  # what goes were a meter's keys
            self._db.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise OrderBookError(f"{path}: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def replace_orders(self, orders: Sequence[WorkOrder]) -> None:
        """Keep these orders, and those whose report is not sent; the others' keys go.

        So do reports that were sent: their files beside the book stay.
        """
        with self._db:
            self._db.execute("begin immediate")
            self._db.execute(
                "delete from work_order where order_id not in"
                " (select order_id from report where not sent)"
            )
            self._db.executemany(
                "insert or replace into work_order values (?, ?)",
                ((one.order_id, json.dumps(one.document())) for one in orders),
            )
            self._db.execute("delete from report where sent")
            self._db.execute(
                "delete from old_reading where order_id not in (select order_id from work_order)"
            )

    def orders(self) -> tuple[WorkOrder, ...]:
        """Return the orders by name."""
        rows = self._db.execute("select document from work_order order by order_id")
        return tuple(WorkOrder.read(json.loads(document)) for (document,) in rows)

    def order(self, order_id: str) -> WorkOrder:
        """Return one order; InvalidValueError names those there are."""
        kept = {one.order_id: one for one in self.orders()}
        if order_id not in kept:
            known = f"one of {', '.join(kept)}" if kept else "there are none: `orders pull`"
            raise InvalidValueError("order", order_id, known)
        return kept[order_id]

    def keep_old_reading(self, order_id: str, reading: Document) -> None:
        """Keep what a swap's old meter showed last: it cannot be read again once it is gone."""
        self._db.execute(
            "insert or replace into old_reading values (?, ?)", (order_id, json.dumps(reading))
        )

    def old_reading(self, order_id: str) -> Document | None:
        """Return it, if it was read already."""
        row = self._db.execute(
            "select document from old_reading where order_id = ?", (order_id,)
        ).fetchone()
        return None if row is None else read_document(row[0].encode())

    def keep_report(self, order_id: str, body: bytes, made_utc: datetime) -> str:
        """Keep a signed report until it is sent; return what it is known by."""
        (unsent,) = self._db.execute("select count(*) from report where not sent").fetchone()
        if unsent >= REPORTS_UNSENT_MAX:
            raise OrderBookError(f"{unsent} reports were never sent: `orders push`")
        digest = hashlib.sha256(body).hexdigest()
        self._db.execute(
            "insert into report(sha256, order_id, body, made_utc) values (?, ?, ?, ?)"
            " on conflict do nothing",
            (digest, order_id, body, made_utc.isoformat()),
        )
        return digest

    def reports(self) -> tuple[KeptReport, ...]:
        """Return every report, the oldest first."""
        rows = self._db.execute(
            "select order_id, body, sent, refusal from report order by made_utc, sha256"
        )
        return tuple(
            KeptReport(order_id=order_id, body=body, sent=bool(sent), refusal=refusal)
            for order_id, body, sent, refusal in rows
        )

    def report(self, body: bytes) -> KeptReport:
        """Return what is known of a report that was kept."""
        return next(one for one in self.reports() if one.body == body)

    def mark_sent(self, body: bytes) -> None:
        """Take that the head-end has a report."""
        self._db.execute("update report set sent = 1, refusal = '' where sha256 = ?", _key(body))

    def mark_refused(self, body: bytes, refusal: str) -> None:
        """Keep why the head-end does not take a report."""
        self._db.execute("update report set refusal = ? where sha256 = ?", (refusal, *_key(body)))


def _key(body: bytes) -> tuple[str]:
    return (hashlib.sha256(body).hexdigest(),)
