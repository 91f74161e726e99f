import json
from pathlib import Path

import pytest

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.dlms.association.states import Password
from quince.protocols.dlms.errors import (
    AuthenticationError,
    CounterExhaustedError,
    ProtectionError,
    ReplayError,
)
from quince.protocols.dlms.security.protection import Gmac, Protection
from quince.protocols.dlms.security.suite import (
    AUTHENTICATED,
    AUTHENTICATED_ENCRYPTED,
    ENCRYPTED,
    Keys,
    MemoryCounters,
    gmac,
    seal,
    unseal,
)

KEYS = Keys(
    encryption=bytes.fromhex("000102030405060708090a0b0c0d0e0f"),
    authentication=bytes.fromhex("d0d1d2d3d4d5d6d7d8d9dadbdcdddedf"),
)
TITLE = bytes.fromhex("4d4d4d0000bc614e")
METER = b"MTR\x00\x00\x00\x00\x01"
GET = bytes.fromhex("c0010000080000010000ff0200")
INITIATE = bytes.fromhex("01011000112233445566778899aabbccddeeff0000065f1f0400007e1f04b0")


def _green_book(public_data: Path, name: str) -> bytes:
    vectors = json.loads(
        (public_data / "protocols/dlms/greenbook_suite0_verified.json").read_text()
    )["vectors"]
    return bytes.fromhex({vector["name"]: vector["expected"] for vector in vectors}[name])


@pytest.mark.parametrize(
    ("name", "control", "plain"),
    [
        ("auth+enc SC30 initiate", AUTHENTICATED_ENCRYPTED, INITIATE),
        ("auth only SC10 get-request", AUTHENTICATED, GET),
        ("enc only SC20 get-request", ENCRYPTED, GET),
        ("auth+enc SC30 get-request", AUTHENTICATED_ENCRYPTED, GET),
    ],
)
def test_the_green_book_seals_the_same(
    public_data: Path, name: str, control: int, plain: bytes
) -> None:
    sealed = _green_book(public_data, name)
    counter = 0x01234567
    assert seal(KEYS, control=control, system_title=TITLE, counter=counter, plain=plain) == sealed
    unsealed = unseal(KEYS, system_title=TITLE, sealed=sealed)
    assert (unsealed.control, unsealed.counter, unsealed.plain) == (control, counter, plain)


def test_the_green_book_proves_the_same(public_data: Path) -> None:
    client = gmac(
        KEYS,
        system_title=bytes.fromhex("4d4d4d0000000001"),
        counter=1,
        challenge=b"P6wRJ21F",
    )
    server = gmac(
        KEYS,
        system_title=bytes.fromhex("4d4d4d0000bc614e"),
        counter=0x01234567,
        challenge=b"K56iVagY",
    )
    assert client == _green_book(public_data, "HLS5 f(StoC) client")
    assert server == _green_book(public_data, "HLS5 f(CtoS) server")


@pytest.mark.parametrize("control", [AUTHENTICATED, AUTHENTICATED_ENCRYPTED])
def test_a_changed_octet_does_not_verify(control: int) -> None:
    sealed = bytearray(seal(KEYS, control=control, system_title=TITLE, counter=1, plain=b"hello"))
    sealed[7] ^= 1
    with pytest.raises(ProtectionError):
        unseal(KEYS, system_title=TITLE, sealed=bytes(sealed))


@pytest.mark.parametrize("sealed", ["", "3000000001", "30000000010011", "3100000001" + "00" * 12])
def test_a_cut_or_unknown_protection_is_refused(sealed: str) -> None:
    with pytest.raises(CodecError):
        unseal(KEYS, system_title=TITLE, sealed=bytes.fromhex(sealed))


def test_keys_and_passwords_are_never_shown() -> None:
    own = Gmac(system_title=TITLE, keys=KEYS, counters=MemoryCounters())
    shown = f"{KEYS!r} {own!r} {Password(secret=b'12345678')!r}"
    assert "\\x0f" not in shown
    assert "d0d1" not in shown
    assert "12345678" not in shown


def test_a_key_of_another_length_is_refused_without_showing_it() -> None:
    with pytest.raises(InvalidValueError) as refused:
        Keys(encryption=b"too short", authentication=bytes(16))
    assert "too short" not in str(refused.value)


def test_a_system_title_has_eight_octets() -> None:
    with pytest.raises(InvalidValueError):
        Gmac(system_title=b"short", keys=KEYS, counters=MemoryCounters())


def test_a_counter_is_handed_out_once() -> None:
    counters = MemoryCounters(first=7)
    assert [counters.reserve() for _ in range(3)] == [7, 8, 9]


def test_behind_the_last_counter_the_key_must_change() -> None:
    counters = MemoryCounters(first=2**32 - 1)
    counters.reserve()
    with pytest.raises(CounterExhaustedError):
        counters.reserve()


def _pair() -> tuple[Protection, Protection]:
    client = Protection(Gmac(system_title=TITLE, keys=KEYS, counters=MemoryCounters()))
    meter = Protection(Gmac(system_title=METER, keys=KEYS, counters=MemoryCounters()))
    client.meet(METER)
    meter.meet(TITLE)
    return client, meter


def test_a_repeated_apdu_is_refused_and_the_expected_counter_named() -> None:
    client, meter = _pair()
    sealed = client.seal(GET)
    assert meter.open(sealed) == GET
    with pytest.raises(ReplayError) as refused:
        meter.open(sealed)
    assert refused.value.expected_counter == 2


def test_a_forged_counter_does_not_lock_the_real_one_out() -> None:
    client, meter = _pair()
    forged = bytes.fromhex("30ffffffff") + bytes(20)
    with pytest.raises(ProtectionError):
        meter.open(forged)
    assert meter.open(client.seal(GET)) == GET


@pytest.mark.parametrize("control", [AUTHENTICATED, ENCRYPTED])
def test_half_a_protection_is_too_little(control: int) -> None:
    _client, meter = _pair()
    sealed = seal(KEYS, control=control, system_title=TITLE, counter=1, plain=GET)
    with pytest.raises(ProtectionError):
        meter.open(sealed)


def test_the_proof_and_the_apdu_that_carries_it_take_different_counters() -> None:
    client, _meter = _pair()
    proof = client.prove(b"challenge")
    sealed = client.seal(proof)
    assert (proof[1:5], sealed[1:5]) == (b"\x00\x00\x00\x01", b"\x00\x00\x00\x02")


def test_a_proof_over_another_challenge_is_refused() -> None:
    client, meter = _pair()
    meter.verify(client.prove(b"challenge"), b"challenge")
    with pytest.raises(AuthenticationError):
        meter.verify(client.prove(b"challenge"), b"another one")


@pytest.mark.parametrize("title", [b"", b"short", TITLE])
def test_the_other_side_has_a_system_title_of_its_own(title: bytes) -> None:
    protection = Protection(Gmac(system_title=TITLE, keys=KEYS, counters=MemoryCounters()))
    with pytest.raises(ProtectionError):
        protection.meet(title)
