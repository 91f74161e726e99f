"""Sealed telegrams: opened with their key alone, cut from a stream, refused when changed."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings, strategies as st

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.optical.dsmr.encryption import (
    ADDITIONAL_DEFAULT,
    SealedTelegramReader,
    TelegramKey,
    seal,
)
from quince.protocols.optical.iec62056_21.datasets import DataSet, Value
from quince.protocols.optical.telegram import Telegram

KEY = TelegramKey(encryption=bytes(range(16)))
TITLE = b"SAG5\x00\x06\x6c\x0e"
ONE = Telegram(
    identification="EST5\\253710000_A",
    data_sets=(DataSet("1-0:1.8.0", (Value("006545766", "Wh"),)),),
    is_checked=True,
)
SEALED = seal(bytes(ONE), KEY, system_title=TITLE, counter=372)


def read(pieces: Iterable[bytes], key: TelegramKey = KEY) -> list[Telegram | str]:
    """Return each telegram, and "damaged" for what is none."""
    reader, found = SealedTelegramReader(key), list[Telegram | str]()
    for piece in pieces:
        reader.receive_data(piece)
        found += list(iter(lambda: next_or_damaged(reader), "none"))
    return found


def next_or_damaged(reader: SealedTelegramReader) -> Telegram | str:
    try:
        return reader.next_telegram() or "none"
    except CodecError:
        return "damaged"


def test_the_head_is_that_of_a_recorded_sagemcom() -> None:
    recorded = bytes.fromhex("DB08 53414735 00066C0E 82 01F2 30 00000174".replace(" ", ""))
    padded = bytes(ONE) + bytes(0x01F2 - 17 - len(bytes(ONE)))
    assert seal(padded, KEY, system_title=TITLE, counter=0x174)[:18] == recorded


def test_another_implementation_opens_what_was_sealed() -> None:
    nonce, ciphered = TITLE + SEALED[14:18], SEALED[18:-12]
    whole = AESGCM(KEY.encryption).encrypt(nonce, bytes(ONE), ADDITIONAL_DEFAULT)
    assert (whole[:-16], whole[-16:-4]) == (ciphered, SEALED[-12:])


@settings(max_examples=150)
@given(st.binary(max_size=60), st.lists(st.integers(1, 60), max_size=8))
def test_a_telegram_is_found_behind_noise_however_the_stream_is_cut(
    noise: bytes, cuts: list[int]
) -> None:
    stream = noise + SEALED + SEALED
    ends = [0, *(sum(cuts[: i + 1]) for i in range(len(cuts))), len(stream)]
    pieces = [stream[begin:end] for begin, end in pairwise(ends)]
    assert read(pieces)[-2:] == [ONE, ONE]
    assert read(pieces) == read([stream])


def test_a_false_head_in_front_costs_no_telegram() -> None:
    false = bytes.fromhex("DB08 0000000000000000 82 0050 30 00000000".replace(" ", ""))
    assert read([false + SEALED]) == ["damaged", ONE]


@pytest.mark.parametrize("position", [3, 15, 40, len(SEALED) - 1])
def test_one_changed_octet_is_refused(position: int) -> None:
    changed = bytearray(SEALED)
    changed[position] ^= 1
    assert read([bytes(changed)]) == ["damaged"]


def test_another_key_or_other_additional_data_open_nothing() -> None:
    assert read([SEALED], TelegramKey(encryption=bytes(16))) == ["damaged"]
    other = TelegramKey(encryption=KEY.encryption, additional=b"\x30" + bytes(16))
    assert read([SEALED], other) == ["damaged"]


@pytest.mark.parametrize("length", ["0000", "001c", "ffff"])
def test_a_length_that_cannot_be_is_refused(length: str) -> None:
    assert read([SEALED[:11] + bytes.fromhex(length) + SEALED[13:]]) == ["damaged"]


def test_a_key_is_not_shown_and_has_sixteen_octets() -> None:
    assert "000102" not in repr(KEY)
    assert "\\x01" not in repr(KEY)
    with pytest.raises(InvalidValueError, match="16 octets"):
        TelegramKey(encryption=b"short")


def test_a_system_title_has_eight_octets() -> None:
    with pytest.raises(InvalidValueError, match="system_title"):
        seal(b"", KEY, system_title=b"", counter=1)
