"""The commands a gateway was given, in the outbox's own file.

Law: a command is known by its id from the moment it is taken until nobody can repeat it; its
state and the result message that tells of it are one transaction.
"""

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from quince.protocols.gateway.moments import from_ms, to_ms

# A thousand meters' read-now in one go; a head-end that wants more waits for results.
COMMANDS_MAX = 1_000
# Turned away for want of room, and known all the same; beyond them none is answered.
TURNED_AWAY_MAX = 1_000
# What may wait to be carried out: several configurations, or thousands of small commands. It is
# a quarter of what the outbox keeps free for events and results.
COMMAND_BYTES_WAITING_MAX = 1024 * 1024

COMMAND_SCHEMA = """
create table if not exists command (
  command_id blob primary key, state integer not null, forget_ms integer not null,
  message blob not null);
"""


class CommandState(IntEnum):
    """Where a command stands here; `BEGUN` is written before anything is done."""

    WAITING = 1
    BEGUN = 2
    ENDED = 3
    TURNED_AWAY = 4  # it takes no room from others


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCommand:
    """A command as it is kept: the very message that was signed, until the command has ended."""

    command_id: bytes
    state: CommandState
    forget_utc: datetime
    message: bytes = b""


class CommandTable:
    """The table; it writes within the outbox's transactions alone."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def keep(self, kept: KeptCommand) -> None:
        """Write a command's state; one that was there keeps its place."""
        self._db.execute(
            "insert into command values (?, ?, ?, ?) on conflict (command_id) do update "
            "set state = excluded.state, message = excluded.message",
            (kept.command_id, kept.state, to_ms(kept.forget_utc), kept.message),
        )

    def forget(self, before_utc: datetime) -> None:
        """Drop commands that ended and cannot come again."""
        self._db.execute(
            "delete from command where state in (?, ?) and forget_ms < ?",
            (CommandState.ENDED, CommandState.TURNED_AWAY, to_ms(before_utc)),
        )

    def state_of(self, command_id: bytes) -> CommandState | None:
        """Return where a command stands; None if it was never seen, or long ago."""
        row = self._db.execute(
            "select state from command where command_id = ?", (command_id,)
        ).fetchone()
        return None if row is None else CommandState(row[0])

    def unfinished(self) -> list[KeptCommand]:
        """Return all that has not ended, in the order it came."""
        rows = self._db.execute(
            "select command_id, state, forget_ms, message from command where state in (?, ?) "
            "order by rowid",
            (CommandState.WAITING, CommandState.BEGUN),
        )
        return [
            KeptCommand(
                command_id=command_id,
                state=CommandState(state),
                forget_utc=from_ms(forget_ms),
                message=message,
            )
            for command_id, state, forget_ms, message in rows
        ]

    def has_room(self, octets: int) -> bool:
        """Say whether one more command of this size may be kept."""
        count, waiting = self._db.execute(
            "select count(*), coalesce(sum(length(message)), 0) from command where state <> ?",
            (CommandState.TURNED_AWAY,),
        ).fetchone()
        return bool(count < COMMANDS_MAX and waiting + octets <= COMMAND_BYTES_WAITING_MAX)

    def may_turn_away(self) -> bool:
        """Say whether one more command may be known as turned away."""
        (count,) = self._db.execute(
            "select count(*) from command where state = ?", (CommandState.TURNED_AWAY,)
        ).fetchone()
        return bool(count < TURNED_AWAY_MAX)
