"""One side of a ciphered association: what leaves is sealed, what arrives is opened and believed.

Law: an APDU that is not authenticated and encrypted is refused, whatever it says; so is one whose
counter, or whose transaction, was seen before. A client takes answers in the order in which they
were sealed, so that one withheld from an earlier association answers nothing in this one; and none
under the broadcast key, which every meter holds.
"""

from dataclasses import dataclass
from typing import Protocol

from quince.model.errors import CodecError
from quince.model.rng import Rng
from quince.protocols.dlms.apdu.notification import DATA_NOTIFICATION, EVENT_NOTIFICATION
from quince.protocols.dlms.encoding.reader import sized
from quince.protocols.dlms.errors import ProtectionError, ReplayError
from quince.protocols.dlms.security import elliptic
from quince.protocols.dlms.security.counters import Counters, MemoryCounters
from quince.protocols.dlms.security.credentials import Ciphering
from quince.protocols.dlms.security.elliptic import present
from quince.protocols.dlms.security.envelopes import (
    GENERAL_DED,
    GENERAL_GLO,
    GENERAL_SIGNING,
    Envelope,
    Form,
    GeneralCiphering,
    GeneralSigning,
    Heading,
    decode_envelope,
    decode_initiate_envelope,
    decode_signing,
    service_tag,
)
from quince.protocols.dlms.security.named_keys import originate, recover
from quince.protocols.dlms.security.sealing import (
    AUTHENTICATED_ENCRYPTED,
    BROADCAST,
    SEAL_OCTETS,
    SYSTEM_TITLE_OCTETS,
    Unsealed,
    seal,
    unseal,
)
from quince.protocols.dlms.security.suite import Keys

_TRANSACTION_OCTETS = 8
_TRANSACTION_MAX = 2**62  # so that any store can keep it
_LENGTH_OCTETS_MAX = 3  # no APDU is longer than 65,535 octets
# Tag and title of a general-glo; an APDU without a service-specific form takes it anyway.
_GENERAL_OCTETS = 2 + SYSTEM_TITLE_OCTETS + _LENGTH_OCTETS_MAX + SEAL_OCTETS
# Tag, transaction, both titles, no time and nothing else.
_HEADING_OCTETS = 1 + 1 + _TRANSACTION_OCTETS + 2 * (1 + SYSTEM_TITLE_OCTETS) + 2
# Presence, choice, parameters and lengths.
_KEY_INFO_OCTETS = 6
# Who counts transactions, and who counts under the broadcast key, beside a title's own counter.
_TRANSACTIONS, _BROADCASTS = b"/transactions", b"/broadcasts"
_NOTIFICATIONS = (bytes((DATA_NOTIFICATION,)), bytes((EVENT_NOTIFICATION,)))
_BEFORE_DEDICATED = {
    Form.DEDICATED: Form.SERVICE_SPECIFIC,
    Form.GENERAL_DEDICATED: Form.GENERAL_GLO,
}


class ApduProtection(Protocol):
    """What an association does to each APDU."""

    @property
    def overhead_octets(self) -> int:
        """The most that sealing adds."""
        ...

    def seal_apdu(self, plain: bytes) -> bytes:
        """Return the APDU as it is to travel."""
        ...

    def open_apdu(self, apdu: bytes) -> bytes:
        """Return the plain APDU; ProtectionError if it is not protected as it must be."""
        ...


class Clear:
    """An association without keys: APDUs travel as they are, and ciphered ones are refused."""

    overhead_octets = 0

    def seal_apdu(self, plain: bytes) -> bytes:
        """Return the APDU as it is."""
        return plain

    def open_apdu(self, apdu: bytes) -> bytes:
        """Return the APDU as it is; ProtectionError if it is ciphered."""
        if decode_envelope(apdu) is not None:
            raise ProtectionError("a ciphered APDU in an association without keys")
        return apdu


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dedicated:
    """The key of one association, and its counters, which begin anew with it."""

    keys: Keys
    counters: Counters


