"""Every way to prove oneself, with every form of ciphering, client and meter joined in memory."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from quince.model.obis import Obis
from quince.protocols.dlms.apdu.acse import Mechanism
from quince.protocols.dlms.apdu.reference import Access, AccessResult, Ref
from quince.protocols.dlms.association.client import ClientAssociation
from quince.protocols.dlms.association.server import ServerAssociation
from quince.protocols.dlms.association.states import (
    AssociationEvent,
    NeedSend,
    Released,
    Reply,
    State,
)
from quince.protocols.dlms.encoding.axdr import Data, octet_string
from quince.protocols.dlms.errors import (
    AssociationRefusedError,
    AuthenticationError,
    ProtectionError,
)
from quince.protocols.dlms.security.counters import MemoryCounters
from quince.protocols.dlms.security.credentials import (
    Authentication,
    Ciphering,
    Ecdsa,
    Gmac,
    Hashed,
    NoSecurity,
    Password,
)
from quince.protocols.dlms.security.elliptic import KeyPairs, generate
from quince.protocols.dlms.security.envelopes import Form
from quince.protocols.dlms.security.suite import Keys, Suite

CLIENT, METER = b"CLI\x00\x00\x00\x00\x01", b"MTR\x00\x00\x00\x00\x01"
REGISTER = Ref(3, Obis(1, 0, 1, 8, 0), 2)
SECRET = b"a value nobody shall read on the line"
LONG = octet_string(bytes(3000))


class _Shelf:
    """One attribute, read and written."""

    def __init__(self) -> None:
        self.data = octet_string(SECRET)

    def get(self, ref: Ref, access: Access | None) -> Data | AccessResult:
        del ref, access
        return self.data

    def set(self, ref: Ref, data: Data) -> AccessResult:
        del ref
        self.data = data
        return AccessResult.SUCCESS

    def action(self, ref: Ref, data: Data | None) -> tuple[AccessResult, Data | None]:
        del ref
        return AccessResult.SUCCESS, data


class _Line:
    """A client and a meter; `octets` is all that went between them."""

    def __init__(self, mine: Authentication, theirs: Authentication, seed: int = 1) -> None:
        self.client = ClientAssociation(mine, rng=Random(seed))
        self.meter = ServerAssociation(_Shelf(), (theirs,), rng=Random(2))
        self.octets = b""

    def carry(self, apdu: bytes) -> list[AssociationEvent]:
        """Carry APDUs to and fro until the client has nothing more to send."""
        while True:
            answer = self.meter.receive(apdu)
            self.octets += apdu + answer
            events = self.client.receive(answer)
            match events:
                case [NeedSend(apdu=apdu)]:
                    continue
                case _:
                    return events


def _ciphering(
    kind: type[Ciphering], title: bytes, suite: Suite, form: Form, key_pairs: KeyPairs
) -> Ciphering:
    octets = suite.key_octets
    keys = Keys(
        suite=suite,
        encryption=bytes(range(octets)),
        authentication=bytes(range(0xC0, 0xC0 + octets)),
        master=bytes(range(0x80, 0x80 + octets)),
    )
    return kind(
        system_title=title, keys=keys, counters=MemoryCounters(), form=form, key_pairs=key_pairs
    )


@pytest.fixture(scope="module")
def key_pairs() -> dict[Suite, tuple[KeyPairs, KeyPairs]]:
    """Return the client's and the meter's key pairs of each suite."""
    found = {Suite.AES_128: (KeyPairs(), KeyPairs())}
    for suite in (Suite.AES_128_P256, Suite.AES_256_P384):
        ours, theirs = (
            (generate(suite), generate(suite)),
            (generate(suite), generate(suite)),
        )
        found[suite] = tuple(  # type: ignore[assignment] # two of them
            KeyPairs(
                signing=own[0],
                agreement=own[1],
                peer_signing=peer[0].public_key(),
                peer_agreement=peer[1].public_key(),
            )
            for own, peer in ((ours, theirs), (theirs, ours))
        )
    return found


Sides = Callable[..., tuple[Authentication, Authentication]]


@pytest.fixture
def sides(key_pairs: dict[Suite, tuple[KeyPairs, KeyPairs]]) -> Sides:
    """Return a maker of both sides by the mechanism's name, the suite and the form."""

    def one(name: str, title: bytes, ciphering: Ciphering | None) -> Authentication:
        if name == "none":
            return NoSecurity()
        if name == "password":
            return Password(secret=b"12345678", ciphering=ciphering)
        return Hashed(
            mechanism=Mechanism[name], secret=b"s3cret", system_title=title, ciphering=ciphering
        )

    def make(
        name: str, suite: Suite | None = None, form: Form = Form.SERVICE_SPECIFIC
    ) -> tuple[Authentication, Authentication]:
        if suite is None:
            return one(name, CLIENT, None), one(name, METER, None)
        kind = {"GMAC": Gmac, "ECDSA": Ecdsa}.get(name, Ciphering)
        client, meter = (
            _ciphering(kind, title, suite, form, pair)
            for title, pair in zip((CLIENT, METER), key_pairs[suite], strict=True)
        )
        if kind is Ciphering:
            return one(name, CLIENT, client), one(name, METER, meter)
        return client, meter  # type: ignore[return-value] # of that kind

    return make


