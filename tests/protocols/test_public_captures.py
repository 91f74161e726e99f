"""Every public capture is read by something; one with an error in it is refused, as it should be.

A file that nobody reads makes this red, and so does a capture that is read as something else than
it was.
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from quince.model.errors import CodecError
from quince.model.obis import Obis
from quince.protocols.dlms.apdu import acse, initiate
from quince.protocols.dlms.apdu.apdu import decode_apdu
from quince.protocols.dlms.apdu.reference import Ref
from quince.protocols.dlms.encoding import axdr
from quince.protocols.dlms.encoding.date_time import decode_date_time
from quince.protocols.dlms.links.hdlc_frame import FrameReader
from quince.protocols.dlms.links.link import ApduReceived
from quince.protocols.dlms.links.wrapper import WrapperLink
from quince.protocols.dlms.security.envelopes import decode_envelope
from quince.protocols.dlms.security.sealing import unseal
from quince.protocols.dlms.security.suite import Keys
from quince.protocols.modbus.points import NumberType, Order, Point, Table
from quince.protocols.modbus.sunspec import BASES, MARKER, METER_MODELS, ModelWalk
from quince.protocols.optical.iec62056_21 import datasets, messages
from quince.protocols.optical.sml.messages import parse_lists
from quince.protocols.optical.sml.transport import FileReader
from quince.protocols.optical.telegram import Telegram, TelegramReader

# What stands beside the captures and is none itself.
NOTES = {"SOURCES.md", "sml/FILES", "**/*.license", "dlms/gxf_profiles/configlookup.json"}


@pytest.fixture
def captures(public_data: Path) -> Path:
    return public_data / "protocols"


def _require(read: object) -> object:
    if not read:
        raise CodecError("nothing in it")
    return read


# --- octets of any kind -----------------------------------------------------------------


def _apdu(octets: bytes) -> object:
    return decode_envelope(octets) or decode_apdu(octets)


def _unwrapped(octets: bytes) -> bytes:
    link = WrapperLink()
    link.receive_data(octets)
    event = link.next_event()
    assert isinstance(event, ApduReceived | None)
    return event.apdu if event else b""


def _behind_llc(octets: bytes) -> object:
    """Read an information field, or the head of a notification whose body is another capture."""
    if octets[:3] not in (b"\xe6\xe6\x00", b"\xe6\xe7\x00"):
        raise CodecError("no LLC header")
    kind = _kind(octets[3:])
    return kind if kind != "none" else decode_apdu(octets[3:] + axdr.encode(axdr.NULL))


def _sml(octets: bytes) -> list[int]:
    """Return how many values each file of a stream holds; -1 for one that is damaged."""
    reader = FileReader()
    counts: list[int] = []
    reader.receive_data(octets)
    while True:
        try:
            content = reader.next_file()
            if content is None:
                return counts
            counts.append(sum(len(values.entries) for values in parse_lists(content)))
        except CodecError:
            counts.append(-1)


def _text(octets: bytes) -> object:
    """Read a read-out's text, with or without what goes around it."""
    text = octets.rpartition(b"\x02")[2].partition(b"!")[0]
    return datasets.parse_data_sets(text.decode("latin-1"))


KINDS: dict[str, Callable[[bytes], object]] = {
    "wrapper": lambda octets: _apdu(_unwrapped(octets)),
    "hdlc": lambda octets: _require(FrameReader().feed(octets)),
    "hdlc without flags": lambda octets: _require(FrameReader().feed(b"~" + octets + b"~")),
    "llc": _behind_llc,
    "aarq": acse.decode_request,
    "aare": acse.decode_response,
    "rlrq": lambda octets: acse.decode_release(acse.RLRQ, octets),
    "rlre": lambda octets: acse.decode_release(acse.RLRE, octets),
    "initiate request": initiate.decode_request,
    "initiate response": initiate.decode_response,
    "apdu": _apdu,
    "data": axdr.decode,
    "date-time": lambda octets: decode_date_time(octets, fallback_offset_min=0),
    "sml": lambda octets: _require([one for one in _sml(octets) if one >= 0]),
    "telegram": lambda octets: Telegram.parse(octets.strip() + b"\r\n"),
    "identification": messages.Identification.parse,
    "command": messages.Command.parse,
    "block": messages.DataBlock.parse,
    "text": _text,
}


def _kind(octets: bytes) -> str:
    for kind, read in KINDS.items():
        try:
            read(octets)
        except CodecError:
            continue
        return kind
    return "none"


