"""Whatever octets arrive, a decoder returns a value or raises CodecError."""

from collections.abc import Callable
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from quince.model.errors import CodecError, QuinceError
from quince.model.obis import Obis
from quince.protocols.dlms.apdu import acse, initiate
from quince.protocols.dlms.apdu.apdu import decode_apdu
from quince.protocols.dlms.apdu.exception import decode_refusal
from quince.protocols.dlms.apdu.reference import AccessResult, Ref
from quince.protocols.dlms.association.client import ClientAssociation
from quince.protocols.dlms.association.server import ServerAssociation
from quince.protocols.dlms.cosem.association import read_object_list
from quince.protocols.dlms.cosem.clock import CLOCK_TIME, MeterTime
from quince.protocols.dlms.cosem.names import ACTIVE_IMPORT
from quince.protocols.dlms.cosem.profile import Column, Layout, read_columns
from quince.protocols.dlms.cosem.push_setup import Destination
from quince.protocols.dlms.cosem.register import Scale
from quince.protocols.dlms.cosem.rows import read_rows
from quince.protocols.dlms.cosem.sap import read_sap_list
from quince.protocols.dlms.cosem.security_setup import read_key_transfer
from quince.protocols.dlms.cosem.selection import read_entries, read_range
from quince.protocols.dlms.encoding import axdr, date_time as time
from quince.protocols.dlms.encoding.columns import decode_rows
from quince.protocols.dlms.links.hdlc_frame import FrameReader, check_sequence, decode_frame
from quince.protocols.dlms.links.wrapper import WrapperLink
from quince.protocols.dlms.security.credentials import NoSecurity
from quince.protocols.dlms.security.envelopes import decode_envelope
from quince.protocols.dlms.security.sealing import unseal
from quince.protocols.dlms.security.suite import Keys

KEYS = Keys(encryption=bytes(16), authentication=bytes(16))
LAYOUT = Layout(columns=(Column(ref=CLOCK_TIME), Column(ref=ACTIVE_IMPORT)), period_s=900)
TIME = MeterTime(standard_offset_min=0)
DECODERS: dict[str, Callable[[bytes], object]] = {
    "axdr": axdr.decode,
    "time": time.decode_date_time,
    "aarq": acse.decode_request,
    "aare": acse.decode_response,
    "rlre": lambda octets: acse.decode_release(acse.RLRE, octets),
    "initiate request": initiate.decode_request,
    "initiate response": initiate.decode_response,
    "envelope": decode_envelope,
    "apdu": decode_apdu,
    "refusal": decode_refusal,
    "alike rows": decode_rows,
    "frame": decode_frame,
    "frame that verifies": lambda octets: decode_frame(octets + check_sequence(octets)),
    "frames": lambda octets: FrameReader().feed(octets),
    "wrapper": lambda octets: WrapperLink(own_port=1).receive(octets),
    "rows": lambda octets: read_rows(axdr.Encoded(octets), LAYOUT, TIME),
    "columns": lambda octets: read_columns(axdr.decode(octets)),
    "range": lambda octets: read_range(axdr.decode(octets), TIME),
    "entries": lambda octets: read_entries(axdr.decode(octets)),
    "scale": lambda octets: Scale.read(axdr.decode(octets)),
    "object list": lambda octets: read_object_list(axdr.decode(octets)),
    "keys": lambda octets: read_key_transfer(axdr.decode(octets)),
    "logical devices": lambda octets: read_sap_list(axdr.decode(octets)),
    "push destination": lambda octets: Destination.read(axdr.decode(octets)),
    "unseal enciphered": lambda octets: unseal(
        KEYS, system_title=bytes(8), sealed=b"\x20" + octets
    ),
}
REGISTER = Ref(3, Obis(1, 0, 1, 8, 0), 2)
# What a meter answers to what it does not know, in an association and outside of one.
UNKNOWN, NOT_ALLOWED = bytes.fromhex("d80202"), bytes.fromhex("d80101")
# First octets that lead past the door, so that the rooms behind it are tried too.
DOORS = [b"", b"\xc0\x01", b"\xc0\x03", b"\xc1\x01", b"\xc2\x09\x0c", b"\xc3\x01", b"\xc4\x01"]
DOORS += [b"\xc4\x02", b"\xc4\x03", b"\xc7\x01", b"\xd8", b"\xdb", b"\x60", b"\x61", b"\x63"]
DOORS += [b"\x01", b"\x02", b"\x01\x02\x02\x02", b"\x02\x02", b"\x02\x04\x02\x04", b"\x7e\xa0"]
DOORS += [b"\x00\x01\x00\x10\x00\x01\x00", b"\x08", b"\xa0", b"\xe0", b"\xe0\x81\x00\x01\x00\x00"]
DOORS += [bytes((0xC1, kind)) for kind in range(2, 6)] + [b"\xc5\x04", b"\xc5\x05", b"\x13\x02"]
DOORS += [bytes((0xC3, kind)) for kind in range(2, 7)] + [b"\xc7\x02", b"\xc7\x03", b"\x0e"]
DOORS += [b"\xd9\xc0\x00\x00\x01\x00\x01", b"\xda\xc0\x00\x00\x01\x00\x00", b"\x13\x01"]


