"""Lists of values: rendered and parsed back, and those of 25 recorded meters."""

from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from quince.model.errors import CodecError, InvalidValueError
from quince.model.obis import ACTIVE_IMPORT_REGISTER, Obis
from quince.protocols.optical.sml import fields
from quince.protocols.optical.sml.messages import (
    UNIT_WH,
    Entry,
    ValueList,
    cumulative_registers,
    parse_lists,
    render_content,
    serial_number,
)
from quince.protocols.optical.sml.transport import FileReader

OBIS = st.builds(Obis, *[st.integers(0, 255)] * 6)
ENTRIES = st.builds(
    Entry,
    obis=OBIS,
    value=st.integers(-(2**63), 2**63 - 1) | st.binary(min_size=1, max_size=20) | st.booleans(),
    unit=st.integers(0, 255),
    scaler=st.integers(-127, 127),
    status=st.none() | st.integers(0, 2**32 - 1) | st.binary(min_size=1, max_size=4),
)
LISTS = st.builds(
    ValueList, server_id=st.binary(max_size=12), entries=st.lists(ENTRIES, max_size=20).map(tuple)
)
ONE = ValueList(
    server_id=b"\x0a\x01QNC\x00\x00\x00\x03\xec",
    entries=(Entry(obis=ACTIVE_IMPORT_REGISTER, value=12_345, unit=UNIT_WH, scaler=-1),),
)


def recorded(public_data: Path, name: str) -> list[ValueList]:
    reader = FileReader()
    reader.receive_data((public_data / "protocols" / "sml" / f"{name}.bin").read_bytes())
    content = reader.next_file()
    assert content is not None
    return parse_lists(content)


def registers(public_data: Path, name: str) -> dict[str, int]:
    (values,) = recorded(public_data, name)
    return {str(obis): wh for obis, wh in cumulative_registers(values.entries).items()}


@given(LISTS, st.integers(0, 2**31))
def test_a_list_comes_back_from_its_content(values: ValueList, number: int) -> None:
    assert parse_lists(render_content(values, number)) == [values]


@settings(max_examples=200)
@given(st.integers(0, 200), st.integers(0, 255))
def test_a_changed_octet_raises_codec_error_and_nothing_else(at: int, octet: int) -> None:
    content = bytearray(render_content(ONE, 1))
    content[at % len(content)] = octet
    try:
        lists = parse_lists(bytes(content))
    except CodecError:
        return
    assert len(lists) <= 3


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("DZG_DVS-7412.2_jmberg", {"1-0:1.8.0": 5_430_157, "1-0:2.8.0": 26_244_572}),
        ("DZG_DVS-7420.2V.G2_mtr0", {"1-0:1.8.0": 607_447, "1-0:2.8.0": 1_266_728}),
        ("EMH_eHZ361L5R_1", {"1-0:2.8.1": 114_427_402}),
        ("HOLLEY_DTZ541-BDBA_with_PIN", {"1-0:1.8.0": 2_355_929}),
        ("ISKRA_MT691_eHZ-MS2020", {"1-0:1.8.0": 198_927}),
    ],
)
def test_registers_of_recorded_meters_are_read(
    public_data: Path, name: str, expected: dict[str, int]
) -> None:
    assert registers(public_data, name) == expected


@pytest.mark.parametrize("name", ["ISKRA_MT631-D1A52-K0z-H01", "ITRON_OpenWay-3.HZ"])
def test_without_its_pin_a_meter_shows_whole_kilowatt_hours(public_data: Path, name: str) -> None:
    with_pin = registers(public_data, f"{name}_with_PIN")["1-0:1.8.0"]
    without = registers(public_data, f"{name}_without_PIN")["1-0:1.8.0"]
    assert with_pin % 1000 != 0
    assert without % 1000 == 0


def test_every_recorded_meter_gives_a_list(public_data: Path) -> None:
    files = sorted((public_data / "protocols" / "sml").glob("*.bin"))
    readable = [path.stem for path in files if path.stem != "DZG_DVS-7420.2V.G2_mtr1_error"]
    assert all(len(recorded(public_data, name)) == 1 for name in readable)
    assert len(readable) == 24


