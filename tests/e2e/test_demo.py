"""The main job, whole: processes, sockets, a pseudo-terminal, a broker, a bill."""

import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from quince.firmware_sims.load import Household
from quince.model.interval import STEP

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
HAS_MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin") is not None
DRY_MIDNIGHT = datetime(2026, 4, 30, 6, 0, tzinfo=UTC)  # El Salvador is UTC-6
WET_MIDNIGHT = DRY_MIDNIGHT + timedelta(days=1)
BILLED = Household(seed=1001, base_wh=420)  # as demo/meters.toml has it


@pytest.fixture(
    scope="module",
    params=[
        "embedded",
        pytest.param(
            "mosquitto",
            marks=pytest.mark.skipif(
                not HAS_MOSQUITTO, reason="mosquitto is not installed (`make mosquitto`)"
            ),
        ),
    ],
)
def screen(request, tmp_path_factory):
    """What the demonstration prints when played once with this broker."""
    folder = tmp_path_factory.mktemp("demo") / "stage"
    command = [sys.executable, "-m", "demo.run", "--once", "--broker", request.param]
    done = subprocess.run(
        [*command, "--folder", str(folder)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def kwh(midnight, first_hour, end_hour):
    slots = range(first_hour * 4, end_hour * 4)
    return sum(BILLED.interval_wh(midnight + slot * STEP) for slot in slots) / 1000


def test_every_meter_with_a_profile_has_both_days_and_they_add_up(screen):
    rows = re.findall(r"(QN-100\d)  (\d+)/(\d+) intervals .*?(=|≠|not)", screen)
    assert rows == [
        (meter, "96", "96", "=") for meter in ("QN-1001", "QN-1002", "QN-1004") for _ in range(2)
    ]


def test_the_outage_opens_with_the_last_gasp_and_closes_with_the_restoration(screen):
    assert "last gasp of QN-1002 at 00:20" in screen
    assert "restored at 00:40, after 20 minutes" in screen


def test_the_bill_is_the_households_truth_by_season_and_block(screen):
    def billed(name):
        (quantity,) = re.findall(rf"{name} +([\d.]+) kWh", screen)
        return float(quantity)

    assert billed("Dry season, PUNTA") == kwh(DRY_MIDNIGHT, 18, 23)
    assert billed("Dry season, RESTO") == kwh(DRY_MIDNIGHT, 5, 18)
    assert billed("Dry season, VALLE") == kwh(DRY_MIDNIGHT, 0, 5) + kwh(DRY_MIDNIGHT, 23, 24)
    assert billed("Wet season, PUNTA") == kwh(WET_MIDNIGHT, 18, 23)
    assert billed("Wet season, RESTO") == kwh(WET_MIDNIGHT, 5, 18)
    assert billed("Wet season, VALLE") == kwh(WET_MIDNIGHT, 0, 5) + kwh(WET_MIDNIGHT, 23, 24)


def test_the_same_intervals_make_the_same_bill_whatever_the_broker(screen):
    assert re.search(r"ELECTRICITY BILL +a6c9f45045e68806", screen)
    assert "Intervals 192 of 192 received, 0 estimated." in screen


def test_the_screen_is_one_screen_and_ends_with_urls(screen):
    lines = screen.splitlines()
    assert len(lines) <= 60
    assert any("/api/accounts'" in line for line in lines[-6:])
    assert "gets 403" in lines[-1]
