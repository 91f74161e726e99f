"""DLMS/COSEM frames as layers: HDLC or wrapper, then the APDU, opened if the keys are known."""

from dataclasses import dataclass, field

from quince.edge.commissioning.layer import Layer
from quince.edge.commissioning.serial_frames import explain_telegram
from quince.edge.commissioning.values import class_words, explain_value
from quince.model.errors import CodecError
from quince.protocols.dlms.apdu import acse, initiate
from quince.protocols.dlms.apdu.apdu import decode_apdu
from quince.protocols.dlms.encoding.axdr import decode
from quince.protocols.dlms.encoding.reader import Reader
from quince.protocols.dlms.errors import ProtectionError
from quince.protocols.dlms.links import hdlc_control
from quince.protocols.dlms.links.hdlc_frame import Frame, FrameReader, HdlcAddress, decode_frame
from quince.protocols.dlms.links.hdlc_unnumbered import LLC
from quince.protocols.dlms.security.envelopes import (
    GLO_INITIATE_REQUEST,
    GLO_INITIATE_RESPONSE,
    Envelope,
    GeneralCiphering,
    decode_envelope,
    decode_initiate_envelope,
    decode_signing,
)
from quince.protocols.dlms.security.sealing import AUTHENTICATED, ENCRYPTED, SUITE_BITS, unseal
from quince.protocols.dlms.security.suite import Keys

