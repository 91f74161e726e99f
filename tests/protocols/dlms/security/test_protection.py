"""Every form both ways, and everything that must not be believed."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from quince.model.errors import CodecError
from quince.protocols.dlms.errors import ProtectionError, ReplayError
from quince.protocols.dlms.security.credentials import Ciphering
from quince.protocols.dlms.security.elliptic import KeyPairs, generate
from quince.protocols.dlms.security.envelopes import (
    Envelope,
    Form,
    GeneralCiphering,
    GeneralSigning,
    Heading,
    KeyInfo,
    decode_envelope,
)
from quince.protocols.dlms.security.protection import Clear, Protection
from quince.protocols.dlms.security.sealing import (
    AUTHENTICATED,
    AUTHENTICATED_ENCRYPTED,
    BROADCAST,
    ENCRYPTED,
    seal,
    unwrap_key,
    wrap_key,
)
from quince.protocols.dlms.security.suite import Keys, Suite

CLIENT, METER = b"CLI\x00\x00\x00\x00\x01", b"MTR\x00\x00\x00\x00\x01"
GET = bytes.fromhex("c001c100080000010000ff0200")
DATA = bytes.fromhex("c401c10009020102")
ACCESS = bytes.fromhex("d940000000000000")
Pair = Callable[..., tuple[Protection, Protection]]
Sides = Callable[..., tuple[Ciphering, Ciphering]]
# All that a suite can do: key agreement and signatures need a curve.
WITHOUT_CURVE = [
    (suite, form, False)
    for suite in Suite
    for form in Form
    if form not in (Form.EPHEMERAL_KEY, Form.STATIC_KEYS)
]
WITH_CURVE = [(suite, form, True) for suite in (Suite(1), Suite(2)) for form in Form]
AGREED = [
    (suite, form, False)
    for suite in (Suite(1), Suite(2))
    for form in (Form.EPHEMERAL_KEY, Form.STATIC_KEYS)
]
EVERYTHING = WITHOUT_CURVE + AGREED + WITH_CURVE


@pytest.mark.parametrize(("suite", "form", "signs"), EVERYTHING)
def test_every_form_carries_a_request_and_its_answer(
    pair: Pair, suite: Suite, form: Form, *, signs: bool
) -> None:
    client, meter = pair(suite, form=form, signs=signs)
    for plain in (GET, ACCESS, bytes(1) * 300):
        assert meter.open_apdu(client.seal_apdu(plain)) == plain
        assert client.open_apdu(meter.seal_apdu(DATA)) == DATA


@pytest.mark.parametrize(("suite", "form", "signs"), EVERYTHING)
def test_the_overhead_is_as_much_as_is_ever_added(
    pair: Pair, suite: Suite, form: Form, *, signs: bool
) -> None:
    client, meter = pair(suite, form=form, signs=signs)
    for octets in (1, 200, 65_000):
        sealed = client.seal_apdu(b"\xd9" * octets)
        assert len(sealed) <= octets + client.overhead_octets <= len(sealed) + 40
        meter.open_apdu(sealed)
        assert len(meter.seal_apdu(b"\xd9" * octets)) <= octets + meter.overhead_octets


@pytest.mark.parametrize("form", Form)
def test_an_answer_has_the_form_of_its_request(pair: Pair, form: Form) -> None:
    client, meter = pair(Suite.AES_128_P256, form=form)
    request = decode_envelope(client.seal_apdu(GET))
    meter.open_apdu(client.seal_apdu(GET))
    answer = decode_envelope(meter.seal_apdu(DATA))
    forms = [
        one.key_info.form if isinstance(one, GeneralCiphering) else one and one.form
        for one in (request, answer)
    ]
    assert forms == [form, form]


def test_an_apdu_without_a_tag_of_its_own_goes_in_the_general_form(pair: Pair) -> None:
    client, _meter = pair()
    assert client.seal_apdu(GET)[0] == 0xC8
    assert client.seal_apdu(ACCESS)[:2] == b"\xdb\x08"
    client, _meter = pair(form=Form.DEDICATED)
    assert client.seal_apdu(GET)[0] == 0xD0
    assert client.seal_apdu(ACCESS)[:2] == b"\xdc\x08"


@pytest.mark.parametrize(("suite", "form", "signs"), EVERYTHING)
def test_a_repeated_apdu_is_refused(pair: Pair, suite: Suite, form: Form, *, signs: bool) -> None:
    client, meter = pair(suite, form=form, signs=signs)
    request = client.seal_apdu(GET)
    meter.open_apdu(request)
    with pytest.raises(ReplayError):
        meter.open_apdu(request)
    answer = meter.seal_apdu(DATA)
    client.open_apdu(answer)
    with pytest.raises(ProtectionError):
        client.open_apdu(answer)


def test_a_replay_names_the_counter_expected_next(pair: Pair) -> None:
    client, meter = pair()
    sealed = client.seal_apdu(GET)
    meter.open_apdu(sealed)
    with pytest.raises(ReplayError) as refused:
        meter.open_apdu(sealed)
    assert refused.value.expected_counter == 2


@pytest.mark.parametrize(("suite", "form", "signs"), EVERYTHING)
def test_a_changed_or_cut_apdu_is_refused(
    pair: Pair, suite: Suite, form: Form, *, signs: bool
) -> None:
    client, meter = pair(suite, form=form, signs=signs)
    sealed = client.seal_apdu(GET)
    for at in range(0, len(sealed), 7):
        changed = sealed[:at] + bytes((sealed[at] ^ 0x55,)) + sealed[at + 1 :]
        with pytest.raises((ProtectionError, CodecError)):
            meter.open_apdu(changed)
        with pytest.raises((ProtectionError, CodecError)):
            meter.open_apdu(sealed[:at])
    assert meter.open_apdu(sealed) == GET


@settings(
    max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    door=st.sampled_from([b"", b"\xc8", b"\xd0", b"\xdb\x08MTR\0\0\0\0\1", b"\xdd", b"\xdf"]),
    octets=st.binary(max_size=80),
)
def test_hostile_octets_are_refused(pair: Pair, door: bytes, octets: bytes) -> None:
    client, meter = pair(Suite.AES_128_P256)
    for side in (client, meter):
        with pytest.raises((ProtectionError, CodecError)):
            side.open_apdu(door + octets)


@pytest.mark.parametrize("protection", [AUTHENTICATED, ENCRYPTED])
def test_half_a_protection_is_too_little(pair: Pair, cipherings: Sides, protection: int) -> None:
    _client, meter = pair()
    own, _ = cipherings()
    sealed = seal(own.keys, protection=protection, system_title=CLIENT, counter=1, plain=GET)
    with pytest.raises(ProtectionError, match="too little"):
        meter.open_apdu(b"\xc8" + bytes((len(sealed),)) + sealed)


@pytest.mark.parametrize("protection", [AUTHENTICATED, ENCRYPTED])
def test_half_a_protection_is_too_little_in_general_ciphering(
    pair: Pair, cipherings: Sides, protection: int
) -> None:
    _client, meter = pair()
    own, _ = cipherings()
    heading = Heading(transaction_id=b"\1", originator=CLIENT, recipient=METER)
    sealed = seal(
        own.keys,
        protection=protection,
        system_title=CLIENT,
        counter=1,
        plain=GET,
        heading=heading.encode(),
    )
    info = KeyInfo(form=Form.GENERAL_CIPHERING)
    apdu = GeneralCiphering(heading=heading, key_info=info, sealed=sealed)
    with pytest.raises(ProtectionError, match="too little"):
        meter.open_apdu(apdu.encode())


def test_a_forged_counter_does_not_lock_the_real_one_out(pair: Pair) -> None:
    client, meter = pair()
    with pytest.raises(ProtectionError):
        meter.open_apdu(b"\xc8\x19" + bytes.fromhex("30ffffffff") + bytes(20))
    assert meter.open_apdu(client.seal_apdu(GET)) == GET


def test_a_plain_apdu_is_refused(pair: Pair) -> None:
    with pytest.raises(ProtectionError, match="plain"):
        pair()[1].open_apdu(GET)


def test_an_apdu_of_another_suite_is_refused(pair: Pair) -> None:
    client, _ = pair(Suite.AES_128_P256)
    _, meter = pair(Suite.AES_128)
    with pytest.raises(ProtectionError, match="suite 1"):
        meter.open_apdu(client.seal_apdu(GET))


@pytest.mark.parametrize("form", [Form.DEDICATED, Form.GENERAL_DEDICATED])
def test_a_dedicated_key_counts_anew_and_is_nobody_elses(pair: Pair, form: Form) -> None:
    client, _ = pair(form=form)
    sealed = client.seal_apdu(GET)
    assert b"\x30\x00\x00\x00\x01" in sealed
    _, other = pair()
    with pytest.raises(ProtectionError):
        other.open_apdu(sealed)


def test_without_a_dedicated_key_none_is_believed(cipherings: Sides) -> None:
    _, own = cipherings()
    with pytest.raises(ProtectionError, match="dedicated"):
        _meter(own).open_apdu(b"\xd0\x01\x30")


def test_a_dedicated_key_of_another_suite_is_refused(pair: Pair) -> None:
    with pytest.raises(ProtectionError):
        pair()[1].dedicate(bytes(32))


def test_before_the_proof_the_global_key_seals(cipherings: Sides) -> None:
    own, _ = cipherings(form=Form.DEDICATED)
    client = Protection(own, rng=Random(1))
    client.meet(METER)
    assert len(client.new_dedicated_key()) == 16
    assert client.seal_apdu(GET)[0] == 0xC8
    client.establish()
    assert client.seal_apdu(GET)[0] == 0xD0


@pytest.mark.parametrize("title", [b"", b"short", CLIENT])
def test_the_other_side_has_a_system_title_of_its_own(cipherings: Sides, title: bytes) -> None:
    own, _ = cipherings()
    with pytest.raises(ProtectionError):
        Protection(own, rng=Random(1)).meet(title)


def test_a_meter_that_is_known_is_not_mistaken_for_another(cipherings: Sides) -> None:
    own, _ = cipherings(peer_title=METER)
    client = Protection(own, rng=Random(1))
    with pytest.raises(ProtectionError, match="not 4d5452"):
        client.meet(b"OTHER\x00\x00\x01")
    client.meet(METER)


def test_an_envelope_of_another_sender_is_refused(pair: Pair, cipherings: Sides) -> None:
    _, meter = pair()
    own, _ = cipherings(form=Form.GENERAL_GLO)
    stranger = Protection(replace(own, system_title=b"OTHER\x00\x00\x01"), rng=Random(1))
    with pytest.raises(ProtectionError, match="another system title"):
        meter.open_apdu(stranger.seal_apdu(GET))


def test_an_apdu_for_another_recipient_is_refused(pair: Pair, cipherings: Sides) -> None:
    _, meter = pair()
    own, _ = cipherings(form=Form.GENERAL_CIPHERING)
    client = Protection(own, rng=Random(1))
    client.meet(b"OTHER\x00\x00\x01")
    with pytest.raises(ProtectionError, match="for another"):
        meter.open_apdu(client.seal_apdu(GET))


def test_an_envelope_that_announced_another_apdu_is_refused(pair: Pair) -> None:
    client, meter = pair()
    sealed = bytearray(client.seal_apdu(GET))
    sealed[0] = 0xC9
    with pytest.raises(CodecError, match="announced"):
        meter.open_apdu(bytes(sealed))


@pytest.mark.parametrize("form", [Form.WRAPPED_KEY, Form.EPHEMERAL_KEY, Form.STATIC_KEYS])
def test_an_answer_to_an_earlier_transaction_is_refused(pair: Pair, form: Form) -> None:
    client, meter = pair(Suite.AES_128_P256, form=form)
    meter.open_apdu(client.seal_apdu(GET))
    late = meter.seal_apdu(DATA)
    client.seal_apdu(GET)
    with pytest.raises(ProtectionError, match="another transaction"):
        client.open_apdu(late)


@pytest.mark.parametrize("transaction_id", [b"", bytes(9), b"\xff" * 8])
def test_a_fresh_key_without_a_transaction_is_refused(
    pair: Pair, cipherings: Sides, transaction_id: bytes
) -> None:
    _, meter = pair()
    own, _ = cipherings()
    heading = Heading(transaction_id=transaction_id, originator=CLIENT, recipient=METER)
    sealed = seal(
        own.keys.encrypting_with(bytes(16)),
        protection=AUTHENTICATED_ENCRYPTED,
        system_title=CLIENT,
        counter=1,
        plain=GET,
        heading=heading.encode(),
    )
    wrapped = wrap_key(own.keys.master or b"", bytes(16))
    info = KeyInfo(form=Form.WRAPPED_KEY, octets=wrapped)
    apdu = GeneralCiphering(heading=heading, key_info=info, sealed=sealed)
    with pytest.raises(ProtectionError, match="tells no transaction"):
        meter.open_apdu(apdu.encode())


@pytest.mark.parametrize(
    ("form", "octets"),
    [
        (Form.WRAPPED_KEY, wrap_key(bytes(range(0x80, 0x90)), bytes(32))),
        (Form.WRAPPED_KEY, bytes(24)),
        (Form.EPHEMERAL_KEY, bytes(128)),
        (Form.EPHEMERAL_KEY, b""),
    ],
)
def test_a_key_that_cannot_be_is_refused(pair: Pair, form: Form, octets: bytes) -> None:
    _, meter = pair(Suite.AES_128_P256)
    heading = Heading(transaction_id=b"\1", originator=CLIENT, recipient=METER)
    info = KeyInfo(form=form, octets=octets)
    apdu = GeneralCiphering(heading=heading, key_info=info, sealed=bytes(30))
    with pytest.raises(ProtectionError):
        meter.open_apdu(apdu.encode())


def test_the_static_scheme_brings_no_key() -> None:
    """Its key-info has a length that is always zero."""
    with pytest.raises(CodecError):
        decode_envelope(bytes.fromhex("dd 00 00 00 00 00 01 02 01 02 01ff 00"))


def test_every_wrapped_key_is_another(pair: Pair, cipherings: Sides) -> None:
    client, _ = pair(form=Form.WRAPPED_KEY)
    own, _ = cipherings()
    envelopes = [decode_envelope(client.seal_apdu(GET)) for _ in range(3)]
    keys = {
        unwrap_key(own.keys.master or b"", one.key_info.octets)
        for one in envelopes
        if isinstance(one, GeneralCiphering)
    }
    assert len(keys) == 3


def test_an_ephemeral_key_that_another_signed_is_refused(pair: Pair, cipherings: Sides) -> None:
    suite = Suite.AES_128_P256
    own, _ = cipherings(suite, form=Form.EPHEMERAL_KEY)
    stranger = replace(own, key_pairs=replace(own.key_pairs, signing=generate(suite)))
    client = Protection(stranger, rng=Random(1))
    client.meet(METER)
    with pytest.raises(ProtectionError, match="not signed"):
        pair(suite)[1].open_apdu(client.seal_apdu(GET))


def test_a_side_without_key_pairs_or_master_key_refuses_what_needs_them(
    pair: Pair, cipherings: Sides
) -> None:
    suite = Suite.AES_128_P256
    _, own = cipherings(suite)
    bare = replace(own, key_pairs=KeyPairs(), keys=replace(own.keys, master=None))
    for form in (Form.WRAPPED_KEY, Form.EPHEMERAL_KEY, Form.STATIC_KEYS):
        with pytest.raises(ProtectionError, match="known"):
            _meter(bare).open_apdu(pair(suite, form=form)[0].seal_apdu(GET))


def test_a_side_that_wants_signatures_refuses_what_is_not_signed(
    pair: Pair, cipherings: Sides
) -> None:
    suite = Suite.AES_128_P256
    _, own = cipherings(suite)
    with pytest.raises(ProtectionError, match="not signed"):
        _meter(replace(own, signs=True)).open_apdu(pair(suite)[0].seal_apdu(GET))


@pytest.mark.parametrize(
    ("originator", "signature"), [(b"OTHER\x00\x00\x01", 64), (CLIENT, 64), (CLIENT, 0)]
)
def test_a_wrong_signature_is_refused(pair: Pair, originator: bytes, signature: int) -> None:
    client, meter = pair(Suite.AES_128_P256)
    heading = Heading(transaction_id=b"", originator=originator, recipient=METER)
    signing = GeneralSigning(heading=heading, content=GET, signature=bytes(signature))
    with pytest.raises(ProtectionError, match="sign"):
        meter.open_apdu(client.seal_apdu(signing.encode()))


def test_a_broadcast_is_believed_by_its_own_key_and_counter(cipherings: Sides) -> None:
    own, theirs = cipherings()
    keys = replace(own.keys, broadcast=bytes(range(0x40, 0x50)))
    meter = _meter(replace(theirs, keys=keys))
    apdu = _broadcast(Form.SERVICE_SPECIFIC, keys, CLIENT, METER, GET)
    assert meter.open_apdu(apdu) == GET
    with pytest.raises(ReplayError):
        meter.open_apdu(apdu)


@pytest.mark.parametrize("form", [Form.SERVICE_SPECIFIC, Form.GENERAL_CIPHERING])
def test_no_answer_is_believed_under_the_key_that_all_meters_share(
    cipherings: Sides, form: Form
) -> None:
    own, _theirs = cipherings()
    keys = replace(own.keys, broadcast=bytes(range(0x40, 0x50)))
    client = Protection(replace(own, keys=keys), rng=Random(1))
    client.meet(METER)
    with pytest.raises(ProtectionError, match="all meters share"):
        client.open_apdu(_broadcast(form, keys, METER, CLIENT, DATA))


def test_answers_are_taken_in_the_order_in_which_they_were_sealed(pair: Pair) -> None:
    client, meter = pair()
    meter.open_apdu(client.seal_apdu(GET))
    first, second, third = (meter.seal_apdu(DATA) for _ in range(3))
    assert client.open_apdu(first) == client.open_apdu(third) == DATA
    with pytest.raises(ReplayError):
        client.open_apdu(second)


@pytest.mark.parametrize("push", [bytes.fromhex("0f0000000100"), bytes.fromhex("c20000")])
def test_a_push_that_an_answer_overtook_is_still_heard(pair: Pair, push: bytes) -> None:
    client, meter = pair(form=Form.GENERAL_GLO)
    meter.open_apdu(client.seal_apdu(GET))
    before, pushed, answer = (meter.seal_apdu(one) for one in (DATA, push, DATA))
    assert client.open_apdu(before) == client.open_apdu(answer) == DATA
    assert client.open_apdu(pushed) == push


def test_general_ciphering_may_name_the_broadcast_key(cipherings: Sides) -> None:
    own, theirs = cipherings()
    broadcast = bytes(range(0x40, 0x50))
    keys = replace(own.keys, broadcast=broadcast)
    apdu = _broadcast(Form.GENERAL_CIPHERING, keys, CLIENT, METER, GET)
    with pytest.raises(ProtectionError, match="none is known"):
        _meter(theirs).open_apdu(apdu)
    keys = replace(theirs.keys, broadcast=broadcast)
    assert _meter(replace(theirs, keys=keys)).open_apdu(apdu) == GET


def _broadcast(form: Form, keys: Keys, sender: bytes, recipient: bytes, plain: bytes) -> bytes:
    """Return what anybody who holds the broadcast key can say, with counter 9."""
    if form is Form.SERVICE_SPECIFIC:
        protection = AUTHENTICATED_ENCRYPTED | BROADCAST
        sealed = seal(keys, protection=protection, system_title=sender, counter=9, plain=plain)
        return Envelope(tag=plain[0] + 8, sealed=sealed).encode()
    heading = Heading(transaction_id=b"", originator=sender, recipient=recipient)
    sealed = seal(
        keys.encrypting_with(keys.broadcast or b""),
        protection=AUTHENTICATED_ENCRYPTED,
        system_title=sender,
        counter=9,
        plain=plain,
        heading=heading.encode(),
    )
    info = KeyInfo(form=form, broadcast=True)
    return GeneralCiphering(heading=heading, key_info=info, sealed=sealed).encode()


def _meter(own: Ciphering) -> Protection:
    meter = Protection(own, rng=Random(1), answers=True)
    meter.meet(CLIENT)
    return meter


def test_an_initiate_may_come_in_the_general_form(pair: Pair) -> None:
    client, meter = pair(form=Form.GENERAL_GLO)
    assert meter.open_initiate(0x21, client.seal_apdu(b"\x01hello")) == b"\x01hello"
    assert meter.open_initiate(0x21, client.seal_initiate(0x21, b"\x01hello")) == b"\x01hello"


def test_without_keys_apdus_travel_as_they_are() -> None:
    clear = Clear()
    assert clear.seal_apdu(GET) == clear.open_apdu(GET) == GET
    assert clear.overhead_octets == 0
    with pytest.raises(ProtectionError, match="without keys"):
        clear.open_apdu(b"\xc8\x00")


def test_the_keys_of_two_protections_never_meet_a_nonce_twice(pair: Pair) -> None:
    client, _ = pair(Suite.AES_128_P256, form=Form.STATIC_KEYS)
    sealed = [decode_envelope(client.seal_apdu(GET)) for _ in range(3)]
    counters = [one.sealed[1:5] for one in sealed if one is not None]
    assert len(set(counters)) == 3
