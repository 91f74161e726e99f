"""Every APDU of the application services: ours there and back, others' as they were written."""

from contextlib import suppress
from typing import Any, get_args

import pytest
from hypothesis import given, settings, strategies as st

from quince.model.errors import CodecError, InvalidValueError
from quince.model.obis import Obis
from quince.protocols.dlms.apdu.access import (
    AccessOutcome,
    AccessPart,
    AccessRequest,
    AccessResponse,
    AccessService,
)
from quince.protocols.dlms.apdu.action import (
    ActionBlockRequest,
    ActionBlockResponse,
    ActionFirstBlockRequest,
    ActionListFirstBlockRequest,
    ActionListRequest,
    ActionListResponse,
    ActionNextRequest,
    ActionNextResponse,
    ActionRequest,
    ActionResponse,
)
from quince.protocols.dlms.apdu.apdu import Apdu, decode_apdu
from quince.protocols.dlms.apdu.block_transfer import GeneralBlock
from quince.protocols.dlms.apdu.exception import (
    ConfirmedServiceError,
    ExceptionResponse,
    decode_refusal,
)
from quince.protocols.dlms.apdu.get import (
    GetBlockResponse,
    GetListRequest,
    GetListResponse,
    GetNextRequest,
    GetRequest,
    GetResponse,
)
from quince.protocols.dlms.apdu.notification import DataNotification, EventNotification
from quince.protocols.dlms.apdu.reference import (
    REFERENCES_MAX,
    Access,
    AccessResult,
    DataBlock,
    Outcome,
    Ref,
)
from quince.protocols.dlms.apdu.set import (
    SetBlockRequest,
    SetBlockResponse,
    SetFirstBlockRequest,
    SetLastBlockResponse,
    SetListFirstBlockRequest,
    SetListLastBlockResponse,
    SetListRequest,
    SetListResponse,
    SetRequest,
    SetResponse,
)
from quince.protocols.dlms.encoding.axdr import NULL, Data, Encoded, encode, octet_string, structure
from quince.protocols.dlms.encoding.tags import Tag

REGISTER = Ref(3, Obis(1, 0, 1, 8, 0), 2)
VALUE = Data(Tag.UINT32, 123_456)
SELECTION = Access(selector=1, parameter=structure(VALUE))
GET_REGISTER = AccessPart(service=AccessService.GET, ref=REGISTER)

# -- any of them ---------------------------------------------------------------------------

_DATA = st.one_of(
    st.just(NULL),
    st.integers(0, 2**32 - 1).map(lambda value: Data(Tag.UINT32, value)),
    st.binary(max_size=200).map(octet_string),
    st.binary(max_size=9).map(lambda octets: structure(NULL, octet_string(octets))),
)
_RESULTS = st.sampled_from(AccessResult)
_REFS = st.builds(
    Ref,
    st.integers(0, 0xFFFF),
    st.binary(min_size=6, max_size=6).map(Obis.from_bytes),
    st.integers(-128, 127),
)
_SELECTIONS = st.none() | st.builds(Access, selector=st.integers(0, 255), parameter=_DATA)
_ITEMS = st.tuples(_REFS, _SELECTIONS)
_TIMES = st.sampled_from([b"", bytes(12)])
_NUMBERS = st.integers(0, 2**32 - 1)
_BLOCKS = st.builds(DataBlock, last=st.booleans(), number=_NUMBERS, octets=st.binary(max_size=200))
_DATA_OR_REFUSALS = st.one_of(_DATA, _RESULTS)
_ENCODED_OR_REFUSALS = st.one_of(_DATA.map(lambda data: Encoded(encode(data))), _RESULTS)
_OUTCOMES = st.builds(Outcome, result=_RESULTS, data=st.none() | _DATA_OR_REFUSALS)
_PARTS = st.builds(
    AccessPart,
    service=st.sampled_from([AccessService.GET, AccessService.SET]),
    ref=_REFS,
    access=_SELECTIONS,
) | st.builds(AccessPart, service=st.just(AccessService.ACTION), ref=_REFS)
_ACCESS_OUTCOMES = st.builds(
    AccessOutcome, service=st.sampled_from(AccessService), result=_RESULTS, data=_DATA
)


def _some(values: st.SearchStrategy[Any], size: int | None = None) -> st.SearchStrategy[Any]:
    return st.lists(values, min_size=size or 1, max_size=size or 3).map(tuple)


