"""A report signed, kept to be sent, and laid beside the book as the file a person hands on."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from quince.edge.files import private_folder, replace_file
from quince.edge.orders.book import OrderBook
from quince.edge.orders.technician import technician_key
from quince.model.errors import InvalidValueError
from quince.model.rng import Rng
from quince.protocols.visits.documents import DOCUMENT_BYTES_MAX, Document
from quince.protocols.visits.reports import SignedReport, read_report, sign_report, write_report


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """A report on this device: what was signed, and its file."""

    signed: SignedReport
    body: bytes
    path: Path


def file_report(
    book: OrderBook, folder: Path, report: Document, *, rng: Rng, now_utc: datetime
) -> Filed:
    """Sign a report with the technician's key, and keep it until the head-end has it."""
    signed = sign_report(report, technician_key(folder, rng))
    body = write_report(signed)
    order_id = str(report["order"])
    book.keep_report(order_id, body, now_utc)
    path = private_folder(folder / "reports") / f"{order_id}-{now_utc:%Y%m%dT%H%M%SZ}.json"
    replace_file(path, body, mode=0o644)  # a report has no keys in it, and is there to be shown
    return Filed(signed=signed, body=body, path=path)


def open_report(path: Path) -> SignedReport:
    """Return a report's file, read and not yet verified; CodecError if it is none."""
    try:
        with path.open("rb") as file:
            return read_report(file.read(DOCUMENT_BYTES_MAX + 1))
    except OSError as error:
        raise InvalidValueError("report", str(path), str(error)) from error
