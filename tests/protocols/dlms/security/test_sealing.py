"""AES-GCM and key wrap against the published examples, and against what forgers try."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings, strategies as st

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.dlms.errors import ProtectionError
from quince.protocols.dlms.security.sealing import (
    AUTHENTICATED,
    AUTHENTICATED_ENCRYPTED,
    BROADCAST,
    ENCRYPTED,
    gmac,
    seal,
    unseal,
    unwrap_key,
    wrap_key,
)
from quince.protocols.dlms.security.suite import Keys, Suite

KEYS = Keys(
    encryption=bytes.fromhex("000102030405060708090a0b0c0d0e0f"),
    authentication=bytes.fromhex("d0d1d2d3d4d5d6d7d8d9dadbdcdddedf"),
)
LONG_KEYS = Keys(
    suite=Suite.AES_256_P384, encryption=bytes(range(32)), authentication=bytes(range(32, 64))
)
TITLE = bytes.fromhex("4d4d4d0000bc614e")
GET = bytes.fromhex("c0010000080000010000ff0200")
INITIATE = bytes.fromhex("01011000112233445566778899aabbccddeeff0000065f1f0400007e1f04b0")


def _green_book(public_data: Path, name: str) -> bytes:
    vectors = json.loads(
        (public_data / "protocols/dlms/greenbook_suite0_verified.json").read_text()
    )["vectors"]
    return bytes.fromhex({vector["name"]: vector["expected"] for vector in vectors}[name])


@pytest.mark.parametrize(
    ("name", "protection", "plain"),
    [
        ("auth+enc SC30 initiate", AUTHENTICATED_ENCRYPTED, INITIATE),
        ("auth only SC10 get-request", AUTHENTICATED, GET),
        ("enc only SC20 get-request", ENCRYPTED, GET),
        ("auth+enc SC30 get-request", AUTHENTICATED_ENCRYPTED, GET),
    ],
)
def test_the_green_book_seals_the_same(
    public_data: Path, name: str, protection: int, plain: bytes
) -> None:
    sealed = _green_book(public_data, name)
    counter = 0x01234567
    ours = seal(KEYS, protection=protection, system_title=TITLE, counter=counter, plain=plain)
    assert ours == sealed
    unsealed = unseal(KEYS, system_title=TITLE, sealed=sealed)
    assert (unsealed.control, unsealed.counter, unsealed.plain) == (protection, counter, plain)


@pytest.mark.parametrize(
    ("name", "title", "counter", "challenge"),
    [
        ("HLS5 f(StoC) client", "4d4d4d0000000001", 1, b"P6wRJ21F"),
        ("HLS5 f(CtoS) server", "4d4d4d0000bc614e", 0x01234567, b"K56iVagY"),
    ],
)
def test_the_green_book_proves_the_same(
    public_data: Path, name: str, title: str, counter: int, challenge: bytes
) -> None:
    proof = gmac(KEYS, system_title=bytes.fromhex(title), counter=counter, text=challenge)
    assert proof == b"\x10" + counter.to_bytes(4, "big") + _green_book(public_data, name)


def test_suite_2_is_aes_256_with_the_suite_in_the_control() -> None:
    sealed = seal(
        LONG_KEYS,
        protection=AUTHENTICATED_ENCRYPTED,
        system_title=TITLE,
        counter=7,
        plain=GET,
        heading=b"heading",
    )
    covered = b"\x32" + LONG_KEYS.authentication + b"heading"
    cipher = AESGCM(LONG_KEYS.encryption).encrypt(TITLE + b"\0\0\0\x07", GET, covered)
    assert sealed == b"\x32\0\0\0\x07" + cipher[:-4]  # 12 octets of the tag travel


@settings(max_examples=100)
@given(
    keys=st.sampled_from([KEYS, LONG_KEYS]),
    protection=st.sampled_from([AUTHENTICATED, ENCRYPTED, AUTHENTICATED_ENCRYPTED]),
    plain=st.binary(max_size=200),
    heading=st.binary(max_size=40),
    counter=st.integers(0, 2**32 - 1),
)
def test_what_is_sealed_is_unsealed(
    keys: Keys, protection: int, plain: bytes, heading: bytes, counter: int
) -> None:
    sealed = seal(
        keys,
        protection=protection,
        system_title=TITLE,
        counter=counter,
        plain=plain,
        heading=heading,
    )
    unsealed = unseal(keys, system_title=TITLE, sealed=sealed, heading=heading)
    assert (unsealed.counter, unsealed.plain) == (counter, plain)
    assert unsealed.covers(protection)


@pytest.mark.parametrize("protection", [AUTHENTICATED, AUTHENTICATED_ENCRYPTED])
@pytest.mark.parametrize("at", [1, 6, -1])
def test_a_changed_octet_does_not_verify(protection: int, at: int) -> None:
    sealed = bytearray(
        seal(KEYS, protection=protection, system_title=TITLE, counter=1, plain=b"hello")
    )
    sealed[at] ^= 1
    with pytest.raises(ProtectionError):
        unseal(KEYS, system_title=TITLE, sealed=bytes(sealed))


def test_another_heading_title_or_authentication_key_does_not_verify() -> None:
    sealed = seal(
        KEYS, protection=AUTHENTICATED_ENCRYPTED, system_title=TITLE, counter=1, plain=b"hello"
    )
    other = Keys(encryption=KEYS.encryption, authentication=bytes(16))
    with pytest.raises(ProtectionError):
        unseal(KEYS, system_title=TITLE, sealed=sealed, heading=b"\0")
    with pytest.raises(ProtectionError):
        unseal(KEYS, system_title=TITLE[::-1], sealed=sealed)
    with pytest.raises(ProtectionError):
        unseal(other, system_title=TITLE, sealed=sealed)


@pytest.mark.parametrize("sealed", ["", "30", "3000000001", "30000000010011"])
def test_a_protection_cut_short_is_refused(sealed: str) -> None:
    with pytest.raises(CodecError):
        unseal(KEYS, system_title=TITLE, sealed=bytes.fromhex(sealed))


@pytest.mark.parametrize(
    "control", [0x31, 0x32, 0x3F, 0x00, 0xB0], ids=["1", "2", "15", "none", "compressed"]
)
def test_another_suite_no_protection_and_compression_are_refused(control: int) -> None:
    with pytest.raises(ProtectionError):
        unseal(KEYS, system_title=TITLE, sealed=bytes((control, 0, 0, 0, 1)) + bytes(20))


def test_the_broadcast_key_seals_what_says_so() -> None:
    keys = Keys(encryption=bytes(16), authentication=bytes(16), broadcast=KEYS.encryption)
    protection = AUTHENTICATED_ENCRYPTED | BROADCAST
    sealed = seal(keys, protection=protection, system_title=TITLE, counter=1, plain=GET)
    assert unseal(keys, system_title=TITLE, sealed=sealed).plain == GET
    with pytest.raises(ProtectionError):
        unseal(KEYS, system_title=TITLE, sealed=sealed)


@pytest.mark.parametrize(
    ("master", "key", "wrapped"),
    [  # RFC 3394, 4.1 and 4.6
        (
            "000102030405060708090A0B0C0D0E0F",
            "00112233445566778899AABBCCDDEEFF",
            "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5",
        ),
        (
            "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
            "00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F",
            "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21",
        ),
    ],
)
def test_keys_are_wrapped_as_in_rfc_3394(master: str, key: str, wrapped: str) -> None:
    assert wrap_key(bytes.fromhex(master), bytes.fromhex(key)) == bytes.fromhex(wrapped)
    assert unwrap_key(bytes.fromhex(master), bytes.fromhex(wrapped)) == bytes.fromhex(key)


@pytest.mark.parametrize("wrapped", [b"", bytes(23), bytes(24), wrap_key(bytes(16), bytes(16))])
def test_a_key_under_another_master_key_does_not_unwrap(wrapped: bytes) -> None:
    with pytest.raises(ProtectionError):
        unwrap_key(bytes(range(16)), wrapped)


def test_a_key_of_no_length_at_all_is_not_wrapped() -> None:
    with pytest.raises(InvalidValueError) as refused:
        wrap_key(bytes(16), b"secret!")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("title", [b"", b"QNM", bytes(9)])
def test_what_nobodys_title_sealed_is_not_opened(title: bytes) -> None:
    with pytest.raises(ProtectionError, match="which is none"):
        unseal(KEYS, system_title=title, sealed=bytes.fromhex("3000000001") + bytes(20))