_FIELDS: dict[type, dict[str, st.SearchStrategy[Any]]] = {
    GetRequest: {"ref": _REFS, "access": _SELECTIONS},
    GetListRequest: {"items": _some(_ITEMS)},
    GetNextRequest: {"block_number": _NUMBERS},
    GetResponse: {"result": _ENCODED_OR_REFUSALS},
    GetListResponse: {"results": _some(_DATA_OR_REFUSALS)},
    GetBlockResponse: {
        "last": st.booleans(),
        "block_number": _NUMBERS,
        "block": st.one_of(st.binary(max_size=200), _RESULTS),
    },
    SetRequest: {"ref": _REFS, "access": _SELECTIONS, "data": _DATA},
    SetFirstBlockRequest: {"ref": _REFS, "access": _SELECTIONS, "block": _BLOCKS},
    SetBlockRequest: {"block": _BLOCKS},
    SetListRequest: {"items": _some(_ITEMS, 2), "values": _some(_DATA, 2)},
    SetListFirstBlockRequest: {"items": _some(_ITEMS), "block": _BLOCKS},
    SetResponse: {"result": _RESULTS},
    SetBlockResponse: {"block_number": _NUMBERS},
    SetLastBlockResponse: {"result": _RESULTS, "block_number": _NUMBERS},
    SetListLastBlockResponse: {"results": _some(_RESULTS), "block_number": _NUMBERS},
    SetListResponse: {"results": _some(_RESULTS)},
    ActionRequest: {"ref": _REFS, "data": st.none() | _DATA},
    ActionNextRequest: {"block_number": _NUMBERS},
    ActionListRequest: {"refs": _some(_REFS, 2), "values": _some(_DATA, 2)},
    ActionFirstBlockRequest: {"ref": _REFS, "block": _BLOCKS},
    ActionListFirstBlockRequest: {"refs": _some(_REFS), "block": _BLOCKS},
    ActionBlockRequest: {"block": _BLOCKS},
    ActionResponse: {"result": _RESULTS, "data": st.none() | _DATA_OR_REFUSALS},
    ActionBlockResponse: {"block": _BLOCKS},
    ActionListResponse: {"outcomes": _some(_OUTCOMES)},
    ActionNextResponse: {"block_number": _NUMBERS},
}
_LONG_FIELDS: dict[type, dict[str, st.SearchStrategy[Any]]] = {
    AccessRequest: {"date_time": _TIMES, "parts": _some(_PARTS, 2), "values": _some(_DATA, 2)},
    AccessResponse: {
        "date_time": _TIMES,
        "parts": st.just(()) | _some(_PARTS),
        "outcomes": _some(_ACCESS_OUTCOMES),
    },
    DataNotification: {"date_time": st.none() | st.just(bytes(12)), "data": _DATA},
}
_OTHER_FIELDS: dict[type, dict[str, st.SearchStrategy[Any]]] = {
    EventNotification: {
        "date_time": st.none() | st.just(bytes(12)),
        "ref": _REFS,
        "data": _DATA,
    },
    ExceptionResponse: {
        "state_error": st.integers(0, 255),
        "service_error": st.integers(0, 255),
        "expected_counter": st.none() | _NUMBERS,
    },
    ConfirmedServiceError: {
        "service": st.integers(0, 255),
        "kind": st.integers(0, 255),
        "value": st.integers(0, 255),
    },
    GeneralBlock: {
        "last": st.booleans(),
        "streaming": st.booleans(),
        "window": st.integers(0, 63),
        "number": st.integers(0, 0xFFFF),
        "acknowledged": st.integers(0, 0xFFFF),
        "octets": st.binary(max_size=200),
    },
}


def _invoked(fields: dict[type, dict[str, Any]], ids: int) -> list[st.SearchStrategy[Apdu]]:
    invocation = {
        "invoke_id": st.integers(0, ids - 1),
        "is_confirmed": st.booleans(),
        "is_urgent": st.booleans(),
    }
    return [st.builds(kind, **invocation, **more) for kind, more in fields.items()]


_APDUS = st.one_of(
    *_invoked(_FIELDS, 16),
    *_invoked(_LONG_FIELDS, 1 << 24),
    *[st.builds(kind, **fields) for kind, fields in _OTHER_FIELDS.items()],
)


def test_every_kind_of_apdu_is_tried_below() -> None:
    assert set(get_args(Apdu)) == {*_FIELDS, *_LONG_FIELDS, *_OTHER_FIELDS}


@settings(max_examples=500)
@given(_APDUS)
def test_any_apdu_is_read_as_it_was_written(apdu: Apdu) -> None:
    assert decode_apdu(apdu.encode()) == apdu


@settings(max_examples=150)
@given(_APDUS, st.integers(1, 400))
def test_an_apdu_cut_short_is_refused_or_another(apdu: Apdu, cut: int) -> None:
    octets = apdu.encode()[:-cut]
    with suppress(CodecError):
        assert decode_apdu(octets).encode() == octets


# -- as the standard writes them -----------------------------------------------------------


