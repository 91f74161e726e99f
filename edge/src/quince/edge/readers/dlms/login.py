"""Who a session with a DLMS meter says we are: with a secret alone, or with keys that count."""

from dataclasses import replace
from typing import Protocol

import structlog

from quince.edge.readers.dlms.changed_keys import HeldKeys
from quince.edge.readers.dlms.control import KeyRing
from quince.edge.readers.dlms.counters import CounterStore, key_id
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

    A key that is changed holds from the next session on: behind a restart too, and in whichever
    process the session is.
    """

    def __init__(
        self,
        authentication: Authentication,
        ciphering: Ciphering,
        counters: CounterStore,
        meter_id: str,
    ) -> None:
        self._authentication = authentication
        self._ciphering = ciphering  # as it is configured
        self._counters = counters
        self._meter_id = meter_id
        self._held = self._recall()

    @property
    def key_ring(self) -> KeyRing:
        """This: it keeps them."""
        return self

    @property
    def keys(self) -> Keys:
        """The keys of the next session."""
        return self._held.keys

    def begin(self) -> Authentication:
        """Return the keys with a fresh block of counters."""
        self._held = self._recall()
        return with_keys(self._authentication, self.keys, self._counters.of(self._key_id))

    def heed(self, failure: QuinceError) -> None:
        """Go on from the counter the meter expects, and try the other key if one is in doubt.

        Our counters were lost, or another gateway used them.
        """
        expected = failure.expected_counter if isinstance(failure, ServiceRefusedError) else None
        if expected is not None and self._counters.catch_up(self._key_id, expected):
            log.warning("invocation_counter_caught_up", expected=expected)
            return
        swapped = self._held.swapped()
        if swapped != self._held:
            self._hold(swapped)
            log.warning("other_key_tried_next", meter_id=self._meter_id)

    def settle(self) -> None:
        """Forget the key that was in doubt, or that it was."""
        if self._held.other is not None:
            self._hold(replace(self._held, other=None))

    @property
    def master(self) -> bytes | None:
        """The key that wraps others; None if it is not known here."""
        return self.keys.master

    def doubt(self, key: MeterKey, new: bytes) -> None:
        """Try `new` too when the old key fails: whether the meter takes it is not known."""
        self._hold(self._held.doubting(key, new))

    def refuse(self, key: MeterKey, new: bytes) -> None:
        """Go on with the old key: the meter did not take `new`."""
        self._hold(self._held.refused(key, new))

    def replace(self, key: MeterKey, new: bytes) -> None:
        """Use `new` from the next session on."""
        self._hold(self._held.changed(key, new))

    def _recall(self) -> HeldKeys:
        return self._counters.changed_keys.recall(self._meter_id, self._ciphering.keys)

    def _hold(self, held: HeldKeys) -> None:
        self._counters.changed_keys.remember(self._meter_id, self._ciphering.keys, held)
        self._held = held

    @property
    def _key_id(self) -> bytes:
        return key_id(self._ciphering.system_title, self.keys.encryption)


def login(authentication: Authentication, counters: CounterStore, *, meter_id: str) -> Login:
    """Return how sessions with a meter begin; what `authentication` counts with is not used."""
    ciphering = ciphering_of(authentication)
    if ciphering is None:
        return InClear(authentication)
    return Ciphered(authentication, ciphering, counters, meter_id)
