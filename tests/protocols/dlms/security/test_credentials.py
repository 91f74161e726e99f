from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from quince.model.errors import InvalidValueError
from quince.protocols.dlms.apdu.acse import Mechanism
from quince.protocols.dlms.security.counters import MemoryCounters
from quince.protocols.dlms.security.credentials import (
    Ciphering,
    Ecdsa,
    Gmac,
    Hashed,
    NoSecurity,
    Password,
    ciphering_of,
    mechanism_of,
    title_of,
    with_keys,
)
from quince.protocols.dlms.security.elliptic import KeyPairs, generate
from quince.protocols.dlms.security.envelopes import Form
from quince.protocols.dlms.security.suite import Keys, Suite

TITLE = b"CLI\x00\x00\x00\x00\x01"
KEYS = Keys(encryption=b"\x5a" * 16, authentication=b"\xa5" * 16)


def _gmac(**options: Any) -> Gmac:
    return Gmac(system_title=TITLE, keys=KEYS, counters=MemoryCounters(), **options)


def test_keys_and_passwords_are_never_shown() -> None:
    keys = replace(KEYS, broadcast=b"\x5a" * 16, master=b"\x5a" * 16)
    password = Password(secret=b"12345678", ciphering=_gmac())
    hashed = Hashed(mechanism=Mechanism.MD5, secret=b"12345678")
    shown = f"{keys!r} {_gmac()!r} {password!r} {hashed!r}"
    assert "ZZZZ" not in shown
    assert "\\xa5" not in shown
    assert "12345678" not in shown


@pytest.mark.parametrize("name", ["encryption", "authentication", "broadcast", "master"])
def test_a_key_of_another_length_is_refused_without_showing_it(name: str) -> None:
    keys: dict[str, Any] = {"encryption": bytes(16), "authentication": bytes(16)}
    with pytest.raises(InvalidValueError, match=name) as refused:
        Keys(**keys | {name: b"too short"})
    assert "too short" not in str(refused.value)


def test_suite_2_has_longer_keys() -> None:
    Keys(suite=Suite.AES_256_P384, encryption=bytes(32), authentication=bytes(32))
    with pytest.raises(InvalidValueError, match="32 octets in suite 2"):
        Keys(suite=Suite.AES_256_P384, encryption=bytes(16), authentication=bytes(32))


def test_a_system_title_has_eight_octets() -> None:
    with pytest.raises(InvalidValueError, match="system_title"):
        Gmac(system_title=b"short", keys=KEYS, counters=MemoryCounters())
    with pytest.raises(InvalidValueError, match="peer_title"):
        _gmac(peer_title=b"short")
    with pytest.raises(InvalidValueError, match="system_title"):
        Hashed(mechanism=Mechanism.SHA256, secret=b"secret")


@pytest.mark.parametrize("mechanism", [Mechanism.NONE, Mechanism.PASSWORD, Mechanism.GMAC])
def test_a_mechanism_that_hashes_no_secret_is_refused(mechanism: Mechanism) -> None:
    with pytest.raises(InvalidValueError, match="mechanism"):
        Hashed(mechanism=mechanism, secret=b"secret")


def test_a_title_for_the_proof_and_another_for_the_ciphering_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="system_title"):
        Hashed(mechanism=Mechanism.MD5, secret=b"", ciphering=_gmac())


@pytest.mark.parametrize(
    "options",
    [
        {"signs": True},
        {"form": Form.WRAPPED_KEY},
        {"form": Form.EPHEMERAL_KEY},
        {"form": Form.STATIC_KEYS},
        {"key_pairs": KeyPairs(signing=generate(Suite.AES_128_P256))},
    ],
)
def test_a_form_without_its_keys_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError, match="key"):
        _gmac(**options)


def test_ecdsa_without_both_signing_keys_is_refused(
    cipherings: Callable[..., tuple[Ciphering, Ciphering]],
) -> None:
    own, _ = cipherings(Suite.AES_128_P256, Ecdsa)
    with pytest.raises(InvalidValueError, match="signing"):
        replace(own, key_pairs=KeyPairs(signing=own.key_pairs.signing))


def test_an_ephemeral_key_that_cannot_be_signed_is_refused(
    cipherings: Callable[..., tuple[Ciphering, Ciphering]],
) -> None:
    own, _ = cipherings(Suite.AES_128_P256)
    unsigned = replace(own.key_pairs, signing=None)
    replace(own, key_pairs=unsigned, form=Form.STATIC_KEYS)
    with pytest.raises(InvalidValueError, match="signing"):
        replace(own, key_pairs=unsigned, form=Form.EPHEMERAL_KEY)


def test_each_authentication_says_its_mechanism_title_and_ciphering(
    cipherings: Callable[..., tuple[Ciphering, Ciphering]],
) -> None:
    gmac, (ecdsa, _) = _gmac(), cipherings(Suite.AES_128_P256, Ecdsa)
    hashed = Hashed(mechanism=Mechanism.SHA256, secret=b"", system_title=TITLE)
    everyone = (NoSecurity(), Password(secret=b"", ciphering=gmac), hashed, gmac, ecdsa)
    assert [mechanism_of(one) for one in everyone] == [0, 1, 6, 5, 7]  # type: ignore[arg-type] # the last is an Ecdsa
    assert [title_of(one) for one in everyone] == [b"", TITLE, TITLE, TITLE, TITLE]  # type: ignore[arg-type] # the last is an Ecdsa
    assert [ciphering_of(one) for one in everyone] == [None, gmac, None, gmac, ecdsa]  # type: ignore[arg-type] # the last is an Ecdsa


def test_other_keys_and_counters_are_taken_wherever_something_is_ciphered(
    cipherings: Callable[..., tuple[Ciphering, Ciphering]],
) -> None:
    (ecdsa, _), keys, counters = cipherings(Suite.AES_128_P256, Ecdsa), KEYS, MemoryCounters(7)
    hashed = Hashed(mechanism=Mechanism.MD5, secret=b"", system_title=TITLE, ciphering=_gmac())
    changed = replace(ecdsa.keys, encryption=bytes(16))
    assert with_keys(ecdsa, changed, counters) == replace(  # type: ignore[arg-type] # an Ecdsa
        ecdsa, keys=changed, counters=counters
    )
    for one in (_gmac(), Password(secret=b"", ciphering=_gmac()), hashed):
        own = ciphering_of(with_keys(one, keys, counters))
        assert own == replace(_gmac(), keys=keys, counters=counters)
    in_clear = Password(secret=b"12345678")
    assert with_keys(in_clear, keys, counters) == in_clear