class Protection:
    """Seals and opens under one side's `Ciphering`.

    A client seals in its own form. A side that `answers` seals as the last APDU it opened was:
    a server, and whoever hears pushes.
    """

    def __init__(self, own: Ciphering, *, rng: Rng, answers: bool = False) -> None:
        self._own = own
        self._rng = rng
        self._answers = answers
        self._form = _BEFORE_DEDICATED.get(own.form, own.form)
        self._signs = own.signs
        self._dedicated: _Dedicated | None = None
        self._peer_title = b""
        # The highest counters of this association's answers, under the global and dedicated key.
        self._answered = {False: -1, True: -1}
        # The request under way, in general-ciphering.
        self._transaction_id = b""

    # -- the opening ---------------------------------------------------------------------

    def meet(self, peer_title: bytes) -> None:
        """Learn the other side's system title; ProtectionError if it is none, or our own.

        Under our own title both sides would use the same nonces.
        """
        own = self._own
        known = own.peer_title or peer_title
        if len(peer_title) != SYSTEM_TITLE_OCTETS or peer_title == own.system_title:
            raise ProtectionError(f"system title {peer_title.hex()!r} cannot be the other side's")
        if peer_title != known:
            raise ProtectionError(f"system title {peer_title.hex()}, not {known.hex()}")
        self._peer_title = peer_title

    def new_dedicated_key(self) -> bytes:
        """Return a key for this association, where the form wants one; else nothing."""
        if not self._own.form.is_dedicated:
            return b""
        key = self._rng.randbytes(self._own.keys.suite.key_octets)
        self.dedicate(key)
        return key

    def dedicate(self, key: bytes) -> None:
        """Take the key of this association; ProtectionError if it is none of the suite."""
        if len(key) != self._own.keys.suite.key_octets:
            raise ProtectionError(f"a dedicated key of {len(key)} octets")
        keys = self._own.keys.encrypting_with(key)
        self._dedicated = _Dedicated(keys=keys, counters=MemoryCounters())

    def establish(self) -> None:
        """Go over to the form of the services, once both sides are proven."""
        if not self._answers:
            self._form = self._own.form

    def seal_initiate(self, tag: int, plain: bytes) -> bytes:
        """Return a glo-initiate, request or response."""
        return bytes((tag,)) + sized(self._seal(plain, dedicated=False))

    def open_initiate(self, tag: int, octets: bytes) -> bytes:
        """Return the initiate in a glo-initiate, or in a general-glo as some meters send it."""
        if octets[:1] == bytes((GENERAL_GLO,)):
            return self.open_apdu(octets)
        sealed = decode_initiate_envelope(tag, octets)
        return self._open(sealed, dedicated=False)

    # -- what leaves ---------------------------------------------------------------------

    @property
    def overhead_octets(self) -> int:
        """The most that sealing adds to an APDU, in the form of now."""
        octets = _GENERAL_OCTETS
        key_octets = self._own.keys.suite.key_octets
        if self._form.is_general_ciphering:
            octets += _HEADING_OCTETS + _KEY_INFO_OCTETS
        if self._form is Form.WRAPPED_KEY:
            octets += key_octets + 8
        signing = self._own.key_pairs.signing
        signature_octets = 2 * elliptic.coordinate_octets(signing) if signing else 0
        if self._form is Form.EPHEMERAL_KEY:
            octets += 2 * signature_octets  # a point is as long as a signature
        if self._signs:
            octets += 1 + _HEADING_OCTETS + 2 * _LENGTH_OCTETS_MAX + signature_octets
        return octets

    def seal_apdu(self, plain: bytes) -> bytes:
        """Sign, if so agreed, and wrap a plain APDU in the form of now."""
        if self._signs:
            plain = self._sign(plain)
        if self._form.is_general_ciphering:
            return self._seal_for_recipient(plain)
        is_dedicated = self._form.is_dedicated
        tag, title = None, b""
        if self._form in (Form.SERVICE_SPECIFIC, Form.DEDICATED):
            tag = service_tag(plain, dedicated=is_dedicated)
        if tag is None:
            tag = GENERAL_DED if is_dedicated else GENERAL_GLO
            title = self._own.system_title
        sealed = self._seal(plain, dedicated=is_dedicated)
        return Envelope(tag=tag, system_title=title, sealed=sealed).encode()

    def _seal(self, plain: bytes, *, dedicated: bool) -> bytes:
        keys, counters = self._keys_of(dedicated=dedicated)
        return seal(
            keys,
            protection=AUTHENTICATED_ENCRYPTED,
            system_title=self._own.system_title,
            counter=counters.reserve(),
            plain=plain,
        )

    def _seal_for_recipient(self, plain: bytes) -> bytes:
        counter = self._own.counters.reserve()
        if not self._answers:
            self._transaction_id = counter.to_bytes(_TRANSACTION_OCTETS, "big")
        heading = self._heading()
        keys, key_info = originate(self._own, self._form, heading, self._rng)
        sealed = seal(
            keys,
            protection=AUTHENTICATED_ENCRYPTED,
            system_title=heading.originator,
            # Of the global key's counters even under a fresh key: no nonce can ever come twice.
            counter=counter,
            plain=plain,
            heading=heading.encode(),
        )
        return GeneralCiphering(heading=heading, key_info=key_info, sealed=sealed).encode()

    def _sign(self, plain: bytes) -> bytes:
        key = present(self._own.key_pairs.signing, "signing")
        unsigned = GeneralSigning(heading=self._heading(), content=plain, signature=b"")
        signature = elliptic.sign(key, unsigned.signed)
        return GeneralSigning(heading=unsigned.heading, content=plain, signature=signature).encode()

    def _heading(self) -> Heading:
        return Heading(
            transaction_id=self._transaction_id,
            originator=self._own.system_title,
            recipient=self._peer_title,
        )

    def _keys_of(self, *, dedicated: bool) -> tuple[Keys, Counters]:
        if not dedicated:
            return self._own.keys, self._own.counters
        if self._dedicated is None:
            raise ProtectionError("no dedicated key was agreed on")
        return self._dedicated.keys, self._dedicated.counters

    # -- what arrives --------------------------------------------------------------------

    def open_apdu(self, apdu: bytes) -> bytes:
        """Verify, decrypt, refuse what was seen before, and check the signature if there is one.

        ReplayError for the counter, ProtectionError for all else, CodecError if it is no APDU.
        """
        envelope = decode_envelope(apdu)
        if envelope is None:
            raise ProtectionError("a plain APDU in a ciphered association")
        if isinstance(envelope, GeneralCiphering):
            plain, form = self._open_addressed(envelope), envelope.key_info.form
        else:
            plain, form = self._open_envelope(envelope), envelope.form
        is_signed = plain[:1] == bytes((GENERAL_SIGNING,))
        if is_signed:
            plain = self._check_signature(plain)
        elif self._own.signs:
            raise ProtectionError("an APDU that is not signed")
        if self._answers:
            self._form, self._signs = form, is_signed
        return plain

    def _open_envelope(self, envelope: Envelope) -> bytes:
        if envelope.system_title not in (b"", self._peer_title):
            raise ProtectionError("another system title than at the association")
        plain = self._open(envelope.sealed, dedicated=envelope.form.is_dedicated)
        if not envelope.announces(plain):
            raise CodecError("the envelope announced another APDU")
        return plain

    def _open(self, sealed: bytes, *, dedicated: bool) -> bytes:
        keys, counters = self._keys_of(dedicated=dedicated)
        unsealed = unseal(keys, system_title=self._peer_title, sealed=sealed)
        if not unsealed.covers(AUTHENTICATED_ENCRYPTED):
            raise ProtectionError(f"security control {unsealed.control:#04x} protects too little")
        is_broadcast = bool(unsealed.control & BROADCAST)
        self._accept(counters, unsealed, is_broadcast=is_broadcast)
        self._require_turn(unsealed, dedicated=dedicated)
        return unsealed.plain

    def _accept(self, counters: Counters, unsealed: Unsealed, *, is_broadcast: bool) -> None:
        if is_broadcast and not self._answers:
            raise ProtectionError("an answer under the key that all meters share")
        kind = _BROADCASTS if is_broadcast else b""
        counters.accept(self._peer_title + kind, unsealed.counter)

    def _require_turn(self, unsealed: Unsealed, *, dedicated: bool) -> None:
        """Refuse an answer that was sealed before the last one; a push may have been overtaken."""
        if self._answers or unsealed.plain[:1] in _NOTIFICATIONS:
            return
        answered = self._answered[dedicated]
        if unsealed.counter <= answered:
            raise ReplayError(unsealed.counter, answered + 1)
        self._answered[dedicated] = unsealed.counter

    def _open_addressed(self, apdu: GeneralCiphering) -> bytes:
        heading, info = apdu.heading, apdu.key_info
        if (heading.originator, heading.recipient) != (self._peer_title, self._own.system_title):
            raise ProtectionError("sealed by or for another system title")
        unsealed = unseal(
            recover(self._own, heading, info),
            system_title=heading.originator,
            sealed=apdu.sealed,
            heading=heading.encode(),
        )
        if not unsealed.covers(AUTHENTICATED_ENCRYPTED) or unsealed.control & BROADCAST:
            raise ProtectionError(f"security control {unsealed.control:#04x} protects too little")
        if info.form is Form.GENERAL_CIPHERING:
            self._accept(self._own.counters, unsealed, is_broadcast=info.broadcast)
            self._require_turn(unsealed, dedicated=False)
        else:
            self._require_fresh(heading.transaction_id)
        if self._answers:
            self._transaction_id = heading.transaction_id
        return unsealed.plain

    def _require_fresh(self, transaction_id: bytes) -> None:
        """Refuse a transaction seen before; a client knows the only one that it waits for."""
        number = int.from_bytes(transaction_id, "big")
        if not 0 < len(transaction_id) <= _TRANSACTION_OCTETS or number > _TRANSACTION_MAX:
            raise ProtectionError(f"{transaction_id.hex()!r} tells no transaction from another")
        if self._answers:
            self._own.counters.accept(self._peer_title + _TRANSACTIONS, number)
        elif transaction_id != self._transaction_id:
            raise ProtectionError("an answer to another transaction")
        else:
            self._transaction_id = b""

    def _check_signature(self, plain: bytes) -> bytes:
        signing = decode_signing(plain)
        key = present(self._own.key_pairs.peer_signing, "signing")
        if signing is None or signing.heading.originator != self._peer_title:
            raise ProtectionError("signed by another system title")
        if not elliptic.verifies(key, signing.signed, signing.signature):
            raise ProtectionError("the signature does not verify")
        return signing.content
