"""Whatever octets arrive, a decoder returns a value or raises CodecError."""

from collections.abc import Callable
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from quince.model.errors import CodecError, QuinceError
from quince.protocols.dlms.apdu import acse, initiate
from quince.protocols.dlms.apdu.reference import AccessResult, Ref
from quince.protocols.dlms.apdu.services import decode_apdu
from quince.protocols.dlms.association.client import ClientAssociation
from quince.protocols.dlms.association.server import ServerAssociation
from quince.protocols.dlms.association.states import NoSecurity
from quince.protocols.dlms.cosem import objects as cosem
from quince.protocols.dlms.encoding import axdr, date_time as time
from quince.protocols.dlms.links.hdlc_frame import FrameReader, check_sequence, decode_frame
from quince.protocols.dlms.links.wrapper import WrapperLink
from quince.protocols.dlms.security import protection
from quince.protocols.dlms.security.suite import Keys, unseal

KEYS = Keys(encryption=bytes(16), authentication=bytes(16))
COLUMNS = (cosem.Column(ref=cosem.CLOCK_TIME), cosem.Column(ref=cosem.ACTIVE_IMPORT))
DECODERS: dict[str, Callable[[bytes], object]] = {
    "axdr": axdr.decode,
    "time": time.decode_date_time,
    "aarq": acse.decode_request,
    "aare": acse.decode_response,
    "rlre": lambda octets: acse.decode_release(acse.RLRE, octets),
    "initiate request": initiate.decode_request,
    "initiate response": initiate.decode_response,
    "envelope": protection.decode_envelope,
    "apdu": decode_apdu,
    "frame": decode_frame,
    "frame that verifies": lambda octets: decode_frame(octets + check_sequence(octets)),
    "frames": lambda octets: FrameReader().feed(octets),
    "wrapper": lambda octets: WrapperLink(own_port=1).receive(octets),
    "rows": lambda octets: cosem.read_rows(axdr.decode(octets), COLUMNS, period_s=900),
    "columns": lambda octets: cosem.read_columns(axdr.decode(octets)),
    "range": lambda octets: cosem.read_range(axdr.decode(octets), fallback_offset_min=0),
    "entries": lambda octets: cosem.read_entries(axdr.decode(octets)),
    "scale": lambda octets: cosem.Scale.read(axdr.decode(octets)),
    "unseal enciphered": lambda octets: unseal(
        KEYS, system_title=bytes(8), sealed=b"\x20" + octets
    ),
}
# First octets that lead past the door, so that the rooms behind it are tried too.
DOORS = [b"", b"\xc0\x01", b"\xc0\x03", b"\xc1\x01", b"\xc2\x09\x0c", b"\xc3\x01", b"\xc4\x01"]
DOORS += [b"\xc4\x02", b"\xc4\x03", b"\xc7\x01", b"\xd8", b"\xdb", b"\x60", b"\x61", b"\x63"]
DOORS += [b"\x01", b"\x02", b"\x01\x02\x02\x02", b"\x02\x02", b"\x02\x04\x02\x04", b"\x7e\xa0"]
DOORS += [b"\x00\x01\x00\x10\x00\x01\x00", b"\x08", b"\xa0"]


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


@settings(max_examples=150)
@given(st.sampled_from(DOORS), st.binary(max_size=60))
def test_a_meter_answers_arbitrary_apdus(door: bytes, octets: bytes) -> None:
    server = ServerAssociation(_Nothing(), (NoSecurity(),), rng=Random(1))
    server.receive(ClientAssociation(NoSecurity(), rng=Random(1)).open())
    assert server.receive(door + octets)


@settings(max_examples=150)
@given(st.sampled_from(DOORS), st.binary(max_size=60))
def test_a_client_survives_arbitrary_answers(door: bytes, octets: bytes) -> None:
    client = ClientAssociation(NoSecurity(), rng=Random(1))
    client.open()
    with pytest.raises(QuinceError):
        client.receive(door + octets)
