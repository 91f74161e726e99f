from datetime import date
from decimal import Decimal

import pytest

from quince.billing.tariff.calendar import BlockSpan, DayType, MonthDay
from quince.billing.tariff.charges import MonthBasis, Per, RoundingMode
from quince.billing.tariff.document import parse_tariff, read_tariff, tariff_bytes, tariff_sha256
from quince.billing.tariff.tariff import Tariff
from quince.model.errors import InvalidValueError


def test_a_price_in_the_file_is_exact_millionths(tariff: Tariff) -> None:
    assert tariff.price_of("DRY", "PUNTA") == 183_983
    assert tariff.demand[0].price_micro_per_kw_month == 6_329_066
    assert tariff.loss_factor == Decimal("1.015")


def test_the_file_says_how_amounts_are_rounded_and_months_divided(tariff: Tariff) -> None:
    assert (tariff.rounding.places, tariff.rounding.mode) == (2, RoundingMode.HALF_UP)
    assert tariff.month_basis is MonthBasis.CALENDAR
    assert tariff.fixed[0].per is Per.DAY


def test_hours_past_midnight_belong_to_both_ends_of_the_day(tariff: Tariff) -> None:
    spans = tariff.calendar.schedules[0].spans
    assert spans[0] == BlockSpan(block="VALLE", first_quarter=0, end_quarter=20)
    assert spans[-1] == BlockSpan(block="VALLE", first_quarter=92, end_quarter=96)


@pytest.mark.parametrize("hours", ['"23:00-24:00", "00:00-05:00"', '"23:00-00:00", "00:00-05:00"'])
def test_midnight_may_be_written_either_way(hours: str, tariff_text: str, tariff: Tariff) -> None:
    assert parse_tariff(tariff_text.replace('"23:00-05:00"', hours)) == tariff


def test_a_schedule_holds_for_all_day_types_unless_it_names_some(tariff: Tariff) -> None:
    assert {s.day_type for s in tariff.calendar.schedules if s.season == "DRY"} == set(DayType)


def test_seasons_are_month_and_day(tariff: Tariff) -> None:
    assert tariff.calendar.seasons[0].first == MonthDay(11, 1)


def test_what_is_kept_reads_back_the_same(tariff: Tariff) -> None:
    assert read_tariff(tariff_bytes(tariff)) == tariff


def test_the_kept_form_has_no_float(tariff: Tariff) -> None:
    assert b'"loss_factor":"1.015"' in tariff_bytes(tariff)
    assert b'"rate":"0.13"' in tariff_bytes(tariff)


def test_the_hash_does_not_see_comments_or_the_order_of_keys(
    tariff_text: str, tariff: Tariff
) -> None:
    line = 'id = "SV-HORARIO"\n'
    moved = "# another comment\n" + tariff_text.replace(line, "").replace(
        'currency = "USD"\n', 'currency = "USD"\n' + line
    )
    assert tariff_sha256(parse_tariff(moved)) == tariff_sha256(tariff)


def test_the_hash_sees_the_last_digit_of_a_price(tariff_text: str, tariff: Tariff) -> None:
    dearer = parse_tariff(tariff_text.replace("0.183983", "0.183984"))
    assert tariff_sha256(dearer) != tariff_sha256(tariff)


def test_holidays_are_kept_once_and_in_order(tariff_text: str) -> None:
    text = tariff_text.replace(
        "valid_to = 2026-12-31\n",
        "valid_to = 2026-12-31\nholidays = [2026-12-25, 2026-05-01, 2026-12-25]\n",
    )
    assert parse_tariff(text).calendar.holidays == (date(2026, 5, 1), date(2026, 12, 25))


@pytest.mark.parametrize(
    ("right", "wrong", "field"),
    [
        ("price_per_kwh = 0.183983", "price_per_kwh = 0.1839831", "energy.0.price_per_kwh"),
        ("price_per_kwh = 0.183983", "price_per_kwh = -0.1", "energy.0.price_per_kwh"),
        ("price_per_kwh = 0.183983", "price_per_kwh = 0.1\nprize = 2", "energy.0.prize"),
        ('currency = "USD"', 'currency = "dollars"', "currency"),
        ('first = "11-01"', 'first = "1 Nov"', "season"),
        ('first = "11-01"', 'first = "02-30"', "month_day"),
        ('"18:00-23:00"', '"18:00-22:59"', "hours"),
        ('"18:00-23:00"', '"18:00-25:00"', "span"),
        ('"18:00-23:00"', '"18:00-18:00"', "span"),
        ('per = "DAY"', 'per = "WEEK"', "fixed.0.per"),
        ('zone = "America/El_Salvador"', 'zone = "America/Atlantis"', "zone"),
        ('zone = "America/El_Salvador"', 'zone = "../etc"', "zone"),
        ("valid_from = 2026-01-01", "valid_from = 2027-01-01", "valid_to"),
        ("loss_factor = 1.015", "loss_factor = 0.985", "loss_factor"),
        ("places = 2", "places = 7", "rounding.places"),
        ("rate = 0.13", "rate = 13", "percent.rate"),
        ("rate = 0.13", 'rate = 0.13\nbase = ["ENERGIA"]', "IVA.base"),
        ('code = "IVA"', 'code = "ENERGY"', "code"),
        ('season = "WET"', 'season = "DRY"', "energy"),
        ('id = "SV-HORARIO"', "id = ", "toml"),
        ("price = 0.433776", "price = 1000000.000001", "fixed.0.price"),
        ("price = 0.433776", "price = 1e999999", "fixed.0.price"),
        ("price_per_kwh = 0.183983", "price_per_kwh = 1e999999", "energy.0.price_per_kwh"),
    ],
)
def test_a_file_that_cannot_be_is_refused_by_name(
    right: str, wrong: str, field: str, tariff_text: str
) -> None:
    assert right in tariff_text
    with pytest.raises(InvalidValueError) as refused:
        parse_tariff(tariff_text.replace(right, wrong, 1))
    assert refused.value.field == field
