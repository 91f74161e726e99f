"""The keys of meters that were changed since the configuration was written, on disk.

Law: a new key is here before the meter is told it, as one in doubt; so that neither a lost answer
nor a lost gateway loses the key to a meter. What is here outranks the configuration until that
says other keys than it said when they were changed.
"""

import hashlib
import json
import sqlite3
from dataclasses import dataclass, field, replace
from typing import Any, Self

from quince.model.meter_key import MeterKey
from quince.protocols.dlms.security.suite import Keys

# More unanswered changes of one master key than anybody tries before a person looks.
MASTERS_MAX = 8

CHANGED_KEYS_SCHEMA = """
create table if not exists changed_key (
  meter_id text primary key, instead_of blob not null, held text not null) without rowid;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldKeys:
    """The keys of the next session, and those it may have to be tried with instead.

    `other` has a key whose change was not answered; an association tells which it is. Which
    master key the meter has only shows at the next change of a key: `other_masters` are tried in
    turn.
    """

    keys: Keys
    other: Keys | None = field(default=None, repr=False)
    other_masters: tuple[bytes, ...] = field(default=(), repr=False)

    def doubting(self, key: MeterKey, new: bytes) -> Self:
        """Return them with a change that is about to be tried."""
        if key is MeterKey.MASTER:
            return replace(self, other_masters=(*self.other_masters, new)[-MASTERS_MAX:])
        return replace(self, other=_with(self.keys, key, new))

    def refused(self, key: MeterKey, new: bytes) -> Self:
        """Return them behind a change the meter did not take."""
        if key is not MeterKey.MASTER:
            return replace(self, other=None)
        others = tuple(master for master in self.other_masters if master != new)
        return replace(self, other_masters=others)

    def changed(self, key: MeterKey, new: bytes) -> Self:
        """Return them behind a change the meter took, which proved the master key too."""
        return replace(self, keys=_with(self.keys, key, new), other=None, other_masters=())

    def swapped(self) -> Self:
        """Return them with the other's turn, behind a session that failed.

        It may have failed because a key was wrong, or because a change of one was refused, which
        the wrong master key had wrapped.
        """
        if self.other is not None:
            return replace(self, keys=self.other, other=self.keys)
        if not self.other_masters or self.keys.master is None:
            return self
        following, *others = self.other_masters
        keys = replace(self.keys, master=following)
        return replace(self, keys=keys, other_masters=(*others, self.keys.master))


class ChangedKeys:
    """The table, in a file that its owner alone may read."""

    def __init__(self, db: sqlite3.Connection) -> None:
        """Take the connection; it waits for the disk."""
        self._db = db

    def recall(self, meter_id: str, configured: Keys) -> HeldKeys:
        """Return the keys to go on with: the configured ones, unless they were changed since."""
        row = self._db.execute(
            "select held from changed_key where meter_id = ? and instead_of = ?",
            (meter_id, _fingerprint(configured)),
        ).fetchone()
        return HeldKeys(keys=configured) if row is None else _read(json.loads(row[0]), configured)

    def remember(self, meter_id: str, configured: Keys, held: HeldKeys) -> None:
        """Write them down; they are on disk when this returns."""
        self._db.execute(
            "insert or replace into changed_key values (?, ?, ?)",
            (meter_id, _fingerprint(configured), json.dumps(_written(held))),
        )


def _with(keys: Keys, key: MeterKey, new: bytes) -> Keys:
    match key:
        case MeterKey.ENCRYPTION:
            return replace(keys, encryption=new)
        case MeterKey.AUTHENTICATION:
            return replace(keys, authentication=new)
        case MeterKey.MASTER:
            return replace(keys, master=new)


def _fingerprint(keys: Keys) -> bytes:
    octets = keys.encryption + keys.authentication + (keys.master or b"")
    return hashlib.sha256(octets).digest()


def _written(held: HeldKeys) -> dict[str, Any]:
    return {
        "keys": _shared(held.keys),
        "other": None if held.other is None else _shared(held.other),
        "other_masters": [master.hex() for master in held.other_masters],
    }


def _shared(keys: Keys) -> dict[str, str | None]:
    return {
        "encryption": keys.encryption.hex(),
        "authentication": keys.authentication.hex(),
        "master": None if keys.master is None else keys.master.hex(),
    }


def _read(document: dict[str, Any], configured: Keys) -> HeldKeys:
    def keys(said: dict[str, Any]) -> Keys:
        master = said["master"]
        return replace(
            configured,
            encryption=bytes.fromhex(said["encryption"]),
            authentication=bytes.fromhex(said["authentication"]),
            master=None if master is None else bytes.fromhex(master),
        )

    return HeldKeys(
        keys=keys(document["keys"]),
        other=None if document["other"] is None else keys(document["other"]),
        other_masters=tuple(bytes.fromhex(master) for master in document["other_masters"]),
    )
