from collections.abc import Callable

import pytest

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.dlms.errors import ProtectionError
from quince.protocols.dlms.security.credentials import Ciphering
from quince.protocols.dlms.security.key_agreement import KeyAgreement
from quince.protocols.dlms.security.suite import Suite

CLIENT, METER = b"CLI\x00\x00\x00\x00\x01", b"MTR\x00\x00\x00\x00\x01"
Sides = Callable[..., tuple[Ciphering, Ciphering]]


def _agreed(one: KeyAgreement, offer: bytes) -> bytes:
    return one.agree(offer, client_title=CLIENT, server_title=METER)


@pytest.mark.parametrize("suite", [Suite.AES_128_P256, Suite.AES_256_P384])
@pytest.mark.parametrize("key_id", [0, 1, 2, 3])
def test_both_sides_come_to_the_same_new_key(cipherings: Sides, suite: Suite, key_id: int) -> None:
    client, meter = (KeyAgreement(own, key_id) for own in cipherings(suite))
    key = _agreed(client, meter.offer())
    assert key == _agreed(meter, client.offer())
    assert len(key) == suite.key_octets


def test_every_agreement_comes_to_another_key(cipherings: Sides) -> None:
    ours, theirs = cipherings(Suite.AES_128_P256)
    keys = {_agreed(KeyAgreement(ours, 0), KeyAgreement(theirs, 0).offer()) for _ in range(3)}
    assert len(keys) == 3


def test_an_offer_of_another_key_or_of_our_own_making_is_refused(cipherings: Sides) -> None:
    ours, theirs = cipherings(Suite.AES_128_P256)
    client = KeyAgreement(ours, 0)
    for offer in (KeyAgreement(theirs, 1).offer(), client.offer(), bytes(128), b""):
        with pytest.raises((ProtectionError, CodecError)):
            _agreed(client, offer)


def test_suite_0_and_unknown_keys_are_refused(cipherings: Sides) -> None:
    with pytest.raises(InvalidValueError):
        KeyAgreement(cipherings()[0], 0)
    with pytest.raises(InvalidValueError, match="key_id"):
        KeyAgreement(cipherings(Suite.AES_128_P256)[0], 4)
