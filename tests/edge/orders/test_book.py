import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from quince.edge.errors import HeadendUnreachableError, OrderBookError, TokenRefusedError
from quince.edge.orders import book as book_module
from quince.edge.orders.book import OrderBook
from quince.edge.orders.sync import Pushed, pull, push
from quince.edge.orders.technician import keep_token, kept_token, technician_key
from quince.model.errors import InvalidValueError
from quince.protocols.visits.orders import OrderKind, WorkOrder

NOON = datetime(2026, 5, 2, 12, tzinfo=UTC)


def order(order_id: str) -> WorkOrder:
    return WorkOrder(
        order_id=order_id,
        kind=OrderKind.VISIT,
        metering_point="mp",
        premise="p",
        zone="UTC",
        gateway="gw-1",
        serial="s",
        meter={"id": "M1", "password": "12345678"},
    )


class FakeDoor:
    def __init__(self, *orders: WorkOrder, fails: Exception | None = None) -> None:
        self.open_orders = orders
        self.fails = fails
        self.taken: list[bytes] = []

    async def orders(self) -> tuple[WorkOrder, ...]:
        return self.open_orders

    async def put_report(self, order_id: str, body: bytes) -> None:
        assert order_id
        if self.fails is not None:
            raise self.fails
        self.taken.append(body)


def test_what_holds_keys_is_its_owners_alone(tmp_path: Path) -> None:
    with OrderBook(tmp_path / "own") as book:
        book.replace_orders([order("WO-1")])
    assert (tmp_path / "own").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "own" / "orders.db").stat().st_mode & 0o777 == 0o600


async def test_an_order_that_is_closed_goes_with_its_keys(tmp_path: Path) -> None:
    with OrderBook(tmp_path) as book:
        assert await pull(book, FakeDoor(order("WO-1"), order("WO-2"))) == 2
        assert await pull(book, FakeDoor()) == 0
        assert book.orders() == ()
    assert b"12345678" not in (tmp_path / "orders.db").read_bytes()


async def test_what_was_sent_goes_with_its_order(tmp_path: Path) -> None:
    with OrderBook(tmp_path) as book:
        book.replace_orders([order("WO-1"), order("WO-2")])
        for name in ("WO-1", "WO-2"):
            book.keep_old_reading(name, {"meter": name})
            book.keep_report(name, name.encode(), NOON)
        await push(book, FakeDoor())
        await pull(book, FakeDoor(order("WO-2")))
        assert book.reports() == ()
        assert (book.old_reading("WO-1"), book.old_reading("WO-2")) == (None, {"meter": "WO-2"})


async def test_an_order_whose_report_waits_stays(tmp_path: Path) -> None:
    with OrderBook(tmp_path) as book:
        book.replace_orders([order("WO-1")])
        book.keep_report("WO-1", b"report", NOON)
        await pull(book, FakeDoor())
        assert [one.order_id for one in book.orders()] == ["WO-1"]
        with pytest.raises(InvalidValueError, match="one of WO-1"):
            book.order("WO-2")


async def test_a_report_is_sent_once(tmp_path: Path) -> None:
    door = FakeDoor()
    with OrderBook(tmp_path) as book:
        assert book.keep_report("WO-1", b"report", NOON) == book.keep_report(
            "WO-1", b"report", NOON
        )
        assert await push(book, door) == Pushed(sent=1, refused=0)
        assert await push(book, door) == Pushed(sent=0, refused=0)
    assert door.taken == [b"report"]


@pytest.mark.parametrize("error", [HeadendUnreachableError("away"), TokenRefusedError("who?")])
async def test_a_head_end_that_is_away_leaves_the_reports_waiting(
    tmp_path: Path, error: Exception
) -> None:
    with OrderBook(tmp_path) as book:
        book.keep_report("WO-1", b"report", NOON)
        with pytest.raises(type(error)):
            await push(book, FakeDoor(fails=error))
        assert await push(book, FakeDoor()) == Pushed(sent=1, refused=0)


def test_a_device_that_never_sent_takes_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book_module, "REPORTS_UNSENT_MAX", 1)
    with OrderBook(tmp_path) as book:
        book.keep_report("WO-1", b"first", NOON)
        with pytest.raises(OrderBookError):
            book.keep_report("WO-1", b"second", NOON)


def test_a_file_that_is_no_book_is_told(tmp_path: Path) -> None:
    (tmp_path / "orders.db").write_bytes(b"something else, and long enough to be no database")
    with pytest.raises(OrderBookError, match=r"orders\.db"):
        OrderBook(tmp_path)


# -- secrets beside it -------------------------------------------------------------------


def test_a_key_that_is_no_technicians_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "technician.key"
    file.write_text("nonsense")
    with pytest.raises(InvalidValueError, match=r"technician\.key"):
        technician_key(tmp_path, random.Random(1))
    pem = generate_private_key(SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    file.write_bytes(pem)
    with pytest.raises(InvalidValueError, match="Ed25519"):
        technician_key(tmp_path, random.Random(1))


def test_a_key_is_its_owners_alone(tmp_path: Path) -> None:
    technician_key(tmp_path, random.Random(1))
    assert (tmp_path / "technician.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("token", ["", "two\nlines", "ñ", "x" * 201])
def test_a_token_that_cannot_be_one_is_not_kept(tmp_path: Path, token: str) -> None:
    with pytest.raises(InvalidValueError):
        keep_token(tmp_path, token)
    with pytest.raises(InvalidValueError, match="orders token"):
        kept_token(tmp_path)
