"""What recorded P1 telegrams tell: clock, registers, and the meters on the M-Bus."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from quince.model.errors import CodecError
from quince.protocols.optical.dsmr import objects
from quince.protocols.optical.dsmr.objects import Child, ChildReading
from quince.protocols.optical.iec62056_21.datasets import parse_data_sets
from quince.protocols.optical.telegram import Telegram, TelegramReader

CET_MIN = 60


def recorded(public_data: Path, name: str) -> Telegram:
    reader = TelegramReader()
    reader.receive_data((public_data / "protocols" / "dsmr" / f"{name}.txt").read_bytes() + b"\r\n")
    telegram = reader.next_telegram()
    assert telegram is not None
    return telegram


def telegram_of(text: str) -> Telegram:
    return Telegram(
        identification="QNC5TEST", data_sets=tuple(parse_data_sets(text)), is_checked=True
    )


@pytest.mark.parametrize(
    ("name", "total_wh", "at_utc"),
    [
        ("amshan_moded_0", 896_020, datetime(2021, 2, 22, 15, 19, tzinfo=UTC)),
        ("amshan_moded_1", 21_833_830, datetime(2018, 9, 24, 11, 21, 32, tzinfo=UTC)),
        ("amshan_moded_2", 1_605_055, datetime(2020, 10, 20, 7, 52, 22, tzinfo=UTC)),
        ("telegram_esy5q3da1004_v304", 32_549_506, None),
        ("telegram_esy5q3db1024_v304", 52_185_782, None),
        ("telegram_fluvius_v171", 15_792, datetime(2020, 5, 12, 11, 54, 9, tzinfo=UTC)),
        ("telegram_iskra_ie", 20_363, datetime(2023, 2, 2, 11, 27, 47, tzinfo=UTC)),
        ("telegram_sagemcom_t210_d_r", 6_545_766, datetime(2022, 10, 6, 13, 50, 14, tzinfo=UTC)),
        ("telegram_unpadded_crc", None, datetime(2026, 2, 15, 19, 5, 23, tzinfo=UTC)),
        ("telegram_v3", 24_691_356, None),
        ("telegram_v4_2", 3_016_829, datetime(2016, 11, 13, 19, 57, 57, tzinfo=UTC)),
        ("telegram_v5", 6825, datetime(2017, 1, 2, 18, 20, 2, tzinfo=UTC)),
        ("telegram_v5_two_mbus", 2_375_582, datetime(2020, 4, 26, 20, 33, 25, tzinfo=UTC)),
    ],
)
def test_recorded_telegrams_tell_import_and_time(
    public_data: Path, name: str, total_wh: int | None, at_utc: datetime | None
) -> None:
    telegram = recorded(public_data, name)
    registers = {str(obis): value for obis, value in objects.registers(telegram).items()}
    assert registers.get("1-0:1.8.0") == total_wh
    assert objects.clock(telegram, CET_MIN) == at_utc


def test_a_child_has_its_own_moment_and_unit(public_data: Path) -> None:
    gas, water = objects.children(recorded(public_data, "telegram_fluvius_v171"), CET_MIN)
    at_utc = datetime(2020, 5, 12, 11, 45, 58, tzinfo=UTC)
    assert gas == Child(
        channel=1,
        device_type=3,
        equipment_id="7FLO2119033733",
        reading=ChildReading(at_utc=at_utc, value=Decimal("112.384"), unit="m3"),
    )
    assert (water.channel, water.device_type) == (2, 7)


def test_a_child_of_dsmr_3_has_its_value_on_a_line_of_its_own(public_data: Path) -> None:
    (gas,) = objects.children(recorded(public_data, "telegram_v3"), CET_MIN)
    assert gas.reading == ChildReading(
        at_utc=datetime(2009, 2, 12, 15, tzinfo=UTC), value=Decimal("1.001"), unit="m3"
    )


def test_a_child_that_never_answered_has_no_reading(public_data: Path) -> None:
    silent, gas = objects.children(recorded(public_data, "telegram_v5_two_mbus"), CET_MIN)
    assert (silent.equipment_id, silent.reading) == ("", None)
    assert gas.equipment_id == "G0039001936990619"


def test_a_child_without_a_value_or_a_known_type_is_still_there() -> None:
    text = "0-1:24.1.0(?)0-1:24.3.0(090212160000)(00)(60)(1)(0-1:24.2.1)(m3)0-2:24.1.0(007)"
    odd, bare = objects.children(telegram_of(text), CET_MIN)
    assert odd == Child(channel=1, device_type=None, equipment_id="", reading=None)
    assert bare == Child(channel=2, device_type=7, equipment_id="", reading=None)


def test_a_child_whose_register_is_no_number_is_refused() -> None:
    telegram = telegram_of("0-1:24.1.0(003)0-1:24.2.1(200512134558S)(ERR*m3)")
    with pytest.raises(CodecError, match="not a register"):
        objects.children(telegram, CET_MIN)


@pytest.mark.parametrize(
    ("text", "hour"), [("260701120000W", 11), ("260701120000S", 10), ("260701120000", 11)]
)
def test_the_letter_tells_winter_and_summer(text: str, hour: int) -> None:
    assert objects.parse_stamp(text, CET_MIN) == datetime(2026, 7, 1, hour, tzinfo=UTC)


def test_the_repeated_hour_of_october_is_told_apart() -> None:
    summer = objects.parse_stamp("261025023000S", CET_MIN)
    winter = objects.parse_stamp("261025023000W", CET_MIN)
    assert (winter - summer).total_seconds() == 3600


@given(st.datetimes(datetime(2001, 1, 1), datetime(2098, 1, 1)), st.integers(-840, 840))  # noqa: DTZ001 - hypothesis adds the zone
def test_a_stamp_comes_back(shown: datetime, offset_min: int) -> None:
    moment = shown.replace(microsecond=0, tzinfo=UTC)
    assert objects.parse_stamp(objects.render_stamp(moment, offset_min), offset_min) == moment


@pytest.mark.parametrize("text", ["", "261301120000W", "260701120000X", "26070112000٣W"])
def test_what_is_no_stamp_is_refused(text: str) -> None:
    with pytest.raises(CodecError, match="not a time stamp"):
        objects.parse_stamp(text, CET_MIN)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("0-0:96.1.1(4B384547303034303436333935353037)", "K8EG004046395507"),
        ("0-0:96.1.1(3960221976967177082151037881335713)", "3960221976967177082151037881335713"),
        ("0-0:96.1.255*255(1ESY1336001560)", "1ESY1336001560"),
        ("0-0:96.1.1()", ""),
        ("1-0:1.8.0(1*kWh)", ""),
    ],
)
def test_the_equipments_name_is_text_or_the_text_behind_its_digits(text: str, name: str) -> None:
    assert objects.equipment_id(telegram_of(text)) == name
