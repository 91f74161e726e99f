"""Commands from the broker's message to the last result: taken, kept, begun once, answered.

Law: a command runs at most once. It is on disk before it is accepted; what is never done twice is
on disk before it is done; each stage goes up by the transaction that writes it down.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import NoReturn

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from quince.edge.commands.configuration import Configuration
from quince.edge.commands.meter_work import MeterWork
from quince.edge.commands.outcome import Outcome, Turn, reason_of
from quince.edge.commands.rules import (
    Refusal,
    RefusedError,
    forget_after,
    is_of_old,
    require_timely,
)
from quince.edge.errors import BusyError, OutboxError, UnsupportedError
from quince.edge.outbox.command_table import CommandState, KeptCommand
from quince.edge.outbox.store import Outbox, Round
from quince.model.clock import Clock
from quince.model.errors import InvalidValueError, QuinceError, RemoteProtocolError
from quince.protocols.gateway.commands import (
    Command,
    Configure,
    Diagnose,
    ReadProfile,
    TransferFirmware,
    operation_name,
)
from quince.protocols.gateway.errors import SealError
from quince.protocols.gateway.messages import CommandResult, Content, Stage
from quince.protocols.gateway.signing import verify_command
from quince.protocols.gateway.topics import GatewayAddress, Lane

log = structlog.get_logger()

AT_ONCE_MAX = 8  # meters that are dealt with together; each has its bus, and its session memory
# Of what takes hours: a switch, or a reading somebody waits for, always finds a place beside it.
LONG_AT_ONCE_MAX = 4
_LONG = (ReadProfile, TransferFirmware)
PROGRESS_S_MIN = 30.0  # of an image of a thousand blocks nobody wants a thousand messages
KEEP_AGAIN_S = 10.0  # a disk that is full now may not be in a while
_NOTHING_DONE = (BusyError, InvalidValueError, RefusedError, SealError, UnsupportedError)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Queued:
    """A command that waits for its turn, and what the last life of the gateway left of it."""

    command: Command
    message: bytes
    was_begun: bool = False

    @property
    def is_long(self) -> bool:
        """Whether it may take hours."""
        return isinstance(self.command.operation, _LONG)


class Commands:
    """What this gateway was told to do."""

    def __init__(  # noqa: PLR0913 - the two ends of a command, and what performs it
        self,
        *,
        address: GatewayAddress,
        signers: Mapping[str, Ed25519PublicKey],
        outbox: Outbox,
        meter_work: MeterWork,
        configuration: Configuration,
        diagnose: Callable[[], bytes],
        stir: Callable[[], None],
        clock: Clock,
    ) -> None:
        """Believe `signers` alone; `diagnose` makes the bundle, `stir` wakes the uplink."""
        self._address = address
        self._signers = signers
        self._outbox = outbox
        self._meter_work = meter_work
        self._configuration = configuration
        self._diagnose = diagnose
        self._stir = stir
        self._clock = clock
        self._waiting: list[_Queued] = []  # COMMANDS_MAX of them at most
        self._busy: set[str] = set()
        self._long = 0  # of those that are carried out
        self._changed = asyncio.Event()

    # -- taking --------------------------------------------------------------------------

    def take(self, message: bytes) -> None:
        """Keep a signed command and accept it, or refuse it; nothing for one that is known.

        CodecError, SignatureError and RemoteProtocolError for what is not for us to answer;
        BusyError and OutboxError if it cannot be kept: whoever wants it done sends it again.
        """
        command = verify_command(message, self._signers)
        if command.address != self._address:
            raise RemoteProtocolError("a command for another gateway")
        if is_of_old(command, self._clock.now_utc()):
            raise RemoteProtocolError("a command that ran out long ago")
        name = operation_name(command.operation)
        if self._outbox.commands.state_of(command.command_id) is not None:
            log.info("command_known", command=command.command_id.hex(), operation=name)
            return
        log.info(
            "command_taken",
            command=command.command_id.hex(),
            operation=name,
            meter_id=command.meter_id,
        )
        if not self._has_room(message):
            self._turn_away(command)
            return
        self._accept(command, message)

    def _accept(self, command: Command, message: bytes) -> None:
        try:
            require_timely(command, self._clock.now_utc())
        except RefusedError as error:
            self._record(self._ended(command, self._refused(command, error)))
            return
        accepted = self._result(command, Stage.ACCEPTED)
        kept = self._kept(command, CommandState.WAITING, message)
        self._record(
            Round(messages=((Lane.RESULTS, Content(results=(accepted,))),), commands=(kept,))
        )
        self._waiting.append(_Queued(command=command, message=message))
        self._changed.set()

    def _turn_away(self, command: Command) -> None:
        """Refuse for want of room, for good: it is not taken when it comes again."""
        if not self._outbox.commands.may_turn_away():
            raise BusyError("too many commands, and too many turned away")
        refused = self._result(command, Stage.REFUSED, code=Refusal.TOO_MANY)
        kept = self._kept(command, CommandState.TURNED_AWAY, b"")
        self._record(
            Round(messages=((Lane.RESULTS, Content(results=(refused,))),), commands=(kept,))
        )

    def _has_room(self, message: bytes) -> bool:
        table = self._outbox.commands
        if not table.has_room(len(message)):
            self._outbox.forget_commands(self._clock.now_utc())
        return table.has_room(len(message))

    def resume(self) -> None:
        """Take up what an earlier life of the gateway left."""
        for kept in self._outbox.commands.unfinished():
            try:
                command = verify_command(kept.message, self._signers)
            except QuinceError as error:  # its signer is believed no more
                log.warning("command_dropped", command=kept.command_id.hex(), reason=str(error))
                ended = replace(kept, state=CommandState.ENDED, message=b"")
                with suppress(OutboxError):  # or it is dropped at the next start
                    self._record(Round(commands=(ended,)))
                continue
            was_begun = kept.state is CommandState.BEGUN
            self._waiting.append(
                _Queued(command=command, message=kept.message, was_begun=was_begun)
            )
        asked = [one.command.operation for one in self._waiting]
        self._meter_work.keep_images(one for one in asked if isinstance(one, TransferFirmware))

    # -- carrying out --------------------------------------------------------------------

    async def run(self) -> NoReturn:
        """Carry out what waits, one at a time for each meter, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._changed.clear()
                for queued in self._startable():
                    tasks.create_task(self._take_turn(queued))
                await self._changed.wait()

    def _startable(self) -> list[_Queued]:
        """Take from the queue what may go on now, in the order it came for each meter."""
        startable: list[_Queued] = []
        passed_over: set[str] = set()
        for queued in self._waiting:
            meter_id = queued.command.meter_id
            if meter_id in passed_over or not self._has_place_for(queued):
                passed_over.add(meter_id)
            else:
                self._busy.add(meter_id)
                self._long += queued.is_long
                startable.append(queued)
        self._waiting = [queued for queued in self._waiting if queued not in startable]
        return startable

    def _has_place_for(self, queued: _Queued) -> bool:
        if queued.command.meter_id in self._busy or len(self._busy) >= AT_ONCE_MAX:
            return False
        return not queued.is_long or self._long < LONG_AT_ONCE_MAX

    async def _take_turn(self, queued: _Queued) -> None:
        try:
            await self._end(queued.command, await self._carry_out(queued))
        finally:
            self._busy.discard(queued.command.meter_id)
            self._long -= queued.is_long
            self._changed.set()

    async def _carry_out(self, queued: _Queued) -> Round:
        """Return how it ended; whatever goes wrong is an answer."""
        command = queued.command
        if queued.was_begun:
            return self._ended(command, self._interrupted(command))
        try:
            require_timely(command, self._clock.now_utc())
            return self._done(command, await self._perform(queued))
        except RefusedError as error:
            return self._ended(command, self._refused(command, error))
        except QuinceError as error:
            stage = Stage.REFUSED if self._is_undone(command, error) else Stage.FAILED
            return self._ended(command, self._result(command, stage, error.code, reason_of(error)))
        except Exception as error:  # a command's outermost loop: none may end the others
            log.exception("command_broke", command=command.command_id.hex())
            failed = self._result(command, Stage.FAILED, "internal_error", type(error).__name__)
            return self._ended(command, failed)

    def _is_undone(self, command: Command, error: QuinceError) -> bool:
        """Say whether an error tells that nothing was done; behind the beginning none does."""
        begun = self._outbox.commands.state_of(command.command_id) is CommandState.BEGUN
        return isinstance(error, _NOTHING_DONE) and not begun

    async def _perform(self, queued: _Queued) -> Outcome:
        operation = queued.command.operation
        if isinstance(operation, Configure):
            return self._configuration.take(operation)
        if isinstance(operation, Diagnose):
            # Not in the loop's thread: a last gasp does not wait for an archive.
            return Outcome(body=await asyncio.to_thread(self._diagnose), media="application/zip")
        turn = Turn(
            command=queued.command,
            begin=partial(self._begin, queued),
            progress=_Throttled(partial(self._progress, queued.command)),
        )
        return await self._meter_work.perform(turn, operation)

    def _begin(self, queued: _Queued) -> None:
        require_timely(queued.command, self._clock.now_utc())
        kept = self._kept(queued.command, CommandState.BEGUN, queued.message)
        self._record(Round(commands=(kept,)))

    def _progress(self, command: Command, done: int, parts: int) -> None:
        result = replace(self._result(command, Stage.PROGRESS), parts_done=done, parts=parts)
        with suppress(OutboxError):  # the end will tell
            self._record(Round(messages=((Lane.RESULTS, Content(results=(result,))),)))

    async def _end(self, command: Command, end: Round) -> None:
        """Keep how it ended, however long the disk takes; without its readings if need be."""
        while True:
            try:
                self._record(end)
            except OutboxError as error:
                log.warning("command_end_unkept", reason=str(error))
                urgent = tuple(one for one in end.messages if one[0] is not Lane.LIVE)
                end = replace(end, messages=urgent)
                await asyncio.sleep(KEEP_AGAIN_S)
            else:
                log.info("command_ended", command=command.command_id.hex())
                return

    # -- answering -----------------------------------------------------------------------

    def _record(self, round_: Round) -> None:
        self._outbox.record(round_)
        self._stir()

    def _done(self, command: Command, outcome: Outcome) -> Round:
        done = replace(self._result(command, Stage.DONE), media=outcome.media, body=outcome.body)
        end = self._ended(command, done)
        if not outcome.readings:
            return end
        return replace(
            end, messages=(*end.messages, (Lane.LIVE, Content(readings=outcome.readings)))
        )

    def _ended(self, command: Command, result: CommandResult) -> Round:
        kept = self._kept(command, CommandState.ENDED, b"")
        return Round(messages=((Lane.RESULTS, Content(results=(result,))),), commands=(kept,))

    def _kept(self, command: Command, state: CommandState, message: bytes) -> KeptCommand:
        return KeptCommand(
            command_id=command.command_id,
            state=state,
            forget_utc=forget_after(command, self._clock.now_utc()),
            message=message,
        )

    def _refused(self, command: Command, error: RefusedError) -> CommandResult:
        return self._result(command, Stage.REFUSED, error.refusal, reason_of(error))

    def _interrupted(self, command: Command) -> CommandResult:
        detail = "the gateway stopped in the middle of it: look at the meter"
        return self._result(command, Stage.FAILED, Refusal.INTERRUPTED, detail)

    def _result(
        self, command: Command, stage: Stage, code: str = "", detail: str = ""
    ) -> CommandResult:
        return CommandResult(
            command_id=command.command_id,
            stage=stage,
            at_utc=self._clock.now_utc(),
            code=code,
            detail=detail,
        )


class _Throttled:
    """Tells of progress now and then, and never of less than was told."""

    def __init__(self, tell: Callable[[int, int], None]) -> None:
        self._tell = tell
        self._told_s = asyncio.get_running_loop().time()
        self._told = 0

    def __call__(self, done: int, parts: int) -> None:
        now_s = asyncio.get_running_loop().time()
        if done > self._told and now_s - self._told_s >= PROGRESS_S_MIN:
            self._told_s, self._told = now_s, done
            self._tell(done, parts)
