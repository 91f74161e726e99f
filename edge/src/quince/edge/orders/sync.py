"""Bringing orders down before a trip, and reports up after it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from quince.edge.errors import HeadendRefusedError, TokenRefusedError
from quince.edge.orders.book import OrderBook
from quince.protocols.visits.orders import WorkOrder


class Door(Protocol):
    """Where orders come from and reports go."""

    async def orders(self) -> Sequence[WorkOrder]:
        """Return every order that is not done."""
        ...

    async def put_report(self, order_id: str, body: bytes) -> None:
        """Hand a signed report over."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """What became of the reports that were not sent yet."""

    sent: int
    refused: int


async def pull(book: OrderBook, door: Door) -> int:
    """Keep the orders that are to be done, and return how many; an error changes none."""
    orders = await door.orders()
    book.replace_orders(orders)
    return len(orders)


async def push(book: OrderBook, door: Door) -> Pushed:
    """Send every report the head-end does not have; what it refuses is kept with the reason.

    HeadendUnreachableError, TokenRefusedError: the rest waits.
    """
    sent = refused = 0
    for report in book.reports():
        if report.sent:
            continue
        try:
            await door.put_report(report.order_id, report.body)
        except TokenRefusedError:
            raise
        except HeadendRefusedError as error:
            book.mark_refused(report.body, str(error))
            refused += 1
        else:
            book.mark_sent(report.body)
            sent += 1
    return Pushed(sent=sent, refused=refused)
