"""Security setup: the meter gets other keys, and demands more protection but never less."""

from collections.abc import Sequence
from dataclasses import replace

from quince.firmware_sims.dlms.objects import MeterObject
from quince.model.clock import Clock
from quince.model.errors import InvalidValueError
from quince.protocols.dlms.apdu.reference import AccessResult
from quince.protocols.dlms.cosem.names import SECURITY_SETUP, ClassId
from quince.protocols.dlms.cosem.security_setup import KeyId, read_key_transfer
from quince.protocols.dlms.encoding.axdr import Data, octet_string
from quince.protocols.dlms.encoding.tags import Tag
from quince.protocols.dlms.errors import ProtectionError
from quince.protocols.dlms.security.counters import MemoryCounters
from quince.protocols.dlms.security.credentials import (
    Authentication,
    Ciphering,
    ciphering_of,
    with_keys,
)
from quince.protocols.dlms.security.sealing import unwrap_key
from quince.protocols.dlms.security.suite import Keys

_POLICY_MAX = 0xFF


class SecuritySetup:
    """Holds how clients prove themselves; associations to come go by what it holds then.

    An association that stands keeps the keys it began with.
    """

    def __init__(self, accepts: Sequence[Authentication], truth: Clock) -> None:
        self.accepts = tuple(accepts)
        self._truth = truth
        self._policy = 0

    def described(self) -> list[MeterObject]:
        """Return the security setup object; none for a meter that ciphers nothing."""
        ciphering = self._ciphering()
        if ciphering is None:
            return []
        described = MeterObject(
            class_id=ClassId.SECURITY_SETUP,
            version=1,
            name=SECURITY_SETUP,
            reads={
                2: lambda: Data(Tag.ENUM, self._policy),
                3: lambda: Data(Tag.ENUM, ciphering.keys.suite),
                5: lambda: octet_string(ciphering.system_title),
            },
            methods={1: self._activate, 2: self._transfer_keys},
        )
        return [described]

    def _ciphering(self) -> Ciphering | None:
        return next(filter(None, map(ciphering_of, self.accepts)), None)

    def _activate(self, data: Data) -> AccessResult:
        policy = data.as_int()
        if not 0 <= policy <= _POLICY_MAX or self._policy & ~policy:
            return AccessResult.READ_WRITE_DENIED
        self._policy = policy
        return AccessResult.SUCCESS

    def _transfer_keys(self, data: Data) -> AccessResult:
        """Replace all keys that are named, or none."""
        ciphering = self._ciphering()
        if ciphering is None or ciphering.keys.master is None:
            return AccessResult.READ_WRITE_DENIED
        keys = ciphering.keys
        try:
            for key_id, wrapped in read_key_transfer(data):
                keys = _with_key(keys, key_id, unwrap_key(ciphering.keys.master, wrapped))
        except (ProtectionError, InvalidValueError):
            return AccessResult.OTHER_REASON
        self.accepts = tuple(self._with_keys(one, keys) for one in self.accepts)
        return AccessResult.SUCCESS

    def _with_keys(self, one: Authentication, keys: Keys) -> Authentication:
        own = ciphering_of(one)
        if own is None:
            return one
        if keys.encryption == own.keys.encryption:
            return with_keys(one, keys, own.counters)
        # Under a new key everybody counts anew; the meter from where it never was.
        first = int(self._truth.now_utc().timestamp())
        return with_keys(one, keys, MemoryCounters(first=first))


def _with_key(keys: Keys, key_id: KeyId, key: bytes) -> Keys:
    match key_id:
        case KeyId.ENCRYPTION:
            return replace(keys, encryption=key)
        case KeyId.AUTHENTICATION:
            return replace(keys, authentication=key)
        case KeyId.BROADCAST:
            return replace(keys, broadcast=key)
        case KeyId.MASTER:
            return replace(keys, master=key)