def _kinds(path: Path) -> Counter[str]:
    entries = json.loads(path.read_text())
    texts = (entry if isinstance(entry, str) else entry["hex"] for entry in entries)
    return Counter(_kind(bytes.fromhex(text)) for text in texts)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        # None: keys, titles and single fields, blocks of a longer value, errors made on purpose.
        (
            "dlms/dlms_cosem_tests_mit.json",
            {
                "aare": 5,
                "aarq": 6,
                "apdu": 25,
                "data": 9,
                "date-time": 3,
                "hdlc": 6,
                "initiate request": 2,
                "initiate response": 2,
                "llc": 2,
                "none": 49,
                "rlre": 2,
                "rlrq": 1,
                "wrapper": 13,
            },
        ),
        ("dlms/gxf_push_last_gasp.json", {"wrapper": 2}),
        (
            "han/amshan_frames.json",
            {"data": 9, "hdlc without flags": 2, "llc": 7, "telegram": 4, "text": 3},
        ),
        # None: wrong check characters, and one that is missing.
        ("iec62056-21/pwitab_messages.json", {"block": 3, "command": 2, "none": 3, "text": 8}),
        # None: SML with an error, SML as text, a name and a serial number alone.
        (
            "iec62056-21/smartmeter_obis_d0_sml.json",
            {"identification": 7, "none": 7, "sml": 4, "telegram": 3, "text": 8},
        ),
    ],
)
def test_octet_strings_are_read_as_what_they_are(
    captures: Path, name: str, kinds: dict[str, int]
) -> None:
    assert _kinds(captures / name) == kinds


def test_what_was_made_wrong_on_purpose_is_refused(captures: Path) -> None:
    """But for wrong tags and kinds that are another APDU's right ones."""
    entries = json.loads((captures / "dlms/dlms_cosem_tests_mit.json").read_text())
    wrong = [bytes.fromhex(one["hex"]) for one in entries if "raises" in one["test"]]
    assert Counter(map(_kind, wrong)) == {"apdu": 8, "none": 21}


def test_every_frame_of_the_recorded_sessions_is_found(captures: Path) -> None:
    cases = json.loads((captures / "dlms/golden_transcripts.json").read_text())["cases"]
    frames: dict[str, list[bytes]] = {"wrapper": [], "hdlc": []}
    for case in cases:
        link = frames[case["transport"].partition(" ")[0]]
        link += [bytes.fromhex(text) for _, _, text in case["frames"]]
    assert {link: len(found) for link, found in frames.items()} == {"wrapper": 86, "hdlc": 328}
    assert all(map(_unwrapped, frames["wrapper"]))
    assert all(len(FrameReader().feed(frame)) == 1 for frame in frames["hdlc"])


def test_the_green_books_examples_are_opened(captures: Path) -> None:
    book = json.loads((captures / "dlms/greenbook_suite0_verified.json").read_text())
    keys = Keys(encryption=bytes.fromhex(book["ek"]), authentication=bytes.fromhex(book["ak"]))
    title = bytes.fromhex(book["system_title"])
    sealed = [bytes.fromhex(one["expected"]) for one in book["vectors"] if "SC" in one["name"]]
    opened = [unseal(keys, system_title=title, sealed=octets) for octets in sealed]
    assert [(one.control, _kind(one.plain)) for one in opened] == [
        (0x30, "initiate request"),
        (0x10, "apdu"),
        (0x20, "apdu"),
        (0x30, "apdu"),
    ]


# --- files of one kind ------------------------------------------------------------------


DAMAGED_SML = {"DZG_DVS-7420.2V.G2_mtr1_error.bin": (0, 7), "dzg_dwsb20_2th_3byte.bin": (14, 2)}


def test_every_sml_file_is_read_but_for_the_damaged(captures: Path) -> None:
    counts = {path.name: _sml(path.read_bytes()) for path in captures.glob("sml/*.bin")}
    assert len(counts) == 25
    assert all(0 not in files for files in counts.values())
    damaged = {
        name: (len(files) - files.count(-1), files.count(-1))
        for name, files in counts.items()
        if -1 in files
    }
    assert damaged == DAMAGED_SML


def _telegrams(path: Path) -> list[int]:
    """Return how many data sets each telegram of a file holds; some lost their last line end."""
    reader = TelegramReader()
    counts: list[int] = []
    reader.receive_data(path.read_bytes() + b"\r\n")
    while (telegram := reader.next_telegram()) is not None:
        counts.append(len(telegram.data_sets))
    return counts


