"""Who a session with a DLMS meter says we are: with a secret alone, or with keys that count."""

from dataclasses import replace
from typing import Protocol

import structlog

from quince.edge.readers.dlms.control import KeyRing
from quince.edge.readers.dlms.counters import CounterStore, key_id_of
from quince.model.errors import QuinceError
from quince.model.meter_key import MeterKey
from quince.protocols.dlms.errors import ServiceRefusedError
from quince.protocols.dlms.security.credentials import (
    Authentication,
    Ciphering,
    ciphering_of,
    with_keys,
)
from quince.protocols.dlms.security.suite import Keys

log = structlog.get_logger()


class Login(Protocol):
    """How sessions with one meter begin."""

    @property
    def key_ring(self) -> KeyRing | None:
        """Where the keys are that can be changed; None if there are none."""
        ...

    def begin(self) -> Authentication:
        """Return what one session proves us with."""
        ...

    def heed(self, failure: QuinceError) -> None:
        """Take what a session that failed taught."""
        ...

    def settle(self) -> None:
        """Take that an association stands: what proved us is what the meter knows."""
        ...


class InClear:
    """Nothing is ciphered: the same every time."""

    key_ring = None

    def __init__(self, authentication: Authentication) -> None:
        self._authentication = authentication

    def begin(self) -> Authentication:
        """Return it."""
        return self._authentication

    def heed(self, failure: QuinceError) -> None:
        """Learn nothing: a secret does not count."""

    def settle(self) -> None:
        """Nothing was in doubt."""


class Ciphered:
    """Keys, and counters of its own for each session.

    A key that is changed holds from the next session on, and until the process ends: what the
    configuration says is for the operator to change.
    """

    def __init__(
        self, authentication: Authentication, ciphering: Ciphering, counters: CounterStore
    ) -> None:
        self._authentication = authentication
        self._ciphering = ciphering
        self._counters = counters
        # With a key whose change was not answered.
        self._doubtful: Ciphering | None = None

    @property
    def key_ring(self) -> KeyRing:
        """This: it keeps them."""
        return self

    @property
    def keys(self) -> Keys:
        """The keys of the next session."""
        return self._ciphering.keys

    def begin(self) -> Authentication:
        """Return the keys with a fresh block of counters."""
        counters = self._counters.of(key_id_of(self._ciphering))
        return with_keys(self._authentication, self.keys, counters)

    def heed(self, failure: QuinceError) -> None:
        """Go on from the counter the meter expects, and try the other key if one is in doubt.

        Our counters were lost, or another gateway used them.
        """
        expected = failure.expected_counter if isinstance(failure, ServiceRefusedError) else None
        if expected is not None and self._counters.catch_up(key_id_of(self._ciphering), expected):
            log.warning("invocation_counter_caught_up", expected=expected)
        elif self._doubtful is not None:
            self._ciphering, self._doubtful = self._doubtful, self._ciphering
            log.warning("other_key_tried_next")

    def settle(self) -> None:
        """Forget the key that was in doubt, or that it was."""
        self._doubtful = None

    @property
    def master(self) -> bytes | None:
        """The key that wraps others; None if it is not known here."""
        return self.keys.master

    def replace(self, key: MeterKey, new: bytes) -> None:
        """Use `new` from the next session on."""
        self._ciphering = self._with(key, new)

    def doubt(self, key: MeterKey, new: bytes) -> None:
        """Try `new` when the old key fails, and the old one again when that fails."""
        self._doubtful = self._with(key, new)

    def _with(self, key: MeterKey, new: bytes) -> Ciphering:
        keys = self.keys
        match key:
            case MeterKey.ENCRYPTION:
                keys = replace(keys, encryption=new)
            case MeterKey.AUTHENTICATION:
                keys = replace(keys, authentication=new)
            case MeterKey.MASTER:
                keys = replace(keys, master=new)
        return replace(self._ciphering, keys=keys)


def login(authentication: Authentication, counters: CounterStore) -> Login:
    """Return how sessions begin; what `authentication` counts with itself is not used."""
    ciphering = ciphering_of(authentication)
    if ciphering is None:
        return InClear(authentication)
    return Ciphered(authentication, ciphering, counters)