Case = tuple[str, Suite | None, Form]
CLEAR: list[Case] = [
    (name, None, Form.SERVICE_SPECIFIC) for name in ("none", "password", "MD5", "SHA1")
]
CLEAR += [("SHA256", None, Form.SERVICE_SPECIFIC)]
SUITE_0: list[Case] = [
    (name, Suite.AES_128, form)
    for name in ("password", "MD5", "SHA256", "GMAC")
    for form in Form
    if form not in (Form.EPHEMERAL_KEY, Form.STATIC_KEYS)
]
CURVES: list[Case] = [
    (name, suite, form)
    for name in ("GMAC", "ECDSA")
    for suite in (Suite.AES_128_P256, Suite.AES_256_P384)
    for form in Form
]


@pytest.mark.parametrize(("name", "suite", "form"), CLEAR + SUITE_0 + CURVES)
def test_opening_reading_writing_and_leaving(
    sides: Sides, name: str, suite: Suite | None, form: Form
) -> None:
    line = _Line(*sides(name, suite, form))
    line.carry(line.client.open())
    assert line.client.state is line.meter.state is State.ASSOCIATED
    (reply,) = line.carry(line.client.get(REGISTER))
    assert isinstance(reply, Reply)
    assert reply.require() == octet_string(SECRET)
    assert (SECRET in line.octets) == (suite is None)
    line.carry(line.client.set(REGISTER, LONG))
    (long,) = line.carry(line.client.get(REGISTER))
    assert isinstance(long, Reply)
    assert long.require() == LONG
    assert line.carry(line.client.release()) == [Released()]


@pytest.mark.parametrize("name", ["password", "MD5", "SHA1", "SHA256"])
def test_another_secret_is_refused(sides: Sides, name: str) -> None:
    mine, theirs = sides(name)
    assert isinstance(mine, Password | Hashed)
    line = _Line(replace(mine, secret=b"another"), theirs)
    with pytest.raises(AuthenticationError):
        line.carry(line.client.open())
    assert line.meter.state is State.IDLE


@pytest.mark.parametrize("suite", Suite)
def test_other_keys_are_refused(sides: Sides, suite: Suite) -> None:
    mine, theirs = sides("GMAC", suite)
    assert isinstance(mine, Gmac)
    keys = mine.keys.encrypting_with(b"\xee" * suite.key_octets)
    line = _Line(replace(mine, keys=keys), theirs)
    with pytest.raises(AuthenticationError, match="AUTHENTICATION_FAILED"):
        line.carry(line.client.open())


def test_another_authentication_key_is_refused(sides: Sides) -> None:
    mine, theirs = sides("GMAC", Suite.AES_128)
    assert isinstance(mine, Gmac)
    keys = replace(mine.keys, authentication=b"\xee" * 16)
    line = _Line(replace(mine, keys=keys), theirs)
    with pytest.raises(AuthenticationError, match="AUTHENTICATION_FAILED"):
        line.carry(line.client.open())


