"""Security setup (class 64): which protection a meter demands, and how it gets other keys.

Attributes: 2 security_policy, 3 security_suite, 4 client_system_title, 5 server_system_title,
6 certificates. Methods: 1 security_activate, 2 key_transfer, 3 key_agreement, and those for
certificates. Keys travel wrapped under the master key (RFC 3394).
"""

from enum import IntEnum

from quince.model.errors import CodecError
from quince.protocols.dlms.apdu.reference import Ref
from quince.protocols.dlms.cosem.names import SECURITY_SETUP, ClassId, read_enum
from quince.protocols.dlms.encoding.axdr import Data, array, octet_string, structure
from quince.protocols.dlms.encoding.tags import Tag


def _ref(index: int) -> Ref:
    return Ref(ClassId.SECURITY_SETUP, SECURITY_SETUP, index)


POLICY, SUITE, CLIENT_TITLE, SERVER_TITLE = map(_ref, range(2, 6))
ACTIVATE, KEY_TRANSFER = map(_ref, range(1, 3))
# No meter has more; version 1 of the class names four.
_KEYS_MAX = 4


class KeyId(IntEnum):
    """Which key is meant."""

    ENCRYPTION = 0  # global unicast
    BROADCAST = 1
    AUTHENTICATION = 2
    MASTER = 3


def key_transfer(key_id: KeyId, wrapped: bytes) -> tuple[Ref, Data]:
    """Return the call that replaces a key by the one that is `wrapped` under the master key."""
    return KEY_TRANSFER, array((structure(Data(Tag.ENUM, key_id), octet_string(wrapped)),))


def read_key_transfer(data: Data) -> tuple[tuple[KeyId, bytes], ...]:
    """Read which keys shall be replaced, and their wrapped successors."""
    items = data.as_items()
    if not 1 <= len(items) <= _KEYS_MAX:
        raise CodecError(f"{len(items)} keys at once")
    pairs = (item.as_items(2) for item in items)
    return tuple((read_enum(KeyId, key_id), wrapped.as_octets()) for key_id, wrapped in pairs)
