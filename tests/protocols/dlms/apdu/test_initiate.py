import pytest

from quince.model.errors import CodecError
from quince.protocols.dlms.apdu.initiate import (
    Initiate,
    decode_request,
    decode_response,
    encode_request,
    encode_response,
)

RESPONSE = Initiate(conformance=0x001C1D, pdu_octets_max=500)


def test_a_response_is_read_back():
    assert decode_response(encode_response(RESPONSE)) == RESPONSE


def test_the_one_octet_tag_of_older_meters_is_read_too():
    octets = encode_response(RESPONSE).replace(b"\x5f\x1f\x04\x00", b"\x5f\x04\x00")
    assert decode_response(octets) == RESPONSE


def test_another_block_in_the_conformances_place_is_refused():
    octets = encode_response(RESPONSE).replace(b"\x5f\x1f", b"\x5f\x1e")
    with pytest.raises(CodecError, match="conformance"):
        decode_response(octets)


def test_the_green_books_request_brings_a_dedicated_key():
    octets = bytes.fromhex("01011000112233445566778899aabbccddeeff0000065f1f0400007e1f04b0")
    request = decode_request(octets)
    assert request.dedicated_key.hex() == "00112233445566778899aabbccddeeff"
    assert (request.conformance, request.pdu_octets_max) == (0x007E1F, 1200)
    assert encode_request(request) == octets
    assert "112233" not in repr(request)


def test_a_largest_apdu_of_zero_is_no_limit():
    octets = encode_response(RESPONSE).replace(b"\x01\xf4", b"\x00\x00")
    assert decode_response(octets).pdu_octets_max == 65_535