@pytest.mark.parametrize(
    ("server_id", "name"),
    [
        ("0901454d48000041f045", "1EMH0004321349"),
        ("0a01484c59020003a910", "1HLY0200239888"),
        ("06454d4801001d4615ca", "06454d4801001d4615ca"),
        ("0a01000000020003a910", "0a01000000020003a910"),
        ("", ""),
    ],
)
def test_a_server_is_called_what_is_printed_on_it(server_id: str, name: str) -> None:
    assert serial_number(bytes.fromhex(server_id)) == name


@pytest.mark.parametrize(
    "entry",
    [
        Entry(obis=ACTIVE_IMPORT_REGISTER, value=-1, unit=UNIT_WH),
        Entry(obis=ACTIVE_IMPORT_REGISTER, value=b"1", unit=UNIT_WH),
        Entry(obis=ACTIVE_IMPORT_REGISTER, value=True, unit=UNIT_WH),
        Entry(obis=ACTIVE_IMPORT_REGISTER, value=1, unit=27),
        Entry(obis=Obis(1, 0, 16, 7, 0), value=1, unit=UNIT_WH),
        Entry(obis=Obis(7, 0, 1, 8, 0), value=1, unit=UNIT_WH),
        Entry(obis=Obis(1, 0, 1, 8, 0, 96), value=1, unit=UNIT_WH),  # of the last day
    ],
)
def test_what_is_no_current_energy_is_no_register(entry: Entry) -> None:
    assert cumulative_registers([entry]) == {}


def test_a_register_beyond_all_stores_is_refused() -> None:
    with pytest.raises(CodecError, match="a register above"):
        cumulative_registers(
            [Entry(obis=ACTIVE_IMPORT_REGISTER, value=1, unit=UNIT_WH, scaler=127)]
        )


def message(body: bytes, tag: bytes = fields.unsigned(0x0701, 2)) -> bytes:
    choice = fields.field_list([tag, body])
    head = [fields.ABSENT, fields.unsigned(0, 1), fields.unsigned(0, 1), choice]
    return fields.field_list([*head, fields.unsigned(0, 2), fields.END_OF_MESSAGE])


def listing(*entries: bytes) -> bytes:
    absent = fields.ABSENT
    body = [absent, absent, absent, absent, fields.field_list(entries), absent, absent]
    return message(fields.field_list(body))


def entry_of(name: bytes, value: bytes, scaler: bytes = fields.ABSENT) -> bytes:
    absent = fields.ABSENT
    return fields.field_list(
        [fields.octet_string(name), absent, absent, absent, scaler, value, absent]
    )


def test_an_entry_without_a_plain_value_is_left_out() -> None:
    name = bytes(ACTIVE_IMPORT_REGISTER)
    without = entry_of(name, fields.ABSENT)
    nested = entry_of(name, fields.field_list([]))
    (values,) = parse_lists(listing(without, nested))
    assert values.entries == ()


@pytest.mark.parametrize(
    "content",
    [
        b"\x01",
        message(fields.ABSENT),
        message(fields.field_list([]), tag=fields.ABSENT),
        message(fields.field_list([fields.ABSENT] * 7)),
        listing(fields.ABSENT),
        listing(entry_of(b"short", fields.unsigned(1, 1))),
        listing(entry_of(bytes(6), fields.unsigned(1, 1), fields.octet_string(b"x"))),
        listing(entry_of(bytes(6), fields.unsigned(1, 1), fields.signed(-128, 1))),
        fields.field_list([fields.ABSENT] * 6),
    ],
)
def test_what_is_no_list_is_refused(content: bytes) -> None:
    with pytest.raises(CodecError):
        parse_lists(content)


def test_a_scaler_has_one_octet() -> None:
    with pytest.raises(InvalidValueError, match="scaler"):
        Entry(obis=ACTIVE_IMPORT_REGISTER, value=1, scaler=128)