def test_another_signing_key_is_refused(sides: Sides) -> None:
    mine, theirs = sides("ECDSA", Suite.AES_128_P256)
    assert isinstance(mine, Ecdsa)
    pairs = replace(mine.key_pairs, signing=generate(Suite.AES_128_P256))
    line = _Line(replace(mine, key_pairs=pairs), theirs)
    with pytest.raises(AuthenticationError, match="refused our proof"):
        line.carry(line.client.open())


def test_a_meter_with_another_signing_key_is_refused(sides: Sides) -> None:
    mine, theirs = sides("ECDSA", Suite.AES_256_P384)
    assert isinstance(theirs, Ecdsa)
    pairs = replace(theirs.key_pairs, signing=generate(Suite.AES_256_P384))
    line = _Line(mine, replace(theirs, key_pairs=pairs))
    with pytest.raises(AuthenticationError, match="does not hold"):
        line.carry(line.client.open())


def test_another_suite_is_refused(sides: Sides) -> None:
    mine, _ = sides("GMAC", Suite.AES_128_P256)
    _, theirs = sides("GMAC", Suite.AES_128)
    line = _Line(mine, theirs)
    with pytest.raises(AuthenticationError, match="AUTHENTICATION_FAILED"):
        line.carry(line.client.open())


def test_a_client_that_does_not_cipher_is_refused_where_the_meter_does(sides: Sides) -> None:
    mine, _ = sides("password")
    _, theirs = sides("password", Suite.AES_128)
    for line in (_Line(mine, theirs), _Line(theirs, mine)):
        with pytest.raises(AssociationRefusedError, match="diagnostic 2"):
            line.carry(line.client.open())


def test_a_meter_with_another_title_than_was_expected_is_refused(sides: Sides) -> None:
    mine, theirs = sides("GMAC", Suite.AES_128)
    assert isinstance(mine, Gmac)
    line = _Line(replace(mine, peer_title=b"OTHER\x00\x00\x01"), theirs)
    with pytest.raises(Exception, match="not 4f54484552"):
        line.carry(line.client.open())


def test_a_second_association_brings_another_dedicated_key(sides: Sides) -> None:
    mine, theirs = sides("GMAC", Suite.AES_128, Form.DEDICATED)
    first, second = _Line(mine, theirs), _Line(mine, theirs, seed=3)
    first.carry(first.client.open())
    taped = first.client.get(REGISTER)
    second.carry(second.client.open())
    answer = second.meter.receive(taped)
    assert answer[:3] == bytes.fromhex("d80205")


@pytest.mark.parametrize(
    "form", [Form.SERVICE_SPECIFIC, Form.GENERAL_GLO, Form.GENERAL_CIPHERING, Form.WRAPPED_KEY]
)
def test_an_answer_withheld_from_an_earlier_association_answers_nothing(
    sides: Sides, form: Form
) -> None:
    """Its counter was never heard, and its invoke id is the one of the request."""
    mine, theirs = sides("GMAC", Suite.AES_128, form)
    first = _Line(mine, theirs)
    first.carry(first.client.open())
    withheld = first.meter.receive(first.client.get(REGISTER))
    second = _Line(mine, theirs, seed=3)
    second.carry(second.client.open())
    second.client.get(REGISTER)
    with pytest.raises(ProtectionError):
        second.client.receive(withheld)


@pytest.mark.parametrize("form", Form)
def test_no_counter_seals_twice_in_either_direction(sides: Sides, form: Form) -> None:
    mine, theirs = sides("GMAC", Suite.AES_128_P256, form)
    assert isinstance(mine, Gmac)
    assert isinstance(theirs, Gmac)
    line = _Line(mine, theirs)
    line.carry(line.client.open())
    line.carry(line.client.get(REGISTER))
    # The initiate, the proof and the APDU that carries it; then the request, but under a
    # dedicated key, which counts anew.
    used = 3 if form.is_dedicated else 4
    assert mine.counters.reserve() == theirs.counters.reserve() == used + 1