def test_every_telegram_is_read(captures: Path) -> None:
    counts = {path.stem: _telegrams(path) for path in captures.glob("dsmr/*.txt")}
    assert counts == {
        "amshan_moded_0": [27],
        "amshan_moded_1": [33],
        "amshan_moded_2": [27],
        "telegram_esy5q3da1004_v304": [8],
        "telegram_esy5q3db1024_v304": [9],
        "telegram_fluvius_v171": [36],
        "telegram_iskra_ie": [25],
        "telegram_sagemcom_t210_d_r": [18],
        "telegram_unpadded_crc": [8],
        "telegram_v3": [17],
        "telegram_v4_2": [33],
        "telegram_v5": [37],
        "telegram_v5_two_mbus": [38],
    }


def _refs(path: Path) -> Iterator[Ref]:
    """Give every attribute that an object profile names; x stands for an M-Bus channel."""
    for each in json.loads(path.read_text()).get("objects", ()):
        name = Obis(*map(int, each["obis"].replace("x", "1").split(".")))
        yield from (Ref(each["class-id"], name, one["id"]) for one in each["attributes"])


def test_every_object_profile_names_attributes_that_can_be(captures: Path) -> None:
    profiles = captures.glob("dlms/gxf_profiles/dlmsprofile-*.json")
    assert {
        path.stem.removeprefix("dlmsprofile-"): len(list(_refs(path))) for path in profiles
    } == {
        "dsmr22": 135,
        "dsmr422": 225,
        "smr43": 14,
        "smr500": 302,
        "smr51": 12,
        "smr52": 90,
        "smr55": 11,
    }


def _point(address: str, kind: str) -> Point:
    return Point(
        obis=Obis(1, 0, 1, 8, 0),
        address=int(address, 0),
        table=Table.INPUT,
        type=NumberType(kind),
        order=Order.ABCD,
        unit="kWh",
    )


def test_every_register_table_names_registers_that_can_be(captures: Path) -> None:
    points = []
    for path in captures.glob("modbus/mbmd/*.csv"):
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        points += [_point(row["address"], "float32") for row in csv.DictReader(lines)]
    assert len(points) == 688


def test_every_template_names_registers_that_can_be(captures: Path) -> None:
    register = re.compile(r"address: (\w+)[^#]*?(?:#[^\n]*)?\n(?:[^\n]*\n){1,8}? *decode: (\w+)")
    texts = [path.read_text() for path in captures.glob("modbus/evcc/*.yaml")]
    points = [_point(*found) for text in texts for found in register.findall(text)]
    assert len(points) == 34


def _model(path: Path) -> tuple[int, int]:
    """Return a model's number, and its registers where nothing of it repeats."""
    model: dict[str, Any] = json.loads(path.read_text())
    return model["id"], sum(point["size"] for point in model["group"]["points"])


def test_a_map_of_every_sunspec_model_is_walked(captures: Path) -> None:
    models = dict(_model(path) for path in captures.glob("modbus/sunspec/*.json"))
    assert {number: models[number] for number in METER_MODELS} == METER_MODELS
    begins = list(accumulate(models.values(), initial=BASES[0] + 2))
    headers = zip(models, (size - 2 for size in models.values()), strict=True)
    map_ = dict(zip(begins, [*headers, (0xFFFF, 0)], strict=True)) | {BASES[0]: MARKER}
    walk = ModelWalk()
    while walk.address is not None:
        walk.receive(map_[walk.address])
    assert [model.number for model in walk.models] == list(models)


# --- all files --------------------------------------------------------------------------

READ = {
    "dlms/dlms_cosem_tests_mit.json",
    "dlms/gxf_push_last_gasp.json",
    "dlms/golden_transcripts.json",
    "dlms/greenbook_suite0_verified.json",
    "dlms/gxf_profiles/dlmsprofile-*.json",
    "dsmr/*.txt",
    "han/amshan_frames.json",
    "iec62056-21/*.json",
    "modbus/evcc/*.yaml",
    "modbus/mbmd/*.csv",
    "modbus/sunspec/model_*.json",
    "sml/*.bin",
}


def test_no_file_is_read_by_nobody(captures: Path) -> None:
    files = {path for path in captures.rglob("*") if path.is_file()}
    known = {path for pattern in READ | NOTES for path in captures.glob(pattern)}
    assert files - known == set()
    assert all(list(captures.glob(pattern)) for pattern in READ | NOTES)
