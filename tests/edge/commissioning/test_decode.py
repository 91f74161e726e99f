"""Any frame explained, layer by layer."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from quince.edge.commissioning.decode import OCTETS_MAX, explain, read_octets
from quince.edge.commissioning.dlms_frames import Opener
from quince.edge.commissioning.layer import render
from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.dlms.links.hdlc_frame import Frame, HdlcAddress
from quince.protocols.dlms.security.envelopes import (
    Form,
    GeneralCiphering,
    GeneralSigning,
    Heading,
    KeyInfo,
)
from quince.protocols.dlms.security.sealing import seal
from quince.protocols.dlms.security.suite import Keys
from quince.protocols.optical.iec62056_21.messages import DataBlock, Identification

GET_CLOCK = bytes.fromhex("c001c100080000010000ff0200")
CLIENT, SERVER = HdlcAddress(upper=16), HdlcAddress(upper=1)
# Green Book, 9.2.7: the keys and titles of its examples.
OPENER = Opener(
    keys=Keys(
        encryption=bytes.fromhex("000102030405060708090a0b0c0d0e0f"),
        authentication=bytes.fromhex("d0d1d2d3d4d5d6d7d8d9dadbdcdddedf"),
    ),
    system_title=bytes.fromhex("4d4d4d0000bc614e"),
)


def explained(octets, opener=None):
    return render(explain(octets, opener))


FRAME = Frame(destination=SERVER, source=CLIENT, control=0x10)


def frame(**changes):
    return replace(FRAME, **changes).encode()


def test_a_request_in_a_wrapper_is_told_from_ports_to_attribute():
    told = explained(bytes.fromhex("000100100001000d") + GET_CLOCK)
    assert told.splitlines()[:4] == [
        "wrapper",
        "  source port       16",
        "  destination port  1",
        "  length            13",
    ]
    assert "class 8, 0-0:1.0.0, attribute or method 2" in told


def test_a_connecting_frame_says_snrm_and_its_addresses():
    told = explained(frame(control=0x93))
    assert "SNRM: connect, P/F" in told
    assert "to           1" in told


def test_segments_of_one_apdu_are_joined_before_it_is_told():
    whole = bytes.fromhex("e6e600") + GET_CLOCK
    first = frame(information=whole[:7], segmented=True)
    second = frame(information=whole[7:], control=0x12)
    told = explained(first + second)
    assert "segment: more follows" in told
    assert "LLC e6e600: command" in told
    assert "0-0:1.0.0" in told


def test_a_frame_with_a_wrong_check_sequence_is_refused_with_the_reason():
    damaged = bytearray(frame(control=0x93))
    damaged[-2] ^= 1
    with pytest.raises(CodecError, match="HDLC: the frame check sequence does not fit"):
        explain(bytes(damaged))


def test_a_meters_date_is_read_out_of_its_octets():
    told = explained(bytes.fromhex("c401c100090c07ea0b150609300000000000"))
    assert "2026-11-21 09:48:00Z" in told


def test_a_ciphered_apdu_stays_closed_without_keys():
    sealed = bytes.fromhex("c81e3001234567411312ff935a47566827c467bc7d825c3be4a77c3fcc056b6b")
    told = explained(sealed)
    assert "0x30: suite 0, authenticated and encrypted" in told
    assert "counter  19088743" in told
    assert "not opened: no keys given" in told


def test_a_ciphered_apdu_is_opened_with_the_keys_of_the_green_book():
    sealed = bytes.fromhex("c81e3001234567411312ff935a47566827c467bc7d825c3be4a77c3fcc056b6b")
    assert "class 8, 0-0:1.0.0, attribute or method 2" in explained(sealed, OPENER)


def test_a_general_ciphering_names_both_parties_and_is_opened():
    heading = Heading(
        transaction_id=b"\1", originator=OPENER.system_title, recipient=b"QNG\0\0\0\0\1"
    )
    sealed = seal(
        OPENER.keys,
        protection=0x30,
        system_title=OPENER.system_title,
        counter=3,
        plain=GET_CLOCK,
        heading=heading.encode(),
    )
    key_info = KeyInfo(form=Form.GENERAL_CIPHERING)
    told = explained(
        GeneralCiphering(heading=heading, key_info=key_info, sealed=sealed).encode(), OPENER
    )
    assert "4d4d4d0000bc614e" in told
    assert "class 8, 0-0:1.0.0, attribute or method 2" in told


def test_a_signed_apdu_is_told_with_what_it_holds():
    heading = Heading(transaction_id=b"\1", originator=bytes(8), recipient=bytes(8))
    signing = GeneralSigning(heading=heading, content=GET_CLOCK, signature=bytes(64))
    told = explained(signing.encode())
    assert "signature not checked" in told
    assert "0-0:1.0.0" in told


def test_a_good_bye_is_told_as_one():
    assert explained(bytes.fromhex("6203800100")) == "RLRQ: release"
    assert explained(bytes.fromhex("6303800100")) == "RLRE: released"


def test_a_long_list_is_cut_and_says_so():
    assert "… and 8 more" in explained(bytes.fromhex("0128" + "1101" * 40))


def test_a_ciphered_apdu_under_other_keys_says_so():
    other = Keys(encryption=bytes(16), authentication=bytes(16))
    sealed = bytes.fromhex("c81e3001234567411312ff935a47566827c467bc7d825c3be4a77c3fcc056b6b")
    opener = Opener(keys=other, system_title=OPENER.system_title)
    assert "not opened: the tag does not verify" in explained(sealed, opener)


def test_a_password_is_never_shown():
    aarq = bytes.fromhex(
        "6036a1090607608574050801018a0207808b0760857405080201ac0a80083132333435363738"
        "be10040e01000000065f1f0400007e1f04b0"
    )
    told = explained(aarq)
    assert "12345678" not in told
    assert "3132333435363738" not in told
    assert "AARQ: associate" in told


def test_a_read_out_is_told_line_by_line():
    octets = bytes(Identification(maker="ISK", baud_character="5", name="MT174")) + bytes(
        DataBlock(text="1.8.0(000123.4*kWh)\r\n!\r\n")
    )
    told = explained(octets)
    assert "baud offered    9600" in told
    assert "1.8.0(000123.4*kWh)" in told


def test_a_modbus_answer_shows_its_registers():
    told = explained(bytes.fromhex("00010000000703030400010002"))
    assert told.splitlines()[-2:] == [
        "  read holding registers: response",
        "    registers  0001 0002",
    ]


def test_a_modbus_exception_is_named():
    assert "2 illegal data address" in explained(bytes.fromhex("000100000003038302"))


def test_a_modbus_rtu_frame_is_known_by_its_check_sequence():
    told = explained(bytes.fromhex("010300480002") + bytes.fromhex("441d"))
    assert told.startswith("Modbus RTU")


def modbus_tcp(pdu):
    return b"\0\1\0\0" + (1 + len(pdu)).to_bytes(2, "big") + b"\1" + pdu


def test_a_modbus_name_told_twice_is_shown_twice():
    told = explained(modbus_tcp(bytes.fromhex("2b0e0101000002") + b"\0\1A\0\1B"))
    assert told.splitlines()[-2:] == ["    object 0  A", "    object 0  B"]


@pytest.mark.parametrize("pdu", ["15e0e3425ef9b1ca77f282", "0f88f5020f83"])
def test_a_modbus_frame_the_library_cannot_write_again_is_refused(pdu):
    with pytest.raises(CodecError, match="no Modbus function"):
        explain(modbus_tcp(bytes.fromhex(pdu)))


@pytest.mark.parametrize("octets", [b"/ABC5\x1b[2J\r\n1.8.0(1*kWh)\r\n!\r\n"])
def test_what_would_clear_the_technicians_screen_is_spelt_out(octets):
    assert "ABC5\\x1b[2J" in explained(octets)


def signed(content, times):
    for _ in range(times):
        content = b"\xdf" + bytes(5) + bytes((len(content),)) + content + b"\0"
    return content


def test_a_signature_may_stand_around_another_but_not_for_ever():
    assert "class 8, 0-0:1.0.0" in explained(signed(GET_CLOCK, 2))
    with pytest.raises(CodecError, match="signatures around one another"):
        explain(signed(GET_CLOCK, 10))


def test_a_capture_of_hours_is_told_to_its_end():
    frames = frame(control=0x93) * 40_000
    told = explain(frames[:OCTETS_MAX])
    assert len(told.inner) > 20_000


# Half a megabyte of each took hours when every octet was looked at again from every one before.
@pytest.mark.parametrize("piece", [b"/", b"\x01", b"\x02", b"/(", b"/(!\r\n\x03", b"\x7e\xa0"])
def test_a_long_file_of_beginnings_without_an_end_is_refused(piece):
    with pytest.raises(CodecError):
        explain(piece * (OCTETS_MAX // 2 // len(piece)))


@pytest.mark.parametrize(
    ("octets", "kind"),
    [
        (b"/ABC5x\r\n\r\n1.8.0(1/2)\r\n!\r\n", "DSMR P1"),
        (b"(1/2)\r\n!\r\n/ABC5x\r\n\r\n1.8.0(1*kWh)\r\n!\r\n", "DSMR P1"),
        (bytes(DataBlock(text="1.8.0(1)\r\n!\r\n")), "IEC 62056-21"),
        (b"/ABC5x\r\n" + bytes(DataBlock(text="1.8.0(1)\r\n!\r\n")), "IEC 62056-21"),
        (b"/ABC5x\r\n" + bytes(DataBlock(text="1.8.0(1)")), "IEC 62056-21"),
    ],
)
def test_a_telegram_is_told_from_a_session(octets, kind):
    assert explained(octets).startswith(kind)


def test_octets_of_nothing_known_name_what_was_tried():
    with pytest.raises(CodecError, match=r"APDU.*COSEM data"):
        explain(b"\xff\xff\xff")


def test_digits_may_be_parted_as_anybody_parts_them():
    assert read_octets("7E A0-21:00, 0x02") == bytes.fromhex("7ea0210002")


def test_a_file_may_hold_octets_or_digits(tmp_path):
    (tmp_path / "raw.bin").write_bytes(GET_CLOCK)
    (tmp_path / "digits.txt").write_text(GET_CLOCK.hex(" ") + "\n")
    assert read_octets(str(tmp_path / "raw.bin")) == GET_CLOCK
    assert read_octets(str(tmp_path / "digits.txt")) == GET_CLOCK


def test_a_frame_may_be_longer_than_a_files_name():
    assert read_octets("7e" * 5000) == b"\x7e" * 5000


def test_a_file_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError("not yours")

    (tmp_path / "raw.bin").write_bytes(GET_CLOCK)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InvalidValueError, match=r"raw\.bin.*not yours"):
        read_octets(str(tmp_path / "raw.bin"))


def test_what_is_neither_digits_nor_a_file_is_refused():
    with pytest.raises(InvalidValueError, match="frame"):
        read_octets("no such thing")


def test_a_file_too_long_for_a_frame_is_refused(tmp_path):
    (tmp_path / "long.bin").write_bytes(bytes(OCTETS_MAX + 1))
    with pytest.raises(InvalidValueError, match="at most"):
        read_octets(str(tmp_path / "long.bin"))


@given(st.binary(max_size=200))
def test_whatever_octets_come_they_are_explained_or_refused(octets):
    try:
        told = explained(octets)
    except CodecError:
        told = "refused"
    assert told


def test_every_frame_of_the_captured_sessions_is_explained(public_data):
    cases = json.loads(
        (public_data / "protocols" / "dlms" / "golden_transcripts.json").read_text()
    )["cases"]
    frames = [bytes.fromhex(one[2]) for case in cases for one in case["frames"]]
    assert all(explained(octets) for octets in frames)


def _is_refused(octets):
    try:
        explain(octets)
    except CodecError:
        return True
    return False


@pytest.mark.parametrize("suffix", ["bin", "txt"])
def test_every_public_capture_is_explained_but_the_one_that_is_all_damage(public_data, suffix):
    captures = sorted((public_data / "protocols").rglob(f"*.{suffix}"))
    assert len(captures) > 10
    refused = {one.name for one in captures if _is_refused(one.read_bytes())}
    assert refused <= {"DZG_DVS-7420.2V.G2_mtr1_error.bin"}
