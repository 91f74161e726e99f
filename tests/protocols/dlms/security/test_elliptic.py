"""ECDSA and ECDH against the Green Book's examples and NSA's, and against wrong keys.

The numbers of the Green Book's tables C.1 and C.2 (edition 8) are those that the tests of
EnergyICT's and Gurux's drivers quote; the P-384 signature is of NSA's "Suite B Implementer's Guide
to FIPS 186-3".
"""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings, strategies as st

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.dlms.errors import ProtectionError
from quince.protocols.dlms.security.elliptic import (
    KeyPairs,
    PrivateKey,
    PublicKey,
    agree,
    curve_of,
    decode_point,
    encode_point,
    generate,
    present,
    sign,
    verifies,
)
from quince.protocols.dlms.security.sealing import AUTHENTICATED_ENCRYPTED, seal
from quince.protocols.dlms.security.suite import Keys, Suite

P256, P384 = Suite.AES_128_P256, Suite.AES_256_P384
CLIENT, SERVER = bytes.fromhex("4D4D4D0000BC614E"), bytes.fromhex("4D4D4D0000000001")
EPHEMERAL_POINT = bytes.fromhex(
    "C323C2BD45711DE4688637D919F92E9DB8FB2DFC213A88D21C9DC8DCBA917D81"
    "70511DE1BADB360D50058F794B0960AE11FA28D392CFF907A62D13E3357B1DC0"
)
# How table C.2's ACCESS request begins, and what that becomes under the agreed key. (The tag that
# is printed behind it verifies under no reading of the fields that it covers, and is left out.)
ACCESS_HEAD = bytes.fromhex("D94000000000040100010000600100FF020100080000010000FF020200140000")
CIPHERED_HEAD = bytes.fromhex("F435069679270C5BF4425EE5777402A6C8D51C620EED52DBB188378B836E2857")


def _private(octets: str) -> PrivateKey:
    return ec.derive_private_key(int(octets, 16), ec.SECP256R1())


def _public(suite: Suite, octets: str) -> PublicKey:
    return decode_point(suite, bytes.fromhex(octets))


