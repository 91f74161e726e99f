"""Sessions and frames of other people's software, read as they were on the wire."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from quince.model.errors import CodecError
from quince.protocols.dlms.apdu import acse, initiate
from quince.protocols.dlms.apdu.apdu import decode_apdu
from quince.protocols.dlms.apdu.get import GetBlockResponse
from quince.protocols.dlms.apdu.notification import EventNotification
from quince.protocols.dlms.cosem.clock import MeterTime
from quince.protocols.dlms.cosem.names import LAST_GASP, POWER_UP
from quince.protocols.dlms.cosem.profile import Layout, read_columns
from quince.protocols.dlms.cosem.rows import read_rows
from quince.protocols.dlms.encoding import axdr
from quince.protocols.dlms.encoding.date_time import decode_date_time
from quince.protocols.dlms.links.hdlc_frame import FrameReader
from quince.protocols.dlms.links.link import ApduReceived
from quince.protocols.dlms.links.wrapper import WrapperLink
from quince.protocols.dlms.security.envelopes import (
    GLO_INITIATE_REQUEST,
    GLO_INITIATE_RESPONSE,
    Envelope,
    decode_envelope,
    decode_initiate_envelope,
)
from quince.protocols.dlms.security.sealing import unseal
from quince.protocols.dlms.security.suite import Keys

METER_TITLE = b"MTR\x00\x00\x00\x00\x01"
ACSE: dict[int, Callable[[bytes], object]] = {
    acse.AARQ: acse.decode_request,
    acse.AARE: acse.decode_response,
    acse.RLRQ: lambda apdu: acse.decode_release(acse.RLRQ, apdu),
    acse.RLRE: lambda apdu: acse.decode_release(acse.RLRE, apdu),
}


def _load(public_data: Path, name: str) -> Any:
    return json.loads((public_data / "protocols" / "dlms" / name).read_text())


def _apdus(transport: str, stream: bytes) -> list[bytes]:
    """Return the APDUs of one direction of a session."""
    if transport == "wrapper":
        return [one.apdu for one in WrapperLink().receive(stream) if isinstance(one, ApduReceived)]
    apdus, assembly = [], b""
    for frame in FrameReader().feed(stream):
        assembly += b"" if frame.control & 1 else frame.information
        if assembly and not frame.segmented:
            apdus.append(assembly[3:])
            assembly = b""
    return apdus


def _session(public_data: Path, number: int) -> tuple[dict[str, Any], list[bytes]]:
    case = _load(public_data, "golden_transcripts.json")["cases"][number]
    apdus = []
    for direction in "><":
        frames = [bytes.fromhex(text) for _, way, text in case["frames"] if way == direction]
        apdus += _apdus(case["transport"], b"".join(frames))
    return case, apdus


@pytest.mark.parametrize("number", range(9))
def test_every_frame_of_a_session_is_found(public_data: Path, number: int) -> None:
    case = _load(public_data, "golden_transcripts.json")["cases"][number]
    frames = [bytes.fromhex(text) for _, _, text in case["frames"]]
    found = [FrameReader().feed(frame) or WrapperLink().receive(frame) for frame in frames]
    assert all(len(one) == 1 for one in found)


def _keys(case: dict[str, Any]) -> Keys:
    return Keys(
        encryption=bytes.fromhex(case["keys"]["ek"]),
        authentication=bytes.fromhex(case["keys"]["ak"]),
    )


def _opened(case: dict[str, Any], apdu: bytes) -> bytes:
    """Return the plain APDU; glo-action carries no title, so the direction tells whose it is."""
    envelope = decode_envelope(apdu)
    if not isinstance(envelope, Envelope):
        return apdu
    sides = {0xCB: bytes.fromhex(case["client_system_title"]), 0xCF: METER_TITLE}
    title = sides.get(envelope.tag, envelope.system_title)
    return unseal(_keys(case), system_title=title, sealed=envelope.sealed).plain


@pytest.mark.parametrize("number", range(9))
def test_every_apdu_of_a_session_is_read(public_data: Path, number: int) -> None:
    case, apdus = _session(public_data, number)
    assert len(apdus) >= 28
    plain = [_opened(case, apdu) for apdu in apdus]
    read = [ACSE.get(apdu[0], decode_apdu)(apdu) for apdu in plain]
    assert [apdu[0] for apdu in plain].count(acse.AARQ) == 1
    assert sum(isinstance(one, GetBlockResponse) for one in read) >= 3


@pytest.mark.parametrize("number", [2, 5, 8])
def test_a_ciphered_initiate_is_opened(public_data: Path, number: int) -> None:
    case, apdus = _session(public_data, number)
    request = acse.decode_request(apdus[0])
    sealed = decode_initiate_envelope(GLO_INITIATE_REQUEST, request.user_information)
    opened = unseal(_keys(case), system_title=request.system_title, sealed=sealed)
    assert initiate.decode_request(opened.plain).pdu_octets_max == 65_535
    (response,) = (acse.decode_response(apdu) for apdu in apdus if apdu[0] == acse.AARE)
    sealed = decode_initiate_envelope(GLO_INITIATE_RESPONSE, response.user_information)
    opened = unseal(_keys(case), system_title=METER_TITLE, sealed=sealed)
    assert initiate.decode_response(opened.plain).pdu_octets_max == 1024


def test_a_day_of_a_real_profile_becomes_rows(public_data: Path) -> None:
    _case, apdus = _session(public_data, 0)
    blocks = [decode_apdu(apdu) for apdu in apdus if apdu[:2] == b"\xc4\x02"]
    buffer = axdr.Encoded(b"".join(block.block for block in blocks))  # type: ignore[union-attr, misc] # blocks all
    (columns,) = (apdu[4:] for apdu in apdus if apdu[:6] == bytes.fromhex("c401c1000104"))
    layout = Layout(columns=read_columns(axdr.decode(columns)), period_s=900)
    rows = read_rows(buffer, layout, MeterTime(standard_offset_min=120))
    first_s = int(datetime(2024, 5, 1, 22, 0, tzinfo=UTC).timestamp())
    assert list(rows.at_s) == [first_s + 900 * i for i in range(96)]
    register = [value or 0 for value in rows.integers(2)]
    assert register[95] - register[94] == 37


@pytest.mark.parametrize(
    ("number", "name", "device", "at_utc"),
    [
        (0, LAST_GASP, b"KA6P005039021110", "2023-07-06T08:54:38+00:00"),
        (1, POWER_UP, b"KAL7005088116712", "2023-10-25T09:18:41+00:00"),
    ],
)
def test_the_pushes_of_a_real_meter_are_read(
    public_data: Path, number: int, name: object, device: bytes, at_utc: str
) -> None:
    octets = bytes.fromhex(_load(public_data, "gxf_push_last_gasp.json")[number]["hex"])
    (event,) = WrapperLink().receive(octets)
    assert isinstance(event, ApduReceived)
    push = decode_apdu(event.apdu)
    assert isinstance(push, EventNotification)
    assert (push.ref, push.data.as_octets()) == (name, device)
    assert decode_date_time(push.date_time or b"").at_utc.isoformat() == at_utc
    assert push.encode() == event.apdu


def _read_any(octets: bytes) -> object:
    """Read octets of an unknown kind as each kind we know."""
    for decoder in (*ACSE.values(), decode_apdu, axdr.decode, initiate.decode_request):
        try:
            return decoder(octets)
        except CodecError:
            continue
    frames = FrameReader().feed(octets)
    return frames[0] if frames else decode_envelope(octets)


def test_the_test_vectors_of_another_library_are_read_or_refused(public_data: Path) -> None:
    vectors = _load(public_data, "dlms_cosem_tests_mit.json")
    read = []
    for vector in vectors:
        try:
            read.append(_read_any(bytes.fromhex(vector["hex"])))
        except CodecError:
            read.append(None)
    kinds = {type(one).__name__ for one in read}
    assert {"AssociationRequest", "AssociationResponse", "Initiate", "Frame"} <= kinds
    assert {"GetRequest", "GetResponse", "GetBlockResponse", "SetRequest"} <= kinds
    assert {"ActionRequest", "ActionResponse", "Envelope", "Data"} <= kinds


@pytest.mark.parametrize(
    ("test", "kind"),
    [
        ("TestSnrmFrame.test_parses_correct", 0x93),
        ("TestUAFrame.test_parser_correctly", 0x73),
        ("TestInformationFrame.test_construct", 0x10),
        ("TestInformationResponseFrame.test_contruct", 0x30),
        ("TestUnnumberedInformationFrame.test_parse", 0x13),
    ],
)
def test_the_frames_of_another_library_are_read(public_data: Path, test: str, kind: int) -> None:
    vectors = _load(public_data, "dlms_cosem_tests_mit.json")
    octets = next(bytes.fromhex(one["hex"]) for one in vectors if one["test"] == test)
    (frame,) = FrameReader().feed(octets)
    assert frame.control == kind
    assert frame.encode() == octets
