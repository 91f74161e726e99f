"""Publishing what is cleared until its gateway has it, and hearing how it ends.

Law: what is published was committed as published first; the gateway's word on it is the last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from quince.headend.commands.rules import HEAD_END, KeptCommand, State, after_result, is_armed
from quince.headend.commands.service import CommandBook, CommandStore
from quince.headend.errors import NotArmedError
from quince.headend.ingest.service import LoggedResult
from quince.protocols.gateway.commands import Command, Configure, ConfirmSupply

log = structlog.get_logger()

RESULTS_MAX = 50  # one transaction's worth; ingest must not wait long for the write lock
_LAPSED = {State.REQUESTED: "not_approved", State.ACCEPTED: "no_result"}


class ResultLog(Protocol):
    """The results ingest committed, in that order."""

    def results_after(self, *, tenant_id: int, entry: int, limit: int) -> Sequence[LoggedResult]:
        """Return the first `limit` results committed after `entry`."""
        ...


class Signer(Protocol):
    """The holder of the key gateways believe."""

    def sign(self, command: Command) -> bytes:
        """Return the message a gateway obeys."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A message for the broker; worth nothing after `not_after_utc`."""

    topic: str
    payload: bytes
    retain: bool
    not_after_utc: datetime


async def publish_due(
    *, tenant_id: int, cell: str, store: CommandStore, signer: Signer, now_utc: datetime
) -> tuple[Publication, ...]:
    """Commit what of a cell is due as published, and return it signed; end what is too late."""
    if not await store.is_due(tenant_id, cell, now_utc):
        return ()
    async with store.writing(tenant_id) as book:
        steps = [await _step(book, kept, now_utc) for kept in await book.due(cell, now_utc)]
    return tuple(_publication(kept, signer) for kept in steps if kept.state is State.PUBLISHED)


async def absorb_results(*, tenant_id: int, results: ResultLog, store: CommandStore) -> int:
    """Write the next RESULTS_MAX results into their commands; return how many there were.

    A result on a command of nobody, or of another gateway, changes nothing.
    """
    logged = results.results_after(
        tenant_id=tenant_id, entry=await store.cursor(tenant_id), limit=RESULTS_MAX
    )
    if not logged:
        return 0
    async with store.writing(tenant_id) as book:
        for one in logged:
            kept = await book.find(one.result.command_id)
            if kept is None or kept.command.address != one.address:
                log.warning(
                    "result_unasked",
                    gateway=one.address.gateway,
                    command_id=one.result.command_id.hex(),
                )
            else:
                await book.save(after_result(kept, one.result))
        await book.move_cursor(logged[-1].entry)
    return len(logged)


async def _step(book: CommandBook, kept: KeptCommand, now_utc: datetime) -> KeptCommand:
    """Take a due command one step on."""
    if kept.lapses_utc is not None and kept.lapses_utc <= now_utc:
        code = _LAPSED.get(kept.state, "not_accepted")
        after = kept.ended(State.EXPIRED, now_utc, code=code)
    elif kept.state is State.READY and isinstance(kept.command.operation, ConfirmSupply):
        arm = await book.find(kept.command.operation.armed_by)
        after = _after_arming(kept, arm, now_utc)
    else:
        after = kept.published(now_utc)
    await book.save(after)
    if after.state is not State.READY:
        await book.note(after, at_utc=now_utc, who=HEAD_END, act=after.state)
    return after


def _after_arming(kept: KeptCommand, arm: KeptCommand | None, now_utc: datetime) -> KeptCommand:
    if is_armed(arm, kept.command, now_utc):
        return kept.published(now_utc)
    if arm is not None and arm.state.is_open:
        return kept.waiting(now_utc)
    return kept.ended(State.CANCELLED, now_utc, code=NotArmedError.code)


def _publication(kept: KeptCommand, signer: Signer) -> Publication:
    address, is_kept_there = kept.command.address, isinstance(kept.command.operation, Configure)
    return Publication(
        topic=address.configuration if is_kept_there else address.command,
        payload=signer.sign(kept.command),
        retain=is_kept_there,
        not_after_utc=kept.command.not_after_utc,
    )
