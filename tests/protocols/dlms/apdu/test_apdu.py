import pytest

from quince.model.errors import CodecError, InvalidValueError
from quince.model.obis import Obis
from quince.protocols.dlms.apdu.reference import Access, AccessResult, Ref
from quince.protocols.dlms.apdu.services import (
    ActionRequest,
    ActionResponse,
    EventNotification,
    ExceptionResponse,
    GetBlockResponse,
    GetNextRequest,
    GetRequest,
    GetResponse,
    SetRequest,
    SetResponse,
    decode_apdu,
    decode_exception,
)
from quince.protocols.dlms.encoding.axdr import Data, Tag, octet_string, structure

REGISTER = Ref(3, Obis(1, 0, 1, 8, 0), 2)
VALUE = Data(Tag.UINT32, 123_456)
SELECTION = Access(selector=1, parameter=structure(VALUE))


@pytest.mark.parametrize(
    "apdu",
    [
        GetRequest(invoke_id=1, items=((REGISTER, None),)),
        GetRequest(invoke_id=2, items=((REGISTER, SELECTION),)),
        GetRequest(invoke_id=3, items=((REGISTER, None), (REGISTER, SELECTION))),
        GetNextRequest(invoke_id=4, block_number=70_000),
        GetResponse(invoke_id=5, results=(VALUE,)),
        GetResponse(invoke_id=6, results=(AccessResult.OBJECT_UNDEFINED,)),
        GetResponse(invoke_id=7, results=(VALUE, AccessResult.READ_WRITE_DENIED), is_list=True),
        GetBlockResponse(invoke_id=8, last=True, block_number=2, block=bytes(200)),
        GetBlockResponse(
            invoke_id=9, last=True, block_number=2, block=AccessResult.LONG_TRANSFER_ABORTED
        ),
        SetRequest(invoke_id=10, ref=REGISTER, access=None, data=VALUE),
        SetResponse(invoke_id=11, result=AccessResult.SUCCESS),
        ActionRequest(invoke_id=12, ref=REGISTER, data=None),
        ActionRequest(invoke_id=13, ref=REGISTER, data=VALUE),
        ActionResponse(invoke_id=14, result=AccessResult.SUCCESS),
        ActionResponse(invoke_id=15, result=AccessResult.SUCCESS, data=VALUE),
        ExceptionResponse(state_error=1, service_error=2),
        ExceptionResponse(state_error=2, service_error=6, expected_counter=7),
        EventNotification(date_time=None, ref=REGISTER, data=VALUE),
        EventNotification(date_time=bytes(12), ref=REGISTER, data=octet_string(b"M1")),
    ],
    ids=lambda apdu: type(apdu).__name__,
)
def test_an_apdu_is_read_as_it_was_written(apdu: GetRequest) -> None:
    assert decode_apdu(apdu.encode()) == apdu


def test_a_time_marked_as_the_standard_says_is_read() -> None:
    octets = bytes.fromhex("c2010c") + bytes(12) + REGISTER.encode() + b"\x00"
    event = decode_apdu(octets)
    assert isinstance(event, EventNotification)
    assert event.date_time == bytes(12)


@pytest.mark.parametrize(
    "octets",
    [
        "",
        "c0",
        "0f000001db00",
        "c004c1",
        "c003c100",
        "c401c10107",
        "c40395a10002db81006b",
        "c403c184ffffffff",
        "c102c1",
        "c302c1",
        "c502c1",
        "c702c1",
        "c20700",
        "c209050000000000",
        "c001c100080000010000ff020000",
    ],
)
def test_an_apdu_of_another_kind_or_shape_is_refused(octets: str) -> None:
    with pytest.raises(CodecError):
        decode_apdu(bytes.fromhex(octets))


def test_only_an_exception_is_read_as_one() -> None:
    assert decode_exception(bytes.fromhex("d80102")).service_error == 2
    with pytest.raises(CodecError):
        decode_exception(bytes.fromhex("c401c100"))


def test_a_reference_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidValueError):
        Ref(65_536, Obis(1, 0, 1, 8, 0), 2)
    with pytest.raises(InvalidValueError):
        Ref(3, Obis(1, 0, 1, 8, 0), 128)
