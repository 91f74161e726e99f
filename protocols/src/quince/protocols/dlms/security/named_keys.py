"""The keys that general-ciphering names in each APDU: the global one, a wrapped one, an agreed one.

A key that is wrapped or agreed on is new with each APDU, so that its counter tells nothing of
replay: the transaction does.
"""

from quince.model.rng import Rng
from quince.protocols.dlms.encoding.reader import sized
from quince.protocols.dlms.errors import ProtectionError
from quince.protocols.dlms.security import elliptic
from quince.protocols.dlms.security.credentials import Ciphering
from quince.protocols.dlms.security.elliptic import present
from quince.protocols.dlms.security.envelopes import Form, Heading, KeyInfo
from quince.protocols.dlms.security.sealing import unwrap_key, wrap_key
from quince.protocols.dlms.security.suite import Keys


def originate(own: Ciphering, form: Form, heading: Heading, rng: Rng) -> tuple[Keys, KeyInfo]:
    """Return the keys to seal with, and what lets the recipient find them."""
    match form:
        case Form.WRAPPED_KEY:
            key = rng.randbytes(own.keys.suite.key_octets)
            octets = wrap_key(_master(own), key)
        case Form.EPHEMERAL_KEY:
            ephemeral = elliptic.generate(own.keys.suite)
            point = elliptic.encode_point(ephemeral.public_key())
            octets = point + elliptic.sign(present(own.key_pairs.signing, "signing"), point)
            key = _agree(own, ephemeral, _peer_agreement(own), heading, b"")
        case Form.STATIC_KEYS:
            octets, key = b"", _agree_statically(own, heading)
        case _:
            return own.keys, KeyInfo(form=Form.GENERAL_CIPHERING)
    return own.keys.encrypting_with(key), KeyInfo(form=form, octets=octets)


def recover(own: Ciphering, heading: Heading, info: KeyInfo) -> Keys:
    """Return the keys that the originator sealed with; ProtectionError if they cannot be had."""
    match info.form:
        case Form.WRAPPED_KEY:
            key = unwrap_key(_master(own), info.octets)
            if len(key) != own.keys.suite.key_octets:
                raise ProtectionError(f"a wrapped key of {len(key)} octets")
        case Form.EPHEMERAL_KEY:
            key = _agree(own, _agreement(own), _ephemeral(own, info.octets), heading, b"")
        case Form.STATIC_KEYS:
            key = _agree_statically(own, heading)
        case _ if info.broadcast:
            if own.keys.broadcast is None:
                raise ProtectionError("sealed with a broadcast key, and none is known")
            key = own.keys.broadcast
        case _:
            return own.keys
    return own.keys.encrypting_with(key)


def _ephemeral(own: Ciphering, octets: bytes) -> elliptic.PublicKey:
    """Return the originator's ephemeral key; unsigned, anybody could have put it there."""
    key = present(own.key_pairs.peer_signing, "signing")
    half = 2 * elliptic.coordinate_octets(key)
    if not elliptic.verifies(key, octets[:half], octets[half:]):
        raise ProtectionError("the ephemeral key is not signed by the originator")
    return elliptic.decode_point(own.keys.suite, octets[:half])


def _agree_statically(own: Ciphering, heading: Heading) -> bytes:
    nonce = sized(heading.transaction_id)
    return _agree(own, _agreement(own), _peer_agreement(own), heading, nonce)


def _agree(
    own: Ciphering,
    private: elliptic.PrivateKey,
    public: elliptic.PublicKey,
    heading: Heading,
    nonce: bytes,
) -> bytes:
    return elliptic.agree(
        own.keys.suite,
        private,
        public,
        originator=heading.originator + nonce,
        recipient=heading.recipient,
    )


def _agreement(own: Ciphering) -> elliptic.PrivateKey:
    return present(own.key_pairs.agreement, "agreement")


def _peer_agreement(own: Ciphering) -> elliptic.PublicKey:
    return present(own.key_pairs.peer_agreement, "agreement")


def _master(own: Ciphering) -> bytes:
    if own.keys.master is None:
        raise ProtectionError("no master key is known")
    return own.keys.master