SIGNATURES = {
    "an ephemeral key behind its key id (C.1)": (
        P256,
        (
            "BAAFFDE06A8CB1C9DAE8D94023C601DBBB249254BA22EDD827E820BCA2BCC643"
            "62FBB83D86A82B87BB8B7161D2AAB5521911A946B97A284A90F7785CD9047D25"
        ),
        (
            "002914D60E10AB705F62ED6CC349D7CB99B9AB3F3978E59278C7AF595B3AF98794"
            "1372DAB6D5AF1FA867E134167E6F23DE664A6693E05F43414611058D1B48F894"
        ),
        (
            "06F0607702AA0E2435A183E2F6B1ECD19629712E389A213610C03F77B2590860"
            "EA840AF5C3FA1F2BCDF055D4744E9A01CE9A0E55026BCAA4EEBEB764CED64BB3"
        ),
    ),
    "an ephemeral key alone (C.2)": (
        P256,
        (
            "BAAFFDE06A8CB1C9DAE8D94023C601DBBB249254BA22EDD827E820BCA2BCC643"
            "62FBB83D86A82B87BB8B7161D2AAB5521911A946B97A284A90F7785CD9047D25"
        ),
        EPHEMERAL_POINT.hex(),
        (
            "B51BE089D0B682863B2217201E73A1A9031968A9B4121DCBC3281A69739AF874"
            "29F5B3AC5471E7B6A04A2C0F2F8A25FD772A317DF97FC5463FEAC248EB8AB8BE"
        ),
    ),
    "48 octets (NSA)": (
        P384,
        (
            "1fbac8eebd0cbf35640b39efe0808dd774debff20a2a329e91713baf7d7f3c3e"
            "81546d883730bee7e48678f857b02ca0eb213103bd68ce343365a8a4c3d4555f"
            "a385f5330203bdd76ffad1f3affb95751c132007e1b240353cb0a4cf1693bdf9"
        ),
        (
            "54686973206973206f6e6c7920612074657374206d6573736167652e20497420"
            "6973203438206279746573206c6f6e67"
        ),
        (
            "a0c27ec893092dea1e1bd2ccfed3cf945c8134ed0c9f81311a0f4a05942db8db"
            "ed8dd59f267471d5462aa14fe72de85620ab3f45b74f10b6e11f96a2c8eb694d"
            "206b9dda86d3c7e331c26b22c987b7537726577667adadf168ebbe803794a402"
        ),
    ),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_published_signatures_verify_and_changed_ones_do_not(name: str) -> None:
    suite, public, text, signature = SIGNATURES[name]
    key, signed = _public(suite, public), bytes.fromhex(text)
    assert verifies(key, signed, bytes.fromhex(signature))
    changed = signature[:-2] + f"{int(signature[-2:], 16) ^ 1:02x}"
    assert not verifies(key, signed, bytes.fromhex(changed))
    assert not verifies(key, signed + b"\0", bytes.fromhex(signature))
    assert not verifies(key, signed, bytes.fromhex(signature[:-2]))


def test_the_green_book_agrees_on_the_same_key_in_one_pass() -> None:
    server = _public(
        P256,
        "A653565B0E06070BAE9FBE140A5D2156812AEE2DD525053E3EFC850BF13BFDFF"
        "CB240BC7B77BFF5883344E7275908D2287BEFA3725017295A096989D2338290B",
    )
    ephemeral = _private("47DAB03842E5B6E74828EF4F449B378D7DD1A5DAE1FFCA5AE0B0BE0AD18EC57E")
    static = _private("AAD3FD0732E991CF52A74C66C1F2827DDC53522A2E0A169D7C4FFCC0FB5D6A4D")
    ours = agree(P256, ephemeral, server, originator=CLIENT, recipient=SERVER)
    theirs = agree(P256, static, ephemeral.public_key(), originator=CLIENT, recipient=SERVER)
    assert ours == theirs == bytes.fromhex("59A71FD81C929A86A99438DA17A66C05")
    assert encode_point(ephemeral.public_key()) == EPHEMERAL_POINT


def test_the_green_book_ciphers_the_same_under_the_agreed_key() -> None:
    keys = Keys(
        suite=P256,
        encryption=bytes.fromhex("59A71FD81C929A86A99438DA17A66C05"),
        authentication=bytes(16),
    )
    sealed = seal(
        keys, protection=AUTHENTICATED_ENCRYPTED, system_title=CLIENT, counter=0, plain=ACCESS_HEAD
    )
    assert sealed[5:-12] == CIPHERED_HEAD


@pytest.mark.parametrize(
    ("suite", "digest", "algorithm", "wraps"),
    [
        (P256, "sha256", 0, False),
        (P384, "sha384", 1, False),
        (P256, "sha256", 2, True),
        (P384, "sha384", 3, True),
    ],
)
def test_the_key_derivation_is_one_hash_over_named_parties(
    suite: Suite, digest: str, algorithm: int, *, wraps: bool
) -> None:
    own, peer = generate(suite), generate(suite)
    secret = own.exchange(ec.ECDH(), peer.public_key())
    text = b"\0\0\0\x01" + secret + bytes.fromhex("608574050803") + bytes((algorithm,))
    expected = hashlib.new(digest, text + b"UV").digest()[: suite.key_octets]
    key = agree(suite, own, peer.public_key(), originator=b"U", recipient=b"V", wraps=wraps)
    assert key == expected


@settings(max_examples=20)
@given(st.sampled_from([P256, P384]), st.binary(max_size=100))
def test_what_is_signed_verifies_at_its_fixed_length(suite: Suite, text: bytes) -> None:
    key = generate(suite)
    signature = sign(key, text)
    assert len(signature) == {P256: 64, P384: 96}[suite]
    assert verifies(key.public_key(), text, signature)
    assert not verifies(generate(suite).public_key(), text, signature)


def test_points_of_both_curves_travel_as_two_coordinates() -> None:
    for suite, octets in ((P256, 64), (P384, 96)):
        point = generate(suite).public_key()
        assert len(encode_point(point)) == octets
        assert decode_point(suite, encode_point(point)) == point


@settings(max_examples=50)
@given(st.binary(max_size=100))
def test_octets_that_are_no_point_are_refused(octets: bytes) -> None:
    with pytest.raises(CodecError):
        decode_point(P256, octets)


def test_a_point_of_the_other_curve_is_refused() -> None:
    with pytest.raises(CodecError):
        decode_point(P256, encode_point(generate(P384).public_key()))


def test_suite_0_has_no_curve() -> None:
    with pytest.raises(InvalidValueError):
        curve_of(Suite.AES_128)


def test_a_key_on_another_curve_than_the_suites_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="secp384r1"):
        KeyPairs(signing=generate(P384)).require(P256)


def test_private_keys_are_never_shown() -> None:
    assert "signing" not in repr(KeyPairs(signing=generate(P256))).replace("peer_signing", "")


def test_a_key_that_is_not_known_protects_nothing() -> None:
    with pytest.raises(ProtectionError, match="no signing key"):
        present(None, "signing")
