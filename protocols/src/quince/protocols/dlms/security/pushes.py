"""Opens what meters say unasked, outside of any association, under the keys of whoever says it.

    push = open_push(apdu, ciphering_of)

`ciphering_of(system_title)` returns the listener's own `Ciphering` with that meter, or None for a
stranger. Its counters must outlive the process: they are all that tells a push from its replay.
Give it the counters that sessions with the meter use: a meter counts pushes and answers with one
counter, and a push by UDP that an answer overtook is still believed (see ReplayWindow).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from quince.model.rng import Rng
from quince.protocols.dlms.errors import ProtectionError
from quince.protocols.dlms.security.credentials import Ciphering
from quince.protocols.dlms.security.envelopes import GeneralCiphering, decode_envelope
from quince.protocols.dlms.security.protection import Protection


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """A plain APDU, and the system title whose keys sealed it; None if it came in clear.

    Whether what came in clear is believed is the listener's to decide.
    """

    apdu: bytes
    system_title: bytes | None


def open_push(
    apdu: bytes,
    ciphering_of: Callable[[bytes], Ciphering | None],
    *,
    rng: Rng,
    sender_title: bytes = b"",
) -> Push:
    """Open general-glo, general-ciphering, and glo-event-notification (0xCA).

    The last does not say who sealed it: `sender_title` is whose it must be by its address.
    ProtectionError for strangers, wrong keys and too little protection, ReplayError for what was
    heard before, CodecError for octets that are no APDU. Dedicated keys belong to associations,
    the broadcast key to every meter: both are refused.
    """
    envelope = decode_envelope(apdu)
    if envelope is None:
        return Push(apdu=apdu, system_title=None)
    if isinstance(envelope, GeneralCiphering):
        title = envelope.heading.originator
    else:
        title = envelope.system_title or sender_title
    ciphering = ciphering_of(title) if title else None
    if ciphering is None:
        raise ProtectionError(f"a push sealed by nobody known: {title.hex()!r}")
    own = replace(ciphering, keys=replace(ciphering.keys, broadcast=None))
    protection = Protection(own, rng=rng, answers=True)
    protection.meet(title)
    return Push(apdu=protection.open_apdu(apdu), system_title=title)
