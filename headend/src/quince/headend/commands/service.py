"""Asking for commands, approving them, calling them off.

Law: what is dangerous is cleared by another person than the one who asked, above a cap.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from quince.headend.commands.rules import (
    ALONE_WINDOW,
    LIVES,
    Danger,
    KeptCommand,
    Person,
    State,
    danger_of,
    is_armed,
    require_configuration,
)
from quince.headend.errors import (
    CommandStateError,
    NotArmedError,
    SecondPersonError,
    TooManyCommandsError,
    UnknownCommandError,
    UnknownGatewayError,
)
from quince.model.clock import Clock
from quince.model.meter_key import MeterKey
from quince.protocols.gateway.commands import (
    ID_OCTETS,
    ArmSupply,
    ChangeKey,
    Command,
    Configure,
    ConfirmSupply,
    Operation,
    configuration_purpose,
    key_purpose,
)
from quince.protocols.gateway.sealing import seal
from quince.protocols.gateway.topics import GatewayAddress

# Of one gateway. It keeps what it was told until it is over; its store has room for more than this.
OPEN_COMMANDS_MAX = 100


class CommandBook(Protocol):
    """One tenant's commands, within one transaction."""

    async def find(self, command_id: bytes) -> KeptCommand | None:
        """Return a command."""
        ...

    async def add(self, kept: KeptCommand) -> None:
        """Keep a new command."""
        ...

    async def save(self, kept: KeptCommand) -> None:
        """Keep a known command as it is now."""
        ...

    async def note(self, kept: KeptCommand, *, at_utc: datetime, who: str, act: str) -> None:
        """Append to the audit who did what."""
        ...

    async def count_open(self, address: GatewayAddress) -> int:
        """Return how many commands of a gateway are not over."""
        ...

    async def count_alone(self, danger: Danger, since: datetime) -> int:
        """Return how many such commands were cleared since then without a second person."""
        ...

    async def latest_revision(self, address: GatewayAddress) -> int:
        """Return the revision of the latest configuration asked for, 0 before any."""
        ...

    async def unheard_configurations(self, address: GatewayAddress) -> Sequence[KeptCommand]:
        """Return the configurations a gateway may still have to hear of."""
        ...

    async def due(self, cell: str, now_utc: datetime) -> Sequence[KeptCommand]:
        """Return the next commands of a cell to be published or ended."""
        ...

    async def move_cursor(self, entry: int) -> None:
        """Remember the last result taken."""
        ...


class CommandStore(Protocol):
    """Every tenant's commands."""

    async def cursor(self, tenant_id: int) -> int:
        """Return the last result already taken, 0 before any."""
        ...

    async def is_due(self, tenant_id: int, cell: str, now_utc: datetime) -> bool:
        """Whether `due` would return anything."""
        ...

    def writing(self, tenant_id: int) -> AbstractAsyncContextManager[CommandBook]:
        """Open one tenant's book; what is written is kept as a whole."""
        ...


class Owners(Protocol):
    """Whose gateways are."""

    def tenant_of(self, address: GatewayAddress) -> int | None:
        """Return whose gateway this is."""
        ...


class Places(Protocol):
    """Which gateway has a meter."""

    def gateway_of(self, *, tenant_id: int, meter_id: str) -> GatewayAddress | None:
        """Return the gateway a meter's intervals come from now."""
        ...


