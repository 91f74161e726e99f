"""What the simulated optical meter remembers of its household."""

from datetime import UTC, datetime, timedelta

from quince.firmware_sims.load import Household, Supply, metered_wh
from quince.firmware_sims.optical.memory import PROFILE_DEPTH, Memory
from quince.model.quality import Quality
from quince.protocols.optical.iec62056_21.datasets import cumulative_registers, meter_clock
from quince.protocols.optical.iec62056_21.profile import active_import, active_import_registers

MIDNIGHT = datetime(2026, 5, 1, 6, tzinfo=UTC)
NOON = datetime(2026, 5, 1, 18, 0, 30, 500_000, tzinfo=UTC)
HOUSEHOLD = Household(seed=7)


def quarter(number: int) -> datetime:
    return MIDNIGHT + number * timedelta(minutes=15)


def memory(*outages: tuple[datetime, datetime]) -> Memory:
    return Memory(
        household=HOUSEHOLD, supply=Supply(outages), serial="12345678", utc_offset_min=-360
    )


def test_register_and_clock_of_the_data_image_belong_together() -> None:
    image = memory().data_image(NOON, NOON)
    shown = meter_clock(image, -360)
    assert shown == NOON.replace(microsecond=0)
    assert list(cumulative_registers(image).values()) == [HOUSEHOLD.register_wh(shown)]


def test_the_profile_holds_what_the_household_used() -> None:
    (section,) = memory().sections(quarter(1), quarter(8), NOON)
    recorded = active_import([section])
    assert recorded[quarter(0)] == (HOUSEHOLD.interval_wh(quarter(0)), Quality.GOOD)
    assert len(recorded) == 8
    assert active_import_registers([section])[quarter(8)] == HOUSEHOLD.register_wh(quarter(8))


def test_a_quarter_hour_that_is_not_over_is_not_recorded() -> None:
    sections = memory().sections(quarter(47), quarter(60), NOON)
    assert list(active_import(sections)) == [quarter(46), quarter(47)]


def test_a_quarter_hour_without_mains_was_never_recorded_and_its_neighbours_say_why() -> None:
    dark = memory((quarter(2) + timedelta(minutes=5), quarter(4) + timedelta(minutes=1)))
    sections = dark.sections(quarter(1), quarter(6), NOON)
    recorded = active_import(sections)
    assert [section.status for section in sections] == [0, 0x80, 0x40, 0]
    assert [quality for _, quality in recorded.values()] == [0, 0, 8, 8, 0]
    assert quarter(3) not in recorded


def test_the_dark_time_costs_no_energy() -> None:
    outage = (quarter(2) + timedelta(minutes=5), quarter(4) + timedelta(minutes=1))
    dark = memory(outage)
    recorded = active_import(dark.sections(quarter(1), quarter(8), NOON))
    supply = Supply([outage])
    begun_wh = metered_wh(HOUSEHOLD, supply, quarter(0))
    ended_wh = metered_wh(HOUSEHOLD, supply, quarter(8))
    assert sum(value or 0 for value, _ in recorded.values()) == ended_wh - begun_wh


def test_the_profile_forgets_after_its_depth() -> None:
    sections = memory().sections(NOON - PROFILE_DEPTH * 2, NOON, NOON)
    assert len(active_import(sections)) == PROFILE_DEPTH // timedelta(minutes=15)


def test_a_range_that_begins_off_the_boundary_begins_with_the_next() -> None:
    (section,) = memory().sections(quarter(1) + timedelta(minutes=1), quarter(3), NOON)
    assert section.first_end_utc == quarter(2)
