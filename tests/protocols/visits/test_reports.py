import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings, strategies as st

from quince.model.errors import CodecError
from quince.protocols.visits.documents import DOCUMENT_BYTES_MAX, read_document, write_document
from quince.protocols.visits.reports import (
    REPORT_FORM,
    ReportSignatureError,
    read_report,
    sign_report,
    verify_report,
    write_report,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
REPORT = {"form": REPORT_FORM, "order": "WO-1", "verdict": "pass", "seals": ["ñ-1"], "checks": []}

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=8), plain, max_size=4))
@settings(max_examples=100)
def test_a_document_is_read_as_it_was_written(document):
    assert read_document(write_document(document)) == document


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_nonsense_is_refused_as_nonsense(octets):
    with pytest.raises(CodecError):
        read_document(b"{" + octets + b"\xff")


@given(st.dictionaries(st.sampled_from(["report", "signature", "key"]), plain))
@settings(max_examples=100)
def test_what_is_nearly_a_report_is_refused(document):
    with pytest.raises(CodecError):
        read_report(write_document(document))


@pytest.mark.parametrize(
    "octets",
    [
        b"[]",
        b'{"a": 1.5}',
        b'{"a": NaN}',
        b'{"a": 1e3}',
        b'{"a": 1234567890123456789}',
        b'{"a": "\\ud800"}',
        b'{"a":' * 17 + b"1" + b"}" * 17,
        b'{"a":' * 50_000,
        b'{"a": "' + b"x" * DOCUMENT_BYTES_MAX + b'"}',
    ],
)
def test_a_document_that_cannot_be_is_refused(octets):
    with pytest.raises(CodecError):
        read_document(octets)


@pytest.mark.parametrize("document", [{"a": 1.5}, {"a": {1: 2}}, {"a": "x" * DOCUMENT_BYTES_MAX}])
def test_what_has_no_one_spelling_is_not_written(document):
    with pytest.raises(CodecError):
        write_document(document)


def test_a_signed_report_is_verified_after_its_way_through_a_file():
    signed = read_report(write_report(sign_report(REPORT, KEY)))
    assert verify_report(signed) == REPORT
    assert signed.key == KEY.public_key().public_bytes_raw()


def test_a_report_sorted_and_indented_by_another_tool_still_verifies():
    document = json.loads(write_report(sign_report(REPORT, KEY)))
    assert verify_report(read_report(json.dumps(document, indent=4).encode())) == REPORT


def test_a_report_with_another_verdict_is_not_the_one_signed():
    octets = write_report(sign_report(REPORT, KEY)).replace(b'"pass"', b'"fail"')
    with pytest.raises(ReportSignatureError, match="not signed by 3b6a27bc"):
        verify_report(read_report(octets))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"signature":"', b'"signature":"xx'),
        (b'"key":"3b', b'"key":"'),
        (REPORT_FORM.encode(), b"another form"),
        (b'"key":', b'"more":1,"key":'),
    ],
)
def test_a_file_that_is_no_signed_report_is_refused(old, new):
    octets = write_report(sign_report(REPORT, KEY))
    with pytest.raises(CodecError):
        read_report(octets.replace(old, new))