class GatewayKeys(Protocol):
    """The public keys of gateways' certificates."""

    async def public_key(
        self, tenant_id: int, address: GatewayAddress
    ) -> EllipticCurvePublicKey | None:
        """Return the key of the gateway's certificate in force."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Who wants something done, why, at which meter; by which gateway if it is not the usual."""

    tenant_id: int
    by: Person
    reason: str
    meter_id: str = ""
    address: GatewayAddress | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """What persons can do; `alone_max` is how often an hour a tenant's staff may, each alone."""

    store: CommandStore
    owners: Owners
    places: Places
    keys: GatewayKeys
    clock: Clock
    random_octets: Callable[[int], bytes]
    alone_max: Mapping[Danger, int]

    async def request(self, wish: Wish, operation: Operation) -> KeptCommand:
        """Keep a command; it is ready at once unless it needs a second person."""
        address = self._address(wish)
        async with self.store.writing(wish.tenant_id) as book:
            return await self._add(book, wish, self._command(wish, address, operation))

    async def confirm(self, wish: Wish, armed_by: bytes) -> KeptCommand:
        """Keep the confirmation of an arming that is done and fresh; NotArmedError if it is not."""
        async with self.store.writing(wish.tenant_id) as book:
            arm = await _known(book, armed_by)
            there = replace(wish, meter_id=arm.command.meter_id)
            operation = ConfirmSupply(armed_by=armed_by)
            command = self._command(there, arm.command.address, operation)
            _require_armed(arm, command, self.clock.now_utc())
            return await self._add(book, there, command, turns_on=_turns_on(arm))

    async def switch(self, wish: Wish, *, on: bool) -> KeptCommand:
        """Keep an arming and its confirmation, which follows by itself; return the latter.

        One approval clears both.
        """
        address = self._address(wish)
        arm = self._command(wish, address, ArmSupply(on=on))
        confirmation = self._command(wish, address, ConfirmSupply(armed_by=arm.command_id))
        async with self.store.writing(wish.tenant_id) as book:
            kept = await self._add(book, wish, confirmation, turns_on=on)
            await self._add(book, wish, arm, waits=kept.state is State.REQUESTED)
            return kept

    async def change_key(self, wish: Wish, key: MeterKey, secret: bytes) -> KeptCommand:
        """Keep a change of key, sealed for the gateway; the secret itself is kept nowhere."""
        address = self._address(wish)
        recipient = await self._recipient(wish.tenant_id, address)
        sealed = seal(secret, recipient, purpose=key_purpose(wish.meter_id, key))
        return await self.request(replace(wish, address=address), ChangeKey(key=key, sealed=sealed))

    async def configure(self, wish: Wish, text: str) -> KeptCommand:
        """Keep a gateway's next configuration, sealed; those it has not taken yet are called off.

        The newest alone is retained at the broker.
        """
        require_configuration(text)
        address = self._address(wish)
        recipient = await self._recipient(wish.tenant_id, address)
        async with self.store.writing(wish.tenant_id) as book:
            for one in await book.unheard_configurations(address):
                await _call_off(book, one, wish.by, self.clock.now_utc(), code="superseded")
            # Not counted from 1: gateways remember what a head-end restored from a backup forgot.
            seconds = int(self.clock.now_utc().timestamp())
            revision = max(seconds, 1 + await book.latest_revision(address))
            sealed = seal(text.encode(), recipient, purpose=configuration_purpose(revision))
            operation = Configure(revision=revision, sealed=sealed)
            return await self._add(book, wish, self._command(wish, address, operation))

    async def approve(self, *, tenant_id: int, command_id: bytes, by: Person) -> KeptCommand:
        """Clear a command another person asked for; its life begins now."""
        now_utc = self.clock.now_utc()
        async with self.store.writing(tenant_id) as book:
            kept = await _known(book, command_id)
            _require_approvable(kept, by, now_utc)
            operation = kept.command.operation
            if isinstance(operation, ConfirmSupply):
                arm = await _known(book, operation.armed_by)
                if arm.state is State.REQUESTED:  # both were asked for as one
                    await _clear(book, arm, by, now_utc)
                else:
                    _require_armed(arm, kept.command, now_utc)
            return await _clear(book, kept, by, now_utc)

    async def cancel(self, *, tenant_id: int, command_id: bytes, by: Person) -> KeptCommand:
        """Call off a command that was not published yet, and the arming it came with."""
        now_utc = self.clock.now_utc()
        async with self.store.writing(tenant_id) as book:
            kept = await _known(book, command_id)
            if kept.state not in {State.REQUESTED, State.READY}:
                raise CommandStateError(f"it is {kept.state}: too late to call it off")
            operation = kept.command.operation
            if isinstance(operation, ConfirmSupply):
                arm = await _known(book, operation.armed_by)
                if arm.state in {State.REQUESTED, State.READY}:
                    await _call_off(book, arm, by, now_utc)
            return await _call_off(book, kept, by, now_utc)

    def _address(self, wish: Wish) -> GatewayAddress:
        address = wish.address or self.places.gateway_of(
            tenant_id=wish.tenant_id, meter_id=wish.meter_id
        )
        if address is None:
            raise UnknownGatewayError(
                f"no gateway has brought live values of {wish.meter_id!r} yet: name one"
            )
        if self.owners.tenant_of(address) != wish.tenant_id:
            raise UnknownGatewayError(
                f"no gateway {address.gateway!r} is registered in cell {address.cell!r}"
            )
        return address

    def _command(self, wish: Wish, address: GatewayAddress, operation: Operation) -> Command:
        now_utc = self.clock.now_utc()
        return Command(
            command_id=self.random_octets(ID_OCTETS),
            address=address,
            meter_id=wish.meter_id,
            issued_utc=now_utc,
            not_after_utc=now_utc + LIVES[type(operation)],
            operation=operation,
        )

    async def _add(
        self,
        book: CommandBook,
        wish: Wish,
        command: Command,
        *,
        turns_on: bool = False,
        waits: bool = False,
    ) -> KeptCommand:
        """Keep a command, cleared if one person will do; `waits`: with another that will not."""
        if await book.count_open(command.address) >= OPEN_COMMANDS_MAX:
            raise TooManyCommandsError(f"{command.address.gateway} has {OPEN_COMMANDS_MAX} open")
        now_utc = self.clock.now_utc()
        danger = danger_of(command.operation, turns_on=turns_on)
        kept = KeptCommand(
            tenant_id=wish.tenant_id,
            command=command,
            state=State.REQUESTED,
            requested_by=wish.by,
            reason=wish.reason,
            requested_utc=now_utc,
            danger=danger,
        )
        if not waits and (
            danger is None
            or await book.count_alone(danger, now_utc - ALONE_WINDOW) < self.alone_max[danger]
        ):
            kept = kept.cleared(now_utc)
        await book.add(kept)
        await book.note(kept, at_utc=now_utc, who=wish.by.name, act="requested")
        return kept

    async def _recipient(self, tenant_id: int, address: GatewayAddress) -> EllipticCurvePublicKey:
        key = await self.keys.public_key(tenant_id, address)
        if key is None:
            raise UnknownGatewayError(
                f"{address.gateway!r} has no certificate in force to seal a secret for"
            )
        return key