@pytest.mark.parametrize("name", DECODERS)
def test_arbitrary_octets_raise_codec_error_or_nothing(name: str) -> None:
    decoder = DECODERS[name]

    @settings(max_examples=150)
    @given(st.sampled_from(DOORS), st.binary(max_size=80))
    def hostile(door: bytes, octets: bytes) -> None:
        with suppress(CodecError):
            decoder(door + octets)

    hostile()


class _Nothing:
    def get(self, ref: Ref, access: object) -> axdr.Data | AccessResult:
        del ref, access
        return axdr.NULL

    def set(self, ref: Ref, data: axdr.Data) -> AccessResult:
        del ref, data
        return AccessResult.SUCCESS

    def action(self, ref: Ref, data: axdr.Data | None) -> tuple[AccessResult, axdr.Data | None]:
        del ref, data
        return AccessResult.SUCCESS, None


_APDUS = st.lists(
    st.tuples(st.sampled_from(DOORS), st.binary(max_size=60)).map(b"".join), min_size=1, max_size=8
)


@settings(max_examples=150)
@given(_APDUS)
def test_a_meter_takes_arbitrary_apdus(apdus: list[bytes]) -> None:
    server = ServerAssociation(_Nothing(), (NoSecurity(),), rng=Random(1))
    server.receive(ClientAssociation(NoSecurity(), rng=Random(1)).open())
    answers = [server.receive(apdu) for apdu in apdus]
    assert max(map(len, answers)) <= 1024
    assert server.receive(bytes.fromhex("ff")) in {UNKNOWN, NOT_ALLOWED}


@settings(max_examples=150)
@given(_APDUS)
def test_an_associated_client_survives_arbitrary_answers(apdus: list[bytes]) -> None:
    server = ServerAssociation(_Nothing(), (NoSecurity(),), rng=Random(1))
    client = ClientAssociation(NoSecurity(), rng=Random(1))
    client.receive(server.receive(client.open()))
    client.action_list([(REGISTER, axdr.octet_string(bytes(2_000)))] * 3)
    for apdu in apdus:
        with suppress(QuinceError):
            client.receive(apdu)
    assert len(client.remind()) <= 1


@settings(max_examples=150)
@given(st.sampled_from(DOORS), st.binary(max_size=60))
def test_a_client_survives_arbitrary_answers(door: bytes, octets: bytes) -> None:
    client = ClientAssociation(NoSecurity(), rng=Random(1))
    client.open()
    with pytest.raises(QuinceError):
        client.receive(door + octets)
