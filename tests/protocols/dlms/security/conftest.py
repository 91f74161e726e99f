"""Two sides of each suite: their keys, their key pairs, and their protections."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from quince.protocols.dlms.security.counters import MemoryCounters
from quince.protocols.dlms.security.credentials import Ciphering
from quince.protocols.dlms.security.elliptic import KeyPairs, generate
from quince.protocols.dlms.security.protection import Protection
from quince.protocols.dlms.security.suite import Keys, Suite

CLIENT, METER = b"CLI\x00\x00\x00\x00\x01", b"MTR\x00\x00\x00\x00\x01"


@pytest.fixture(scope="session")
def key_pairs() -> dict[Suite, tuple[KeyPairs, KeyPairs]]:
    """Return the client's and the meter's key pairs of each suite; none in suite 0."""
    found = {Suite.AES_128: (KeyPairs(), KeyPairs())}
    for suite in (Suite.AES_128_P256, Suite.AES_256_P384):
        signing, agreement, peer_signing, peer_agreement = (generate(suite) for _ in range(4))
        client = KeyPairs(
            signing=signing,
            agreement=agreement,
            peer_signing=peer_signing.public_key(),
            peer_agreement=peer_agreement.public_key(),
        )
        meter = KeyPairs(
            signing=peer_signing,
            agreement=peer_agreement,
            peer_signing=signing.public_key(),
            peer_agreement=agreement.public_key(),
        )
        found[suite] = client, meter
    return found


@pytest.fixture
def cipherings(
    key_pairs: dict[Suite, tuple[KeyPairs, KeyPairs]],
) -> Callable[..., tuple[Ciphering, Ciphering]]:
    """Return a maker of both sides; `options` are the client's: `cipherings(suite, form=…)`."""

    def make(
        suite: Suite = Suite.AES_128, kind: type[Ciphering] = Ciphering, **options: Any
    ) -> tuple[Ciphering, Ciphering]:
        octets = suite.key_octets
        keys = Keys(
            suite=suite,
            encryption=bytes(range(octets)),
            authentication=bytes(range(0xC0, 0xC0 + octets)),
            master=bytes(range(0x80, 0x80 + octets)),
        )
        client, meter = (
            kind(system_title=title, keys=keys, counters=MemoryCounters(), key_pairs=pair)
            for title, pair in zip((CLIENT, METER), key_pairs[suite], strict=True)
        )
        return replace(client, **options), meter

    return make


@pytest.fixture
def pair(
    cipherings: Callable[..., tuple[Ciphering, Ciphering]],
) -> Callable[..., tuple[Protection, Protection]]:
    """Return a maker of two protections that have met, as `cipherings` makes their sides."""

    def make(*args: Any, **options: Any) -> tuple[Protection, Protection]:
        mine, theirs = cipherings(*args, **options)
        client = Protection(mine, rng=Random(1))
        meter = Protection(theirs, rng=Random(2), answers=True)
        client.meet(METER)
        meter.meet(CLIENT)
        meter.dedicate(client.new_dedicated_key() or bytes(mine.keys.suite.key_octets))
        client.establish()
        return client, meter

    return make
