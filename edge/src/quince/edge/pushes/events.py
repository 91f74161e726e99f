"""What a push says: which meter has lost its supply, or has it back, and when.

Two ways of saying so are known. MX382 meters send an event-notification of an object that means
it, with their device id. SMR 5 meters send a data-notification: device id, name of the push setup,
alarm registers; their bits are those that Grid eXchange Fabric reads (the order of the two bits
of register 3, last gasp and its test, is from memory).
"""

from dataclasses import dataclass

from quince.model.errors import CodecError
from quince.model.event import EventKind
from quince.model.obis import Obis
from quince.protocols.dlms.apdu.apdu import decode_apdu
from quince.protocols.dlms.apdu.notification import DataNotification, EventNotification
from quince.protocols.dlms.cosem.names import LAST_GASP, POWER_UP
from quince.protocols.dlms.encoding.axdr import Data
from quince.protocols.dlms.encoding.tags import Tag

_KINDS = {LAST_GASP: EventKind.LAST_GASP, POWER_UP: EventKind.POWER_UP}
# By the name of the push setup: which bit of the alarm register behind it says what.
_ALARMS: dict[bytes, tuple[int, EventKind | None]] = {
    bytes(Obis(0, 1, 25, 9, 0)): (1 << 2, EventKind.POWER_UP),
    bytes(Obis(0, 3, 25, 9, 0)): (1 << 0, EventKind.LAST_GASP),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A push in our words: None where it does not say, or not what we listen for."""

    kind: EventKind | None
    equipment_id: str | None
    date_time: bytes | None


def read_push(apdu: bytes) -> Said:
    """Read a plain APDU; CodecError if it is no notification."""
    notification = decode_apdu(apdu)
    if not isinstance(notification, EventNotification | DataNotification):
        raise CodecError("not a notification")
    return said_by(notification)


def said_by(notification: EventNotification | DataNotification) -> Said:
    """Return what a notification says."""
    match notification:
        case EventNotification() as event:
            return Said(
                kind=_KINDS.get(event.ref),
                equipment_id=_text(event.data),
                date_time=event.date_time,
            )
        case DataNotification(date_time=date_time, data=Data(Tag.STRUCTURE) as pushed):
            items = pushed.as_items()
            return Said(
                kind=_alarm(items),
                equipment_id=_text(items[0]) if items else None,
                date_time=date_time,
            )
        case DataNotification(date_time=date_time):
            return Said(kind=None, equipment_id=None, date_time=date_time)


def _alarm(items: tuple[Data, ...]) -> EventKind | None:
    match items:
        case (_, Data(Tag.OCTET_STRING, bytes() as name), Data(Tag.UINT32) as register, *_):
            bit, kind = _ALARMS.get(name, (0, None))
            return kind if register.as_int() & bit else None
        case _:
            return None  # a list of something else


def _text(data: Data) -> str | None:
    if data.tag is not Tag.OCTET_STRING:
        return None
    return data.as_octets().decode("ascii", errors="replace")
