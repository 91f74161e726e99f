"""What reads DLMS octets by themselves: encodings, APDUs, envelopes, and what objects say."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random

from quince.model.obis import Obis
from quince.protocols.dlms.apdu import acse, initiate
from quince.protocols.dlms.apdu.apdu import decode_apdu
from quince.protocols.dlms.apdu.reference import Ref
from quince.protocols.dlms.association.client import ClientAssociation
from quince.protocols.dlms.cosem import association, image, push_setup, sap, security_setup
from quince.protocols.dlms.cosem.clock import CLOCK_TIME, ClockQuirk, MeterTime
from quince.protocols.dlms.cosem.profile import Column, Layout, SortMethod, read_columns
from quince.protocols.dlms.cosem.register import Scale
from quince.protocols.dlms.cosem.rows import read_rows
from quince.protocols.dlms.cosem.selection import read_entries, read_range
from quince.protocols.dlms.encoding import axdr, ber
from quince.protocols.dlms.encoding.columns import decode_rows
from quince.protocols.dlms.encoding.date_time import decode_date_time
from quince.protocols.dlms.encoding.tags import Tag
from quince.protocols.dlms.errors import ProtectionError
from quince.protocols.dlms.links.hdlc_frame import FrameReader, check_sequence, decode_frame
from quince.protocols.dlms.links.hdlc_parameters import decode_parameters
from quince.protocols.dlms.links.hdlc_unnumbered import UnnumberedListener
from quince.protocols.dlms.links.wrapper import DatagramWrapperLink, WrapperLink
from quince.protocols.dlms.security import elliptic
from quince.protocols.dlms.security.counters import MemoryCounters
from quince.protocols.dlms.security.credentials import Ciphering, NoSecurity
from quince.protocols.dlms.security.envelopes import decode_envelope, decode_signing
from quince.protocols.dlms.security.pushes import open_push
from quince.protocols.dlms.security.sealing import unseal, unwrap_key
from quince.protocols.dlms.security.suite import Keys, Suite

Take = Callable[[bytes], object]

METER_TITLE = b"QNM\0\0\0\0\1"
KEYS = Keys(encryption=bytes(16), authentication=bytes(16))
LAYOUTS = [
    Layout(
        columns=(
            Column(ref=CLOCK_TIME),
            Column(ref=Ref(1, Obis(0, 0, 96, 10, 1), 2)),
            Column(ref=Ref(3, Obis(1, 0, 1, 8, 0), 2)),
        ),
        period_s=900,
        sort_method=sort_method,
    )
    for sort_method in (SortMethod.FIFO, SortMethod.LIFO)
]
EVENTS_MAX = 50_000  # of one input: more than it has octets is a loop


def pieces(octets: bytes) -> Iterator[bytes]:
    """Cut a stream into pieces as long as its first octet says; 0 is all at once."""
    size = octets[0] or len(octets) if octets else 1
    for begin in range(1, len(octets), size):
        yield octets[begin : begin + size]


def drain(take_next: Callable[[], object]) -> None:
    """Take events until there is none."""
    for _ in range(EVENTS_MAX):
        if take_next() is None:
            return
    raise AssertionError("events without end")


def _data(read: Callable[[axdr.Data], object]) -> Take:
    return lambda octets: read(axdr.decode(octets))


def _profile(octets: bytes) -> None:
    """Read rows in columns and one by one; both ways must tell the same."""
    layout = LAYOUTS[len(octets) % 2]
    time = MeterTime(standard_offset_min=-360)
    plain, fast = (
        read_rows(buffer, layout, time) for buffer in (axdr.decode(octets), axdr.Encoded(octets))
    )
    assert list(fast.at_s) == list(plain.at_s)
    assert list(fast.clock) == list(plain.clock)
    # By their text, for NaN is not equal to itself.
    assert repr(list(map(list, fast.columns))) == repr(list(map(list, plain.columns)))


def _columns(octets: bytes) -> None:
    rows = decode_rows(octets)
    if rows is not None:
        items = axdr.decode(octets).as_items()
        columns = [column.values() for column in rows.columns]
        assert repr([item.as_items() for item in items]) == repr(list(zip(*columns, strict=True)))


def _time(octets: bytes) -> None:
    MeterTime(standard_offset_min=60, quirks=[ClockQuirk.DEVIATION_INVERTED]).stamp(octets)
    MeterTime(quirks=[ClockQuirk.NO_DEVIATION_STANDARD_TIME]).stamp(octets)


def _image_status(octets: bytes) -> None:
    image.Image(identifier=b"QNC-2", octets=bytes(1000), block_octets=100).missing(
        axdr.decode(octets)
    )


def _frames(octets: bytes) -> None:
    reader = FrameReader()
    for piece in pieces(octets):
        reader.receive_data(piece)
        drain(reader.next_frame)


def _unnumbered(octets: bytes) -> None:
    listener = UnnumberedListener()
    for piece in pieces(octets):
        listener.receive_data(piece)
        drain(listener.next_apdu)


def _wrapped(octets: bytes) -> None:
    link = WrapperLink(own_port=1)
    for piece in pieces(octets):
        link.receive_data(piece)
        drain(link.next_event)


def _datagrams(octets: bytes) -> None:
    link = DatagramWrapperLink(own_port=1)
    for piece in pieces(octets):
        link.receive_data(piece)
        drain(link.next_event)


def _unseal(octets: bytes) -> None:
    with suppress(ProtectionError):
        unseal(KEYS, system_title=METER_TITLE, sealed=octets)


def _unwrap(octets: bytes) -> None:
    with suppress(ProtectionError):
        unwrap_key(bytes(16), octets)


def _push(octets: bytes) -> None:
    ours = Ciphering(system_title=b"QNG\0\0\0\0\1", keys=KEYS, counters=MemoryCounters())
    with suppress(ProtectionError):
        open_push(octets, lambda _title: ours, rng=Random(1), sender_title=METER_TITLE)


def _point(octets: bytes) -> None:
    with suppress(ProtectionError):
        elliptic.decode_point(Suite.AES_128_P256, octets)


HARNESSES: dict[str, Take] = {
    "dlms-axdr": axdr.decode,
    "dlms-encoded": lambda octets: axdr.Encoded(octets).decode(),
    "dlms-columns": _columns,
    "dlms-date-time": decode_date_time,
    "dlms-ber": ber.decode_fields,
    "dlms-aarq": acse.decode_request,
    "dlms-aare": acse.decode_response,
    "dlms-rlre": lambda octets: acse.decode_release(acse.RLRE, octets),
    "dlms-initiate-request": initiate.decode_request,
    "dlms-initiate-response": initiate.decode_response,
    "dlms-apdu": decode_apdu,
    "dlms-envelope": decode_envelope,
    "dlms-signing": decode_signing,
    "dlms-unseal": _unseal,
    "dlms-unwrap": _unwrap,
    "dlms-point": _point,
    "dlms-push": _push,
    "dlms-frame": lambda octets: decode_frame(octets + check_sequence(octets)),
    "dlms-frames": _frames,
    "dlms-unnumbered": _unnumbered,
    "dlms-hdlc-parameters": decode_parameters,
    "dlms-wrapper": _wrapped,
    "dlms-datagrams": _datagrams,
    "cosem-profile": _profile,
    "cosem-clock": _time,
    "cosem-capture-objects": _data(read_columns),
    "cosem-range": _data(lambda data: read_range(data, MeterTime(standard_offset_min=0))),
    "cosem-entries": _data(read_entries),
    "cosem-scale": _data(Scale.read),
    "cosem-object-list": _data(association.read_object_list),
    "cosem-image-status": _image_status,
    "cosem-push-objects": _data(push_setup.read_push_objects),
    "cosem-push-destination": _data(push_setup.Destination.read),
    "cosem-sap-list": _data(sap.read_sap_list),
    "cosem-key-transfer": _data(security_setup.read_key_transfer),
}


def _seeds() -> Iterator[bytes]:
    """Give a good message of each kind that public captures have none of."""
    yield ClientAssociation(NoSecurity(), rng=Random(1)).open()
    moment = axdr.octet_string(bytes.fromhex("07ea050105000f0000016800"))
    rows = [
        axdr.structure(moment, axdr.Data(Tag.UINT8, 0), axdr.Data(Tag.UINT32, value))
        for value in (1000, 1100, 1200)
    ]
    yield axdr.encode(axdr.array(rows))
    yield axdr.encode(axdr.compact_array(rows))
    yield axdr.encode(axdr.array([rows[0], axdr.structure(axdr.NULL, axdr.NULL, axdr.NULL)]))


SEEDS = list(_seeds())
