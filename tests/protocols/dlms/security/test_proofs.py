"""Every high-level proof, composed anew by hand, and what is not believed."""

import hashlib
from collections.abc import Callable
from random import Random

import pytest

from quince.model.errors import CodecError
from quince.protocols.dlms.apdu.acse import Mechanism
from quince.protocols.dlms.errors import AuthenticationError
from quince.protocols.dlms.security.credentials import Ciphering, Ecdsa, Gmac, Hashed, Hls
from quince.protocols.dlms.security.elliptic import verifies
from quince.protocols.dlms.security.proofs import Challenges, check_proof, new_challenge, prove
from quince.protocols.dlms.security.suite import Suite

CLIENT, METER = b"CLI\x00\x00\x00\x00\x01", b"MTR\x00\x00\x00\x00\x01"
C_TO_S, S_TO_C = b"K56iVagY", b"P6wRJ21F"
OURS = Challenges(own_title=CLIENT, peer_title=METER, own=C_TO_S, peer=S_TO_C)
THEIRS = Challenges(own_title=METER, peer_title=CLIENT, own=S_TO_C, peer=C_TO_S)
MECHANISMS = ["MD5", "SHA1", "SHA256", "GMAC", "ECDSA-1", "ECDSA-2"]
Sides = tuple[Hls, Hls]


@pytest.fixture
def sides(cipherings: Callable[..., tuple[Ciphering, Ciphering]]) -> Callable[[str], Sides]:
    """Return a maker of both sides of a mechanism."""

    def make(name: str) -> Sides:
        if name == "GMAC":
            return cipherings(Suite.AES_128, Gmac)  # type: ignore[return-value] # of that kind
        if name.startswith("ECDSA"):
            return cipherings(Suite(int(name[-1])), Ecdsa)  # type: ignore[return-value] # of that kind
        client, meter = (
            Hashed(mechanism=Mechanism[name], secret=b"s3cret", system_title=title)
            for title in (CLIENT, METER)
        )
        return client, meter

    return make


@pytest.mark.parametrize("name", MECHANISMS)
def test_each_side_believes_the_others_proof(sides: Callable[[str], Sides], name: str) -> None:
    client, meter = sides(name)
    check_proof(meter, THEIRS, prove(client, OURS))
    check_proof(client, OURS, prove(meter, THEIRS))


@pytest.mark.parametrize("name", MECHANISMS)
def test_a_proof_does_not_serve_the_one_who_asked_for_it(
    sides: Callable[[str], Sides], name: str
) -> None:
    client, _meter = sides(name)
    with pytest.raises(AuthenticationError):
        check_proof(client, OURS, prove(client, OURS))


@pytest.mark.parametrize("name", MECHANISMS)
def test_a_proof_over_another_challenge_is_refused(
    sides: Callable[[str], Sides], name: str
) -> None:
    client, meter = sides(name)
    other = Challenges(own_title=METER, peer_title=CLIENT, own=b"another one", peer=C_TO_S)
    with pytest.raises(AuthenticationError):
        check_proof(meter, other, prove(client, OURS))


@pytest.mark.parametrize("name", MECHANISMS)
@pytest.mark.parametrize("proof", [b"", b"\x10", bytes(16), bytes(17), bytes(64)])
def test_what_is_no_proof_is_refused(
    sides: Callable[[str], Sides], name: str, proof: bytes
) -> None:
    client, _meter = sides(name)
    with pytest.raises((AuthenticationError, CodecError)):
        check_proof(client, OURS, proof)


@pytest.mark.parametrize(
    ("name", "client", "meter"),
    [
        ("MD5", S_TO_C + b"s3cret", C_TO_S + b"s3cret"),
        ("SHA1", S_TO_C + b"s3cret", C_TO_S + b"s3cret"),
        (
            "SHA256",
            b"s3cret" + CLIENT + METER + S_TO_C + C_TO_S,
            b"s3cret" + METER + CLIENT + C_TO_S + S_TO_C,
        ),
    ],
)
def test_secrets_are_hashed_in_the_standards_order(
    sides: Callable[[str], Sides], name: str, client: bytes, meter: bytes
) -> None:
    own, other = sides(name)
    assert prove(own, OURS) == hashlib.new(name, client).digest()
    assert prove(other, THEIRS) == hashlib.new(name, meter).digest()


def test_a_signature_is_over_titles_and_challenges(
    cipherings: Callable[..., tuple[Ciphering, Ciphering]],
) -> None:
    client, meter = cipherings(Suite.AES_128_P256, Ecdsa)
    public = meter.key_pairs.peer_signing
    assert isinstance(client, Ecdsa)
    assert public is not None
    assert verifies(public, CLIENT + METER + S_TO_C + C_TO_S, prove(client, OURS))


def test_a_gmac_takes_a_counter_of_its_own(sides: Callable[[str], Sides]) -> None:
    client, _meter = sides("GMAC")
    assert prove(client, OURS)[:5] == bytes.fromhex("1000000001")
    assert prove(client, OURS)[:5] == bytes.fromhex("1000000002")


def test_a_gmac_of_another_suite_is_refused(sides: Callable[[str], Sides]) -> None:
    client, meter = sides("GMAC")
    proof = bytearray(prove(client, OURS))
    proof[0] = 0x11
    with pytest.raises(AuthenticationError):
        check_proof(meter, THEIRS, bytes(proof))


def test_a_reflected_challenge_is_refused() -> None:
    with pytest.raises(AuthenticationError, match="came back"):
        Challenges(own_title=CLIENT, peer_title=METER, own=C_TO_S, peer=C_TO_S)


@pytest.mark.parametrize("octets", [0, 7, 65])
def test_a_challenge_too_short_or_too_long_is_refused(octets: int) -> None:
    with pytest.raises(AuthenticationError, match=f"{octets} octets"):
        Challenges(own_title=CLIENT, peer_title=METER, own=C_TO_S, peer=bytes(octets))


def test_challenges_are_fresh_and_as_long_as_the_mechanism_wants(
    sides: Callable[[str], Sides],
) -> None:
    rng = Random(1)
    drawn = [new_challenge(sides(name)[0], rng) for name in MECHANISMS]
    assert [len(one) for one in drawn] == [16, 16, 16, 16, 32, 32]
    assert len(set(drawn)) == len(drawn)


def test_challenges_and_secrets_are_never_shown(sides: Callable[[str], Sides]) -> None:
    assert "P6wRJ21F" not in repr(OURS)
    assert "s3cret" not in repr(sides("MD5"))
