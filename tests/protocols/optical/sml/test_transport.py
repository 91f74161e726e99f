"""SML files: framed and cut out again, however the stream is cut; refused when damaged."""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.crc import crc_kermit, crc_x25
from quince.protocols.optical.sml.transport import FILE_BYTES_MAX, FileReader, render_file

START, ESCAPE = b"\x1b" * 4 + b"\x01" * 4, b"\x1b" * 4
# Where an escape may come from: runs of 1b, beside other octets.
CONTENTS = st.lists(st.sampled_from([b"\x1b", b"\x1b" * 3, ESCAPE, b"\x01", b"\x1a", b"v"])).map(
    b"".join
)


def read(pieces: Iterable[bytes]) -> list[bytes | str]:
    """Return the content of each file, and "damaged" for what is none."""
    reader, found = FileReader(), list[bytes | str]()
    for piece in pieces:
        reader.receive_data(piece)
        found += list(iter(lambda: next_or_damaged(reader), "none"))
    return found


def next_or_damaged(reader: FileReader) -> bytes | str:
    try:
        content = reader.next_file()
    except CodecError:
        return "damaged"
    return "none" if content is None else content


def cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    ends = [0, *(sum(cuts[: i + 1]) for i in range(len(cuts))), len(stream)]
    return [stream[begin:end] for begin, end in pairwise(ends)]


@settings(max_examples=200)
@given(st.lists(CONTENTS | st.binary(max_size=30), max_size=3), st.lists(st.integers(1, 30)))
def test_contents_come_back_however_the_stream_is_cut(
    contents: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(map(render_file, contents))
    assert read(cut(stream, cuts)) == contents


@settings(max_examples=200)
@given(
    st.lists(st.sampled_from([START, ESCAPE, b"\x1a", b"\x01", b"\x00", b"\x1b"]), max_size=12),
    st.lists(st.integers(1, 9)),
)
def test_hostile_octets_cost_at_most_the_file_they_run_into(
    pieces: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(pieces) + render_file(b"one") + render_file(b"two")
    assert read(cut(stream, cuts)) == read([stream])
    assert read([stream])[-1] == b"two"


def test_a_file_is_framed_as_meters_frame_theirs() -> None:
    octets = render_file(b"v\x00")
    assert octets[:-2] == START + b"v\x00\x00\x00" + ESCAPE + b"\x1a\x02"
    assert octets[-2:] == crc_x25(octets[:-2]).to_bytes(2, "little")


def test_a_holley_checks_by_kermit_and_is_believed() -> None:
    body = render_file(b"content")[:-2]
    assert read([body + crc_kermit(body).to_bytes(2, "little")]) == [b"content"]


@pytest.mark.parametrize(
    "stream",
    [
        render_file(b"content")[:-1] + b"\xff",
        START + b"cont" + ESCAPE + b"\x02\x02\x02\x02",
        START + b"cont" + ESCAPE + b"\x03\x00\x00\x00",
    ],
    ids=["check", "escape", "timeout"],
)
def test_a_damaged_file_costs_only_itself(stream: bytes) -> None:
    assert read([stream + render_file(b"next")]) == ["damaged", b"next"]


def test_a_file_that_lost_its_end_costs_only_itself() -> None:
    assert read([render_file(b"content")[:-8] + render_file(b"next")]) == ["damaged", b"next"]


@pytest.mark.parametrize("fill", [4, 2])
def test_a_filling_that_cannot_be_is_refused(fill: int) -> None:
    body = START + b"cont" + ESCAPE + bytes((0x1A, fill))
    assert read([body + crc_x25(body).to_bytes(2, "little")]) == ["damaged"]


def test_a_file_without_an_end_is_given_up_at_its_bound() -> None:
    stream = START + b"7" * FILE_BYTES_MAX
    assert read([stream, render_file(b"next")]) == ["damaged", b"next"]


def test_a_file_that_is_too_long_is_not_framed() -> None:
    with pytest.raises(InvalidValueError, match="at most"):
        render_file(bytes(FILE_BYTES_MAX))


@pytest.mark.parametrize(
    ("name", "whole", "damaged"),
    [
        ("DZG_smartmeter-obis_ttyUSB0.dump", 202, 0),
        ("DZG_DVS-7420.2V.G2_mtr1_error", 0, 7),
        ("EMH_eHZ-IW8E2A5L0EK2P_with_error", 11, 0),
        ("dzg_dwsb20_2th_3byte", 14, 2),
        ("ISKRA_MT691_eHZ-MS2020", 18, 0),
    ],
)
def test_recordings_hold_the_files_they_hold(
    public_data: Path, name: str, whole: int, damaged: int
) -> None:
    octets = (public_data / "protocols" / "sml" / f"{name}.bin").read_bytes()
    found = read(cut(octets, [997] * (len(octets) // 997)))
    assert (len(found) - found.count("damaged"), found.count("damaged")) == (whole, damaged)