async def _known(book: CommandBook, command_id: bytes) -> KeptCommand:
    kept = await book.find(command_id)
    if kept is None:
        raise UnknownCommandError(f"no command {command_id.hex()}")
    return kept


async def _clear(
    book: CommandBook, kept: KeptCommand, by: Person, now_utc: datetime
) -> KeptCommand:
    after = kept.cleared(now_utc, approved_by=by)
    await book.save(after)
    await book.note(after, at_utc=now_utc, who=by.name, act="approved")
    return after


async def _call_off(
    book: CommandBook,
    kept: KeptCommand,
    by: Person,
    now_utc: datetime,
    *,
    code: str = "called_off",
) -> KeptCommand:
    after = kept.ended(State.CANCELLED, now_utc, code=code)
    await book.save(after)
    await book.note(after, at_utc=now_utc, who=by.name, act=after.state)
    return after


def _require_approvable(kept: KeptCommand, by: Person, now_utc: datetime) -> None:
    if kept.state is not State.REQUESTED:
        raise CommandStateError(f"it is {kept.state}: nothing to approve")
    if isinstance(kept.command.operation, ArmSupply):
        raise CommandStateError("approve the confirmation it belongs to: that clears both")
    if kept.lapses_utc is not None and kept.lapses_utc <= now_utc:
        raise CommandStateError("it was asked for too long ago: ask again")
    if by.is_same_as(kept.requested_by):
        raise SecondPersonError(f"{kept.requested_by.name} asked for it: another must approve")


def _require_armed(arm: KeptCommand, confirmation: Command, now_utc: datetime) -> None:
    if not is_armed(arm, confirmation, now_utc):
        raise NotArmedError(f"the switch of {confirmation.meter_id} is not armed now: arm it")


def _turns_on(arm: KeptCommand) -> bool:
    return isinstance(arm.command.operation, ArmSupply) and arm.command.operation.on
