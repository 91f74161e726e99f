"""The documents of enrolment, and the proof that goes with a renewal."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings, strategies as st

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.gateway.enrolment import (
    Enrolled,
    enrolled_document,
    read_enrolled,
    sign_renewal,
    verify_renewal,
)
from quince.protocols.gateway.errors import SignatureError
from quince.protocols.gateway.topics import GatewayAddress

KEY = ec.generate_private_key(ec.SECP256R1())


def certificate() -> str:
    name = x509.Name([])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(7)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=1))
        .sign(KEY, SHA256())
    )
    return signed.public_bytes(Encoding.PEM).decode()


ENROLLED = Enrolled(
    address=GatewayAddress(cell="north", gateway="gw-1"),
    certificate=certificate(),
    ca=certificate() + certificate(),
    broker_host="10.0.0.1",
    broker_port=8883,
    headend_url="https://headend.example:8443",
    signers={"headend": "0f" * 32},
)


def test_what_a_gateway_is_given_survives_the_way() -> None:
    assert read_enrolled(json.loads(json.dumps(enrolled_document(ENROLLED)))) == ENROLLED


@pytest.mark.parametrize(
    "change",
    [
        {"certificate": "none"},
        {"certificate": "ñ"},
        {"ca": ""},
        {"broker_host": "a b"},
        {"broker_host": 'x"\n'},
        {"broker_port": 0},
        {"broker_port": 65_536},
        {"headend_url": "ftp://x"},
        {"headend_url": "https://x/path"},
        {"headend_url": 'https://x"'},
        {"signers": {"": "0f" * 32}},
        {"signers": {"a\n": "0f" * 32}},
        {"signers": {"headend": "0f"}},
        {"signers": {f"s{n}": "0f" * 32 for n in range(33)}},
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError):
        replace(ENROLLED, **change)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(
    field=st.sampled_from([*enrolled_document(ENROLLED), "broker.host", "broker.port"]), value=JSON
)
def test_a_document_with_anything_in_it_is_read_or_refused(field: str, value: Any) -> None:
    document: dict[str, Any] = enrolled_document(ENROLLED)
    part, _, name = field.partition(".")
    target = document[part] if name else document
    target[name or part] = value
    try:
        read_enrolled(document)
    except CodecError:
        return


@pytest.mark.parametrize("document", [None, [], "x", 1, {}, {"cell": []}])
def test_what_is_no_document_is_refused(document: Any) -> None:
    with pytest.raises(CodecError):
        read_enrolled(document)


def test_a_renewal_is_proved_by_the_old_key() -> None:
    verify_renewal(b"request", sign_renewal(b"request", KEY), KEY.public_key())


def test_a_proof_is_for_one_request_and_one_key() -> None:
    proof = sign_renewal(b"request", KEY)
    with pytest.raises(SignatureError):
        verify_renewal(b"another", proof, KEY.public_key())
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    with pytest.raises(SignatureError):
        verify_renewal(b"request", proof, other)


def test_what_else_the_key_signs_is_no_proof() -> None:
    signature = KEY.sign(b"request", ec.ECDSA(SHA256()))
    with pytest.raises(SignatureError):
        verify_renewal(b"request", signature, KEY.public_key())


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=100))
def test_octets_that_are_no_signature_are_no_proof(octets: bytes) -> None:
    with pytest.raises(SignatureError):
        verify_renewal(b"request", octets, KEY.public_key())