@pytest.mark.parametrize(
    ("octets", "apdu"),
    [
        ("c001c1 0003 0100010800ff 02 00", GetRequest(invoke_id=1, ref=REGISTER)),
        (
            "c003c1 01 0003 0100010800ff 02 00",
            GetListRequest(invoke_id=1, items=((REGISTER, None),)),
        ),
        (
            "c40181 00 060001e240",
            GetResponse(invoke_id=1, result=Encoded(encode(VALUE)), is_confirmed=False),
        ),
        (
            "c102c1 0003 0100010800ff 02 00 00 00000001 02 0600",
            SetFirstBlockRequest(
                invoke_id=1,
                ref=REGISTER,
                block=DataBlock(last=False, number=1, octets=b"\x06\x00"),
            ),
        ),
        (
            "c503c1 00 00000002",
            SetLastBlockResponse(invoke_id=1, result=AccessResult.SUCCESS, block_number=2),
        ),
        (
            "c306c1 01 00000002 02 01e2",
            ActionBlockRequest(
                invoke_id=1, block=DataBlock(last=True, number=2, octets=b"\x01\xe2")
            ),
        ),
        ("c704c1 00000001", ActionNextResponse(invoke_id=1, block_number=1)),
        (
            "d9 c0000005 00 01 01 0003 0100010800ff 02 01 00",
            AccessRequest(invoke_id=5, parts=(GET_REGISTER,), values=(NULL,)),
        ),
        (
            "da c0000005 00 00 01 060001e240 01 01 00",
            AccessResponse(
                invoke_id=5,
                outcomes=(
                    AccessOutcome(
                        service=AccessService.GET, result=AccessResult.SUCCESS, data=VALUE
                    ),
                ),
            ),
        ),
        (
            "e0 c2 0001 0000 02 c001",
            GeneralBlock(
                last=True,
                streaming=True,
                window=2,
                number=1,
                acknowledged=0,
                octets=b"\xc0\x01",
            ),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_apdu_looks_as_the_standard_has_it(octets: str, apdu: Apdu) -> None:
    assert decode_apdu(bytes.fromhex(octets)) == apdu
    assert apdu.encode() == bytes.fromhex(octets)


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
        "c404c1",
        "c40395a10002db81006b",
        "c403c184ffffffff",
        "c106c1",
        "c104c10100030100010800ff0200021107 1107",
        "c307c1",
        "c303c10100030100010800ff02021107 1107",
        "c506c1",
        "c503c107",
        "c705c1",
        "c20700",
        "c209050000000000",
        "c001c100080000010000ff020000",
        "d9c000000501ff",
        "d9c000000500010600030100010800ff020100",
        "d9c000000500010100030100010800ff02021107 1107",
        "dac0000005000002110711070101 00",
        "dac00000050000010001 0500",
        "dac00000050000010001 0107",
        "e0",
        "e080000100000201",
        "0e0106",
        "d80101000000",
    ],
)
def test_an_apdu_of_another_kind_or_shape_is_refused(octets: str) -> None:
    with pytest.raises(CodecError):
        decode_apdu(bytes.fromhex(octets))


def test_a_refusal_is_told_from_everything_else() -> None:
    refused = ExceptionResponse(state_error=1, service_error=2)
    assert decode_refusal(bytes.fromhex("d80102")) == refused
    assert decode_refusal(bytes.fromhex("c401c100")) is None
    with pytest.raises(CodecError):
        decode_refusal(bytes.fromhex("0e01060100"))


# -- what cannot be written ----------------------------------------------------------------


def test_a_reference_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidValueError):
        Ref(65_536, Obis(1, 0, 1, 8, 0), 2)
    with pytest.raises(InvalidValueError):
        Ref(3, Obis(1, 0, 1, 8, 0), 128)


def test_a_list_of_nothing_or_of_too_much_is_not_written() -> None:
    with pytest.raises(InvalidValueError):
        GetListRequest(invoke_id=1, items=()).encode()
    with pytest.raises(InvalidValueError):
        GetListRequest(invoke_id=1, items=((REGISTER, None),) * (REFERENCES_MAX + 1)).encode()


def test_an_invocation_that_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidValueError):
        GetNextRequest(invoke_id=16, block_number=1)
    with pytest.raises(InvalidValueError):
        DataNotification(invoke_id=1 << 24, date_time=None, data=NULL)


def test_a_general_block_that_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidValueError):
        GeneralBlock(last=True, window=64, number=1, acknowledged=0)
    with pytest.raises(InvalidValueError):
        GeneralBlock(last=True, window=1, number=1 << 16, acknowledged=0)


def test_nothing_is_selected_from_a_method() -> None:
    with pytest.raises(InvalidValueError):
        AccessPart(service=AccessService.ACTION, ref=REGISTER, access=SELECTION)
