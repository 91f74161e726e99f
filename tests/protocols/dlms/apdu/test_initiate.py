import pytest

from quince.model.errors import CodecError
from quince.protocols.dlms.apdu.initiate import Initiate, decode_response, encode_response

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
