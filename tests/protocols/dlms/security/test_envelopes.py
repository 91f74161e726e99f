from contextlib import suppress

import pytest
from hypothesis import given, settings, strategies as st

from quince.model.errors import CodecError
from quince.protocols.dlms.errors import ProtectionError
from quince.protocols.dlms.security.envelopes import (
    Envelope,
    Form,
    GeneralCiphering,
    GeneralSigning,
    Heading,
    KeyInfo,
    decode_envelope,
    decode_initiate_envelope,
    decode_signing,
    service_tag,
)

OCTETS = st.binary(max_size=40)
HEADINGS = st.builds(
    Heading,
    transaction_id=OCTETS,
    originator=OCTETS,
    recipient=OCTETS,
    date_time=OCTETS,
    other_information=OCTETS,
)
KEY_INFOS = st.one_of(
    st.builds(KeyInfo, form=st.just(Form.GENERAL_CIPHERING), broadcast=st.booleans()),
    st.builds(KeyInfo, form=st.sampled_from([Form.WRAPPED_KEY, Form.EPHEMERAL_KEY]), octets=OCTETS),
    st.builds(KeyInfo, form=st.just(Form.STATIC_KEYS)),
)
GENERAL = st.sampled_from([0xDB, 0xDC])
SPECIFIC = st.sampled_from([0xC8, 0xC9, 0xCA, 0xCB, 0xCC, 0xCD, 0xCF, 0x2E])
ENVELOPES = st.one_of(
    st.builds(Envelope, tag=GENERAL, system_title=OCTETS, sealed=st.binary(max_size=300)),
    st.builds(Envelope, tag=SPECIFIC, sealed=OCTETS),
    st.builds(GeneralCiphering, heading=HEADINGS, key_info=KEY_INFOS, sealed=OCTETS),
)


@settings(max_examples=200)
@given(ENVELOPES)
def test_every_envelope_is_read_as_it_was_written(envelope: Envelope | GeneralCiphering) -> None:
    assert decode_envelope(envelope.encode()) == envelope


@settings(max_examples=100)
@given(st.builds(GeneralSigning, heading=HEADINGS, content=OCTETS, signature=OCTETS))
def test_every_signed_apdu_is_read_as_it_was_written(signing: GeneralSigning) -> None:
    assert decode_signing(signing.encode()) == signing
    assert signing.encode()[1:].startswith(signing.signed)


@settings(max_examples=200)
@given(
    st.sampled_from([b"", b"\xcc", b"\xdb\x08", b"\xdd\x01\x00", b"\xdf"]), st.binary(max_size=60)
)
def test_hostile_octets_are_read_or_refused(door: bytes, octets: bytes) -> None:
    for decode in (decode_envelope, decode_signing):
        with suppress(CodecError):
            decode(door + octets)


def test_the_green_books_key_info_of_an_ephemeral_key_is_written_so() -> None:
    info = KeyInfo(form=Form.EPHEMERAL_KEY, octets=bytes(128))
    assert info.encode() == bytes.fromhex("0102 0101 8180") + bytes(128)


def test_a_general_ciphering_without_key_info_uses_the_global_key() -> None:
    envelope = decode_envelope(bytes.fromhex("dd 00 00 00 00 00 00 01ff"))
    assert isinstance(envelope, GeneralCiphering)
    assert envelope.key_info == KeyInfo(form=Form.GENERAL_CIPHERING)


@pytest.mark.parametrize(
    "key_info", ["0103", "0101 01 00", "0102 0103 00", "0102 020101 00", "01"], ids=str
)
def test_a_key_info_that_is_not_known_is_refused(key_info: str) -> None:
    with pytest.raises(CodecError):
        decode_envelope(bytes.fromhex("dd 00 00 00 00 00" + key_info + "00"))


@pytest.mark.parametrize(
    ("plain", "glo", "ded"),
    [
        (0xC0, 0xC8, 0xD0),
        (0xC1, 0xC9, 0xD1),
        (0xC2, 0xCA, 0xD2),
        (0xC3, 0xCB, 0xD3),
        (0xC4, 0xCC, 0xD4),
        (0xC5, 0xCD, 0xD5),
        (0xC7, 0xCF, 0xD7),
        (0x0E, 0x2E, 0x4E),
    ],
)
def test_each_service_has_its_own_tags(plain: int, glo: int, ded: int) -> None:
    assert service_tag(bytes((plain, 1)), dedicated=False) == glo
    assert service_tag(bytes((plain, 1)), dedicated=True) == ded
    assert Envelope(tag=ded, sealed=b"").form is Form.DEDICATED
    assert Envelope(tag=glo, sealed=b"").announces(bytes((plain,)))
    assert not Envelope(tag=glo, sealed=b"").announces(b"\xd9")


def test_access_and_notifications_have_no_tags_of_their_own() -> None:
    assert service_tag(b"\xd9", dedicated=False) is None
    assert service_tag(b"\x0f", dedicated=True) is None
    assert service_tag(b"", dedicated=False) is None


def test_an_initiate_that_is_not_ciphered_is_refused() -> None:
    assert decode_initiate_envelope(0x28, b"\x28\x01\xff") == b"\xff"
    with pytest.raises(ProtectionError):
        decode_initiate_envelope(0x28, b"\x08\x01\xff")
    with pytest.raises(CodecError):
        decode_initiate_envelope(0x28, b"\x28\x01\xff\xff")


def test_a_plain_apdu_is_no_envelope_and_not_signed() -> None:
    assert decode_envelope(b"\xc4\x01\xc1\x00\x00") is None
    assert decode_signing(b"\xc4\x01\xc1\x00\x00") is None
