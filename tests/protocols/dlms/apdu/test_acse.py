import pytest

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.dlms.apdu import acse, initiate

PASSWORD_AARQ = bytes.fromhex(
    "6036a1090607608574050801018a0207808b0760857405080201ac0a80083132333435363738"
    "be10040e01000000065f1f0400007e1f04b0"
)


def test_an_aarq_with_a_password_is_read_and_written_the_same() -> None:
    request = acse.decode_request(PASSWORD_AARQ)
    assert (request.ciphered, request.mechanism, request.value) == (False, 1, b"12345678")
    assert request.encode() == PASSWORD_AARQ


def test_an_aarq_does_not_show_its_password() -> None:
    assert "12345678" not in repr(acse.decode_request(PASSWORD_AARQ))


def test_an_aare_of_more_than_127_octets_is_read() -> None:
    response = acse.AssociationResponse(
        ciphered=True,
        result=acse.ACCEPTED,
        diagnostic=acse.Diagnostic.AUTHENTICATION_REQUIRED,
        mechanism=acse.Mechanism.GMAC,
        value=bytes(64),
        system_title=b"MTR\x00\x00\x00\x00\x01",
        user_information=bytes(40),
    )
    octets = response.encode()
    assert octets[:2] == bytes.fromhex("6181")
    assert acse.decode_response(octets) == response


def test_a_refusal_names_its_diagnostic() -> None:
    octets = bytes.fromhex("611fa109060760857405080101a203020101a305a103020101be0604040e010601")
    response = acse.decode_response(octets)
    assert (response.result, response.diagnostic) == (1, acse.Diagnostic.NO_REASON)


def test_a_diagnostic_of_the_provider_is_read_too() -> None:
    octets = bytes.fromhex("6117a109060760857405080101a203020101a305a203020102")
    assert acse.decode_response(octets).diagnostic == 2


@pytest.mark.parametrize(
    "octets",
    [
        "6100",
        "600ba10906076085740508010161",
        "600ba109060760857405080102",  # short names
        "6016a109060760857405080101a109060760857405080101",
        "6015a1090607608574050801018b0860857405080201ff00",
        "6114a109060760857405080101a203020100a302a300",
        "6113a109060760857405080101a20402020000a300",
        "6110a109060760857405080101a203020100",
    ],
)
def test_a_crooked_request_or_response_is_refused(octets: str) -> None:
    decode = acse.decode_request if octets.startswith("60") else acse.decode_response
    with pytest.raises(CodecError):
        decode(bytes.fromhex(octets))


def test_a_release_with_and_without_user_information_is_read() -> None:
    plain = bytes.fromhex("6303800100")
    informed = bytes.fromhex("6316800100be11040f080100065f1f0400001e1d04c80007")
    assert acse.encode_release(acse.RLRE) == plain
    assert acse.decode_release(acse.RLRE, plain) == b""
    assert initiate.decode_response(acse.decode_release(acse.RLRE, informed)).pdu_octets_max == 1224


def test_an_initiate_is_read_as_it_was_written() -> None:
    proposal = initiate.Initiate(conformance=initiate.SERVED, pdu_octets_max=1024)
    assert initiate.decode_request(initiate.encode_request(proposal)) == proposal
    assert initiate.decode_response(initiate.encode_response(proposal)) == proposal


def test_a_dedicated_key_and_a_quality_are_passed_over() -> None:
    octets = bytes.fromhex("01010411223344010501 07065f1f0400007e1f04b0")
    assert initiate.decode_request(octets).pdu_octets_max == 1200


def test_a_largest_apdu_of_0_is_no_limit() -> None:
    octets = bytes.fromhex("01000000065f1f0400007e1f0000")
    assert initiate.decode_request(octets).pdu_octets_max == 65_535


@pytest.mark.parametrize(
    "octets",
    ["08", "01000000055f1f0400007e1f0000", "0100000006601f0400007e1f0000", "01000000065f1f0400"],
)
def test_a_crooked_initiate_is_refused(octets: str) -> None:
    with pytest.raises(CodecError):
        initiate.decode_request(bytes.fromhex(octets))


@pytest.mark.parametrize(("conformance", "pdu_octets_max"), [(-1, 1024), (1 << 24, 1024), (0, 0)])
def test_an_initiate_that_cannot_be_written_is_refused(
    conformance: int, pdu_octets_max: int
) -> None:
    with pytest.raises(InvalidValueError):
        initiate.Initiate(conformance=conformance, pdu_octets_max=pdu_octets_max)


def test_a_diagnostic_without_a_known_source_is_refused() -> None:
    with pytest.raises(CodecError):
        acse.decode_response(bytes.fromhex("6117a109060760857405080101a203020101a305a303020102"))
