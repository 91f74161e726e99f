"""Sealed P1 telegrams, as meters of Luxembourg (Smarty) and Austria (Sagemcom T210-D-r) push them.

`DB 08`, the meter's system title, a length, `30`, a counter of four octets, the telegram under
AES-128-GCM, a tag of twelve octets. Title and counter are the nonce.

Law: a telegram whose tag does not verify is none. A counter seen before is not refused: the port
only pushes, and forgets nothing it could be made to do twice.
Source: the frame is DLMS general-glo-ciphering, as the utilities' P1 documents describe it.
"""

import re
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.optical.telegram import TELEGRAM_BYTES_MAX, Telegram

# What the utilities publish as additional data: the security control and a common key.
ADDITIONAL_DEFAULT = bytes.fromhex("3000112233445566778899aabbccddeeff")
_CONTROL = 0x30  # authenticated and encrypted, suite 0
_TITLE_OCTETS, _COUNTER_OCTETS, _TAG_OCTETS, _KEY_OCTETS = 8, 4, 12, 16
_OVERHEAD = 1 + _COUNTER_OCTETS + _TAG_OCTETS
_HEAD = re.compile(rb"\xdb\x08(.{8})\x82(..)\x30(.{4})", re.DOTALL)
_MARK, _HEAD_OCTETS, _LENGTH_END = b"\xdb\x08", 18, 13


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramKey:
    """The customer's key, from the utility, and the additional data that is authenticated."""

    encryption: bytes = field(repr=False)
    additional: bytes = field(default=ADDITIONAL_DEFAULT, repr=False)

    def __post_init__(self) -> None:
        if len(self.encryption) != _KEY_OCTETS:
            raise InvalidValueError("telegram_key", "…", f"{_KEY_OCTETS} octets")


class SealedTelegramReader:
    """Gives each telegram of a sealed stream; what stands between them is noise."""

    def __init__(self, key: TelegramKey) -> None:
        self._key = key
        # Never more than one longest frame and what came with its end.
        self._buffer = bytearray()

    def receive_data(self, octets: bytes) -> None:
        """Take what the line gave."""
        self._buffer += octets

    def next_telegram(self) -> Telegram | None:
        """Return the next telegram, None when more octets are needed.

        CodecError for one that is damaged or sealed with another key.
        """
        begin = self._buffer.find(_MARK)
        if begin < 0:
            del self._buffer[: max(0, len(self._buffer) - 1)]
            return None
        del self._buffer[:begin]
        if len(self._buffer) < _HEAD_OCTETS:
            return None
        head = _HEAD.match(self._buffer)
        end = _LENGTH_END + int.from_bytes(head[2], "big") if head else 0
        if head is None or not _HEAD_OCTETS + _TAG_OCTETS <= end <= TELEGRAM_BYTES_MAX:
            del self._buffer[: len(_MARK)]
            raise CodecError("not the head of a sealed telegram")
        if len(self._buffer) < end:
            return None
        nonce, sealed = head[1] + head[3], bytes(self._buffer[_HEAD_OCTETS:end])
        return self._open(nonce, sealed, end)

    def _open(self, nonce: bytes, sealed: bytes, end: int) -> Telegram:
        """Return the telegram; what did not verify may hide the next one's head, and stays."""
        try:
            octets = _unseal(self._key, nonce, sealed)
        except CodecError:
            del self._buffer[: len(_MARK)]
            raise
        del self._buffer[:end]
        return Telegram.parse(octets)


def seal(octets: bytes, key: TelegramKey, *, system_title: bytes, counter: int) -> bytes:
    """Return what a meter sends of a telegram; a counter is used once with a key."""
    if len(system_title) != _TITLE_OCTETS:
        raise InvalidValueError("system_title", system_title.hex(), f"{_TITLE_OCTETS} octets")
    count = counter.to_bytes(_COUNTER_OCTETS, "big")
    mode = modes.GCM(system_title + count)
    encryptor = Cipher(algorithms.AES(key.encryption), mode).encryptor()
    encryptor.authenticate_additional_data(key.additional)
    ciphered = encryptor.update(octets) + encryptor.finalize()
    length = (len(octets) + _OVERHEAD).to_bytes(2, "big")
    head = _MARK + system_title + b"\x82" + length + bytes((_CONTROL,)) + count
    return head + ciphered + encryptor.tag[:_TAG_OCTETS]


def _unseal(key: TelegramKey, nonce: bytes, sealed: bytes) -> bytes:
    ciphered, tag = sealed[:-_TAG_OCTETS], sealed[-_TAG_OCTETS:]
    mode = modes.GCM(nonce, tag, min_tag_length=_TAG_OCTETS)
    decryptor = Cipher(algorithms.AES(key.encryption), mode).decryptor()
    decryptor.authenticate_additional_data(key.additional)
    try:
        return decryptor.update(ciphered) + decryptor.finalize()
    except InvalidTag:
        raise CodecError("the tag does not verify: another key, or a changed telegram") from None