_FLAG = b"\x7e"
_HDLC_FORMAT = 0xA0
_PIECE_OCTETS = 4096  # as a line gives them: no link takes a whole capture at once
_LLC_NAMES = {LLC[True]: "command", LLC[False]: "response"}
_WRAPPER_VERSION = b"\x00\x01"
_WRAPPER_OCTETS = 8
_UNNUMBERED = {
    hdlc_control.SNRM: "SNRM: connect",
    hdlc_control.UA: "UA: agreed",
    hdlc_control.DISC: "DISC: disconnect",
    hdlc_control.DM: "DM: disconnected",
    hdlc_control.FRMR: "FRMR: frame refused",
    hdlc_control.UI: "UI: unnumbered information",
}
_ASSOCIATION = frozenset(bytes((tag,)) for tag in (acse.AARQ, acse.AARE, acse.RLRQ, acse.RLRE))
_INITIATES = {b"\x01": initiate.decode_request, b"\x08": initiate.decode_response}
_CIPHERED_INITIATES = (bytes((GLO_INITIATE_REQUEST,)), bytes((GLO_INITIATE_RESPONSE,)))
_PROTECTIONS = {AUTHENTICATED: "authenticated", ENCRYPTED: "encrypted"}
# One signs for the meter, another for whoever passes it on.
SIGNATURES_MAX = 4
_SUPERVISORY = {
    hdlc_control.READY: "RR: ready",
    hdlc_control.NOT_READY: "RNR: not ready",
    hdlc_control.REJECT: "REJ: send again",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Opener:
    """What opens a ciphered APDU: the keys, and a title where the frame does not carry it."""

    keys: Keys = field(repr=False)
    system_title: bytes = b""


def is_hdlc(octets: bytes) -> bool:
    """Whether `octets` begin like an HDLC frame of format type 3."""
    return octets[:1] == _FLAG and len(octets) > 1 and octets[1] & 0xF0 == _HDLC_FORMAT


def is_wrapper(octets: bytes) -> bool:
    """Whether `octets` begin with a wrapper header whose length they hold."""
    if len(octets) <= _WRAPPER_OCTETS or octets[:2] != _WRAPPER_VERSION:
        return False
    return int.from_bytes(octets[6:8], "big") <= len(octets) - _WRAPPER_OCTETS


def explain_hdlc(octets: bytes, opener: Opener | None) -> Layer:
    """Explain every frame, and the APDU behind the last segment; CodecError if none is whole."""
    reader = FrameReader()
    pieces = (octets[i : i + _PIECE_OCTETS] for i in range(0, len(octets), _PIECE_OCTETS))
    frames = [frame for piece in pieces for frame in reader.feed(piece)]
    if not frames:
        decode_frame(octets.strip(_FLAG))  # says what is wrong with it
        raise CodecError("no whole frame between two flags")
    assembled: dict[HdlcAddress, bytes] = {}
    layers = []
    for frame in frames:
        layers.append(_frame(frame))
        if not _carries_apdu(frame):
            continue
        whole = assembled.pop(frame.source, b"") + frame.information
        if frame.segmented:
            assembled[frame.source] = whole
        else:
            layers.append(_llc(whole, opener))
    return Layer(name=f"HDLC, frames: {len(frames)}", inner=tuple(layers))


def explain_wrapper(octets: bytes, opener: Opener | None) -> Layer:
    """Explain one wrapper header after another, and the APDUs behind them."""
    reader = Reader(octets)
    layers = []
    while reader.remaining:
        version, source, destination, length = (reader.uint(2) for _ in range(4))
        if version != 1:
            raise CodecError(f"a wrapper of version {version}")
        fields = (("source port", str(source)), ("destination port", str(destination)))
        apdu = explain_apdu(reader.take(length), opener)
        layers.append(
            Layer(name="wrapper", fields=(*fields, ("length", str(length))), inner=(apdu,))
        )
    return layers[0] if len(layers) == 1 else Layer(name="wrappers", inner=tuple(layers))


def explain_apdu(octets: bytes, opener: Opener | None, signed: int = 0) -> Layer:
    """Explain an APDU of any kind, inside `signed` signatures; CodecError if it is none."""
    if octets[:1] in _ASSOCIATION:
        return _association(octets, opener)
    if (envelope := decode_envelope(octets)) is not None:
        return _envelope(envelope, opener)
    if (signing := decode_signing(octets)) is not None:
        if signed == SIGNATURES_MAX:
            raise CodecError(f"more than {SIGNATURES_MAX} signatures around one another")
        layer = explain_value("general-signing, signature not checked", signing)
        return _with(layer, explain_apdu(signing.content, opener, signed + 1))
    apdu = decode_apdu(octets)
    return explain_value(class_words(apdu), apdu)


def _association(octets: bytes, opener: Opener | None) -> Layer:
    match octets[0]:
        case acse.AARQ:
            request = acse.decode_request(octets)
            return _with_initiate(explain_value("AARQ: associate", request), request, opener)
        case acse.AARE:
            response = acse.decode_response(octets)
            return _with_initiate(explain_value("AARE: answered", response), response, opener)
        case tag:
            acse.decode_release(tag, octets)
            return Layer(name="RLRQ: release" if tag == acse.RLRQ else "RLRE: released")


def explain_data(octets: bytes) -> Layer:
    """Explain bare COSEM data."""
    return explain_value("COSEM data", decode(octets))


def _frame(frame: Frame) -> Layer:
    fields = (
        ("from", _address(frame.source)),
        ("to", _address(frame.destination)),
        ("control", _control(frame.control)),
        ("information", f"{len(frame.information)} octets{_segment(frame)}"),
    )
    return Layer(name="frame, both check sequences fit", fields=fields)


def _address(address: HdlcAddress) -> str:
    if address.lower is None:
        return str(address.upper)
    return f"{address.upper}/{address.lower} ({address.size} octets)"


def _segment(frame: Frame) -> str:
    return ", segment: more follows" if frame.segmented else ""


def _control(control: int) -> str:
    mark = ", P/F" if control & hdlc_control.POLL else ""
    expected = hdlc_control.expected_number(control)
    if hdlc_control.is_information(control):
        number = hdlc_control.sent_number(control)
        return f"I: information, N(S) {number}, N(R) {expected}{mark}"
    kind = hdlc_control.supervisory_kind(control)
    if kind is not None:
        return f"{_SUPERVISORY[kind]}, N(R) {expected}{mark}"
    unnumbered = hdlc_control.unnumbered_kind(control)
    return f"{_UNNUMBERED.get(unnumbered, f'control {control:#04x}')}{mark}"


def _carries_apdu(frame: Frame) -> bool:
    is_information = hdlc_control.is_information(frame.control)
    return bool(frame.information) and (
        is_information or hdlc_control.unnumbered_kind(frame.control) == hdlc_control.UI
    )


def _llc(octets: bytes, opener: Opener | None) -> Layer:
    header = octets[: len(LLC[True])]
    if header not in _LLC_NAMES:
        return Layer(name=f"no LLC: a later segment of something, {len(octets)} octets")
    apdu = explain_apdu(octets[len(header) :], opener)
    return Layer(name=f"LLC {header.hex()}: {_LLC_NAMES[header]}", inner=(apdu,))


def _with_initiate(
    layer: Layer,
    apdu: acse.AssociationRequest | acse.AssociationResponse,
    opener: Opener | None,
) -> Layer:
    """Add the initiate that an AARQ or an AARE carries, if it is to be read."""
    octets = apdu.user_information
    if octets[:1] in _CIPHERED_INITIATES:
        sealed = decode_initiate_envelope(octets[0], octets)
        return _with(layer, _seal("initiate, ciphered", sealed, apdu.system_title, opener, b""))
    return _with(layer, _initiate(octets)) if octets[:1] in _INITIATES else layer


def _initiate(octets: bytes) -> Layer:
    decode_initiate = _INITIATES[octets[:1]]
    return explain_value("initiate", decode_initiate(octets))


def _envelope(envelope: Envelope | GeneralCiphering, opener: Opener | None) -> Layer:
    if isinstance(envelope, GeneralCiphering):
        heading = envelope.heading
        layer = explain_value("general-ciphering", envelope)
        inner = _seal("seal", envelope.sealed, heading.originator, opener, heading.encode())
        return _with(layer, inner)
    title = envelope.system_title or (opener.system_title if opener else b"")
    fields = (("tag", f"{envelope.tag:#04x}"), ("system title", title.hex() or "not in it"))
    inner = _seal("seal", envelope.sealed, title, opener, b"")
    return Layer(name=f"ciphered APDU, {envelope.form}", fields=fields, inner=(inner,))


def _seal(name: str, sealed: bytes, title: bytes, opener: Opener | None, heading: bytes) -> Layer:
    """Explain what protects, and what is under it if the keys open it."""
    reader = Reader(sealed)
    control, counter = reader.octet(), reader.uint(4)
    said = [word for bit, word in _PROTECTIONS.items() if control & bit]
    fields = (
        ("control", f"{control:#04x}: suite {control & SUITE_BITS}, {' and '.join(said)}"),
        ("counter", str(counter)),
        ("length", f"{reader.remaining} octets"),
    )
    layer = Layer(name=name, fields=fields)
    if opener is None:
        return _with(layer, Layer(name="not opened: no keys given"))
    try:
        opened = unseal(opener.keys, system_title=title, sealed=sealed, heading=heading)
    except ProtectionError as error:
        return _with(layer, Layer(name=f"not opened: {error}"))
    return _with(layer, _opened(opened.plain, opener))


def _opened(plain: bytes, opener: Opener) -> Layer:
    if plain[:1] in _INITIATES:
        return _initiate(plain)
    # An encrypted P1 port seals whole telegrams.
    return explain_telegram(plain) if plain[:1] == b"/" else explain_apdu(plain, opener)


def _with(layer: Layer, inner: Layer) -> Layer:
    return Layer(name=layer.name, fields=layer.fields, inner=(*layer.inner, inner))
