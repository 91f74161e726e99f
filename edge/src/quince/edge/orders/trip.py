"""A technician at the place: a visit carried out, its report kept, and sent if that can be."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from quince.edge.config import GatewayConfig, MeterConfig
from quince.edge.errors import HeadendUnreachableError, TokenRefusedError
from quince.edge.orders.book import KeptReport, OrderBook
from quince.edge.orders.door import HeadendDoor, open_door
from quince.edge.orders.evidence import Evidence
from quince.edge.orders.filing import Filed, file_report
from quince.edge.orders.last_gasp import Ear, choose_ear, try_last_gasp
from quince.edge.orders.sync import push
from quince.edge.orders.technician import kept_token
from quince.edge.orders.visit import Visit, carry_out, final_reading, session, typed_reading
from quince.model.clock import Clock
from quince.model.errors import InvalidValueError, QuinceError
from quince.model.rng import Rng
from quince.protocols.visits.documents import Document
from quince.protocols.visits.orders import OrderKind, WorkOrder


class Person(Protocol):
    """The technician, as the terminal knows them."""

    def may_set_clock(self, drift: str) -> bool:
        """Ask whether a clock that is so far off is to be set."""
        ...

    def guide(self, text: str) -> None:
        """Say what to do, and wait until it is done."""
        ...

    def waited(self, so_far_s: int, most_s: int) -> None:
        """Show how long was waited, and how long it may take."""
        ...

    def tell(self, error: QuinceError) -> None:
        """Say what did not work, and does not end the visit."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a visit came to: its report on this device, and what the head-end said to it."""

    filed: Filed
    kept: KeptReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """What every visit of a trip stands on; `wait_s` 0 proves no arrival."""

    config: GatewayConfig
    config_path: Path
    folder: Path
    clock: Clock
    rng: Rng
    person: Person
    offline: bool
    wait_s: int

    async def commission(self, order_id: str, evidence: Evidence) -> Outcome:
        """Carry out an order for a meter that is there."""
        with OrderBook(self.folder) as book:
            return await self._visit(book, book.order(order_id), evidence, None)

    async def exchange(self, order_id: str, evidence: Evidence, final_wh: int | None) -> Outcome:
        """Take the old meter's last reading, or the one typed, then carry out the order.

        TransportError if the old meter does not answer, and nothing was typed.
        """
        with OrderBook(self.folder) as book:
            order = book.order(order_id)
            if order.kind is not OrderKind.SWAP:
                raise InvalidValueError("kind", order.kind.value, "`commission` does those")
            old = book.old_reading(order_id)
            if old is None or final_wh is not None:
                old = await self._last_reading(order, final_wh)
                book.keep_old_reading(order_id, old)
            self.person.guide("Mount the new meter in the old one's place.")
            return await self._visit(book, order, evidence, old)

    async def try_last_gasp(self, meter_id: str) -> Document:
        """Guide through a break of the supply, and return what was heard of it, and where."""
        self._configured(meter_id)
        async with self._door() as door:
            ear = Ear(meter_id=meter_id, headend=door, outbox=self.config.outbox, clock=self.clock)
            return await try_last_gasp(
                await choose_ear(ear), guide=self.person.guide, waited=self.person.waited
            )

    async def _last_reading(self, order: WorkOrder, final_wh: int | None) -> Document:
        if final_wh is not None:
            return typed_reading(order.old_meter_id, final_wh, self.clock.now_utc())
        old = self._configured(order.old_meter_id)
        return await final_reading(session(self.config, old, self.clock), old.id)

    def _configured(self, meter_id: str) -> MeterConfig:
        by_id = {meter.id: meter for meter in self.config.meters}
        if meter_id not in by_id:
            raise InvalidValueError("meter", meter_id, f"one of {', '.join(by_id)}")
        return by_id[meter_id]

    async def _visit(
        self, book: OrderBook, order: WorkOrder, evidence: Evidence, old: Document | None
    ) -> Outcome:
        async with self._door() as door:
            visit = Visit(
                order=order,
                config=self.config,
                config_path=self.config_path,
                clock=self.clock,
                evidence=evidence,
                may_set_clock=self.person.may_set_clock,
                arrivals=door if self.wait_s else None,
                wait_s=self.wait_s,
                waited=self.person.waited,
                old_reading=old,
            )
            report = await carry_out(visit)
            filed = file_report(
                book, self.folder, report, rng=self.rng, now_utc=self.clock.now_utc()
            )
            await self._send(book, door)
        return Outcome(filed=filed, kept=book.report(filed.body))

    async def _send(self, book: OrderBook, door: HeadendDoor | None) -> None:
        """Send what waits; what cannot be sent now is kept."""
        if door is None:
            return
        try:
            await push(book, door)
        except (HeadendUnreachableError, TokenRefusedError) as error:
            self.person.tell(error)

    @asynccontextmanager
    async def _door(self) -> AsyncIterator[HeadendDoor | None]:
        if self.offline:
            yield None
            return
        async with open_door(self.config.headend, kept_token(self.folder)) as door:
            yield door
