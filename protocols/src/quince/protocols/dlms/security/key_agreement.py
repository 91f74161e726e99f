"""Agreeing on a new global key by two ephemeral ones, as security setup's key_agreement does.

Each side makes a key pair, sends its point and a signature over key id and point, and derives the
same key: the ephemeral unified model C(2e, 0s). Source: Green Book, 9.2.3.4.6.2 and the example of
its table C.1, whose signature is among the tests.
"""

from quince.model.errors import InvalidValueError
from quince.protocols.dlms.errors import ProtectionError
from quince.protocols.dlms.security import elliptic
from quince.protocols.dlms.security.credentials import Ciphering
from quince.protocols.dlms.security.elliptic import present

# Global unicast, broadcast and authentication key, and the master key, as security setup names
# them.
_KEY_IDS = range(4)
_MASTER_KEY = 3


class KeyAgreement:
    """One side of one agreement; made anew for each."""

    def __init__(self, own: Ciphering, key_id: int) -> None:
        """Make an ephemeral key pair; InvalidValueError in suite 0, which has no curve."""
        if key_id not in _KEY_IDS:
            raise InvalidValueError("key_id", key_id, "0..3")
        self._own = own
        self._key_id = key_id
        self._ephemeral = elliptic.generate(own.keys.suite)

    def offer(self) -> bytes:
        """Return the point and its signature, for the other side."""
        point = elliptic.encode_point(self._ephemeral.public_key())
        signing = present(self._own.key_pairs.signing, "signing")
        return point + elliptic.sign(signing, bytes((self._key_id,)) + point)

    def agree(self, offer: bytes, *, client_title: bytes, server_title: bytes) -> bytes:
        """Return the new key; ProtectionError if the offer is not signed by the other side."""
        signing = present(self._own.key_pairs.peer_signing, "signing")
        half = 2 * elliptic.coordinate_octets(signing)
        point, signature = offer[:half], offer[half:]
        if not elliptic.verifies(signing, bytes((self._key_id,)) + point, signature):
            raise ProtectionError("the ephemeral key is not signed by the other side")
        return elliptic.agree(
            self._own.keys.suite,
            self._ephemeral,
            elliptic.decode_point(self._own.keys.suite, point),
            originator=client_title,
            recipient=server_title,
            wraps=self._key_id == _MASTER_KEY,
        )
