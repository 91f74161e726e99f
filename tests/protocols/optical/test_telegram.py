"""Telegrams of mode D and P1: rendered and read back, cut from a stream, refused when damaged."""

import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.optical.iec62056_21.datasets import DataSet, Value
from quince.protocols.optical.telegram import TELEGRAM_BYTES_MAX, Telegram, TelegramReader

TEXT = st.text("0123456789.+-: ", max_size=16)
DATA_SETS = st.builds(
    DataSet,
    st.text("0123456789.:-*&", max_size=16),
    st.lists(st.builds(Value, TEXT, st.none() | st.just("kWh")), min_size=1, max_size=3).map(tuple),
)
TELEGRAMS = st.builds(
    Telegram,
    identification=st.text("ABCabc0123\\ -", min_size=3, max_size=20),
    data_sets=st.lists(DATA_SETS, max_size=5).map(tuple),
    is_checked=st.booleans(),
)
ONE = Telegram(
    identification="QNC5TEST", data_sets=(DataSet("1.8.0", (Value("1", "kWh"),)),), is_checked=True
)


def read(pieces: Iterable[bytes]) -> list[Telegram | str]:
    """Return each telegram, and "damaged" for what is none."""
    reader, found = TelegramReader(), list[Telegram | str]()
    for piece in pieces:
        reader.receive_data(piece)
        found += list(iter(lambda: next_or_damaged(reader), "none"))
    return found


def next_or_damaged(reader: TelegramReader) -> Telegram | str:
    try:
        return reader.next_telegram() or "none"
    except CodecError:
        return "damaged"


@given(TELEGRAMS)
def test_a_telegram_comes_back_from_its_octets(telegram: Telegram) -> None:
    assert Telegram.parse(bytes(telegram)) == telegram


@settings(max_examples=150)
@given(st.lists(TELEGRAMS, min_size=1, max_size=3), st.lists(st.integers(1, 40), max_size=20))
def test_how_a_stream_is_cut_changes_nothing(telegrams: list[Telegram], cuts: list[int]) -> None:
    stream = b"noise!\r\n" + b"".join(map(bytes, telegrams))
    ends = [0, *(sum(cuts[: i + 1]) for i in range(len(cuts))), len(stream)]
    pieces = [stream[begin:end] for begin, end in pairwise(ends)]
    assert read(pieces) == telegrams


@settings(max_examples=150)
@given(st.binary(max_size=80), st.lists(st.integers(1, 30), max_size=8))
def test_hostile_octets_hide_no_telegram_behind_them(noise: bytes, cuts: list[int]) -> None:
    stream = noise + b"!\r\n" + bytes(ONE)
    ends = [0, *(sum(cuts[: i + 1]) for i in range(len(cuts))), len(stream)]
    pieces = [stream[begin:end] for begin, end in pairwise(ends)]
    assert read(pieces)[-1] == ONE
    assert read(pieces) == read([stream])


def test_a_telegram_that_lost_its_end_costs_only_itself() -> None:
    assert read([bytes(ONE)[:-12] + bytes(ONE)]) == ["damaged", ONE]


def test_a_telegram_that_lost_its_middle_is_refused() -> None:
    damaged = bytes(ONE).replace(b"1.8.0(1", b"1.8.0(")
    assert read([damaged + bytes(ONE)]) == ["damaged", ONE]


def test_a_telegram_without_an_end_is_given_up_at_its_bound() -> None:
    reader = TelegramReader()
    reader.receive_data(b"/QNC5TEST\r\n" + b"1" * TELEGRAM_BYTES_MAX)
    with pytest.raises(CodecError, match="no end"):
        reader.next_telegram()
    reader.receive_data(bytes(ONE))
    assert reader.next_telegram() == ONE


def test_a_check_may_lack_its_leading_zeros(public_data: Path) -> None:
    octets = (public_data / "protocols" / "dsmr" / "telegram_unpadded_crc.txt").read_bytes()
    (telegram,) = read([octets])
    assert isinstance(telegram, Telegram)
    assert telegram.is_checked


def test_every_recorded_telegram_is_read_and_those_with_a_check_are_right(
    public_data: Path,
) -> None:
    files = sorted((public_data / "protocols" / "dsmr").glob("*.txt"))
    found = {path.name: read([path.read_bytes() + b"\r\n"]) for path in files}
    telegrams = [one for (one,) in found.values() if isinstance(one, Telegram)]
    assert len(telegrams) == len(files) == 13
    unchecked = {name for name, (one,) in found.items() if b"!\r" in bytes(one)}  # type: ignore[arg-type]  # all are telegrams, as counted above
    assert unchecked == {
        "amshan_moded_1.txt",
        "telegram_esy5q3da1004_v304.txt",
        "telegram_esy5q3db1024_v304.txt",
        "telegram_v3.txt",
    }


def test_recorded_telegrams_of_other_hands_are_read(public_data: Path) -> None:
    path = public_data / "protocols" / "iec62056-21" / "smartmeter_obis_d0_sml.json"
    recorded = [(one["file"], bytes.fromhex(one["hex"])) for one in json.loads(path.read_text())]
    names = ("D0FastSend", "LocalFileD0", "StdInD0ModeD")
    stream = b"".join(octets for file, octets in recorded if any(name in file for name in names))
    telegrams = [one for one in read([stream]) if isinstance(one, Telegram)]
    assert [one.identification for one in telegrams] == [
        "?Bla0!",
        "SIE32WR5",
        "EMH5----eHZ-E0018E",
        "EMH5----eHZ-E0018E",
    ]


def test_a_data_set_is_found_by_its_address() -> None:
    telegram = Telegram(
        identification="ESY5Q3",
        data_sets=(DataSet("1-0:1.8.0*255", (Value("1", "kWh"),)),),
        is_checked=False,
    )
    assert telegram.find("1-0:1.8.0") == telegram.data_sets[0]
    assert telegram.find("1-0:2.8.0") is None


@pytest.mark.parametrize("identification", ["", "AB", "ABC/D", "ABC\r\n", "A" * 65])
def test_an_identification_that_would_break_the_telegram_is_refused(identification: str) -> None:
    with pytest.raises(InvalidValueError, match="identification"):
        Telegram(identification=identification, data_sets=(), is_checked=False)
