"""The proofs of high-level security: what each side makes of the other's challenge.

    mechanism      the client proves (pass 3)
    3 MD5          MD5(StoC ‖ secret)
    4 SHA-1        SHA-1(StoC ‖ secret)
    5 GMAC         control ‖ counter ‖ GMAC(StoC)
    6 SHA-256      SHA-256(secret ‖ titleC ‖ titleS ‖ StoC ‖ CtoS)
    7 ECDSA        signature over titleC ‖ titleS ‖ StoC ‖ CtoS

The server's proof (pass 4) changes the parts of C and S everywhere. Source: Green Book, table 42
as public summaries quote it; the order of MD5, SHA-1 and SHA-256 agrees with Gurux's Java client.
"""

import hashlib
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.constant_time import bytes_eq

from quince.model.rng import Rng
from quince.protocols.dlms.apdu.acse import Mechanism
from quince.protocols.dlms.encoding.reader import Reader
from quince.protocols.dlms.errors import AuthenticationError
from quince.protocols.dlms.security import elliptic
from quince.protocols.dlms.security.counters import COUNTER_OCTETS
from quince.protocols.dlms.security.credentials import Ecdsa, Gmac, Hashed, Hls
from quince.protocols.dlms.security.sealing import gmac

# The shortest and the longest challenge that the standard allows.
CHALLENGE_OCTETS_MIN, CHALLENGE_OCTETS_MAX = 8, 64
_CHALLENGE_OCTETS, _ECDSA_CHALLENGE_OCTETS = 16, 32  # ECDSA demands 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenges:
    """What one side knows before it proves: both titles, its own challenge and the other's.

    AuthenticationError if the other's is too short or too long, or our own come back: whoever
    reflects a challenge wants us to make the proof that it lacks.
    """

    own_title: bytes
    peer_title: bytes
    own: bytes = field(repr=False)
    peer: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not CHALLENGE_OCTETS_MIN <= len(self.peer) <= CHALLENGE_OCTETS_MAX:
            raise AuthenticationError(f"a challenge of {len(self.peer)} octets")
        if bytes_eq(self.own, self.peer):
            raise AuthenticationError("our own challenge came back")

    @property
    def ours(self) -> bytes:
        """What we prove over, in mechanisms 6 and 7."""
        return self.own_title + self.peer_title + self.peer + self.own

    @property
    def theirs(self) -> bytes:
        """What the other side proves over, in mechanisms 6 and 7."""
        return self.peer_title + self.own_title + self.own + self.peer


def new_challenge(own: Hls, rng: Rng) -> bytes:
    """Return a challenge never given before."""
    return rng.randbytes(_ECDSA_CHALLENGE_OCTETS if isinstance(own, Ecdsa) else _CHALLENGE_OCTETS)


def prove(own: Hls, challenges: Challenges) -> bytes:
    """Return our proof.

    GMAC takes a counter of its own, beside that of the APDU which carries the proof: one nonce
    for both would give the authentication subkey away.
    """
    match own:
        case Hashed():
            return _digest(own, challenges.peer, challenges.ours)
        case Gmac(keys=keys, counters=counters):
            counter, title = counters.reserve(), challenges.own_title
            return gmac(keys, system_title=title, counter=counter, text=challenges.peer)
        case Ecdsa():
            key = elliptic.present(own.key_pairs.signing, "signing")
            return elliptic.sign(key, challenges.ours)


def check_proof(own: Hls, challenges: Challenges, proof: bytes) -> None:
    """Check the other side's proof; AuthenticationError if it is wrong.

    The counter of a GMAC is not held against replay: the challenge is fresh, and some clients
    send proof and APDU under the same one.
    """
    match own:
        case Hashed():
            holds = bytes_eq(proof, _digest(own, challenges.own, challenges.theirs))
        case Gmac(keys=keys):
            reader = Reader(proof)
            _control, counter = reader.octet(), reader.uint(COUNTER_OCTETS)
            title = challenges.peer_title
            expected = gmac(keys, system_title=title, counter=counter, text=challenges.own)
            # `expected` says its control too, so that no other suite is believed.
            holds = bytes_eq(proof, expected)
        case Ecdsa():
            key = elliptic.present(own.key_pairs.peer_signing, "signing")
            holds = elliptic.verifies(key, challenges.theirs, proof)
    if not holds:
        raise AuthenticationError("the other side does not hold the secret, or the keys")


def _digest(own: Hashed, challenge: bytes, text: bytes) -> bytes:
    match own.mechanism:
        case Mechanism.MD5:
            return hashlib.md5(challenge + own.secret, usedforsecurity=False).digest()
        case Mechanism.SHA1:
            return hashlib.sha1(challenge + own.secret, usedforsecurity=False).digest()
        case _:
            return hashlib.sha256(own.secret + text).digest()
