"""Images come over a line that breaks, and are what was signed or nothing."""

import hashlib

import pytest

from quince.edge.commands import firmware
from quince.edge.commands.firmware import FirmwareDoor
from quince.edge.commands.rules import RefusedError
from quince.edge.config import HeadendConfig
from quince.edge.errors import HeadendUnreachableError
from quince.protocols.gateway.commands import TransferFirmware

OCTETS = bytes(range(256)) * 40
PATH = "/v1/firmware/new"


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr(firmware, "FETCH_PAUSE_S", 0.0)


@pytest.fixture
def ours(door, tmp_path):
    door.files[PATH] = OCTETS
    return FirmwareDoor(HeadendConfig(url=door.url), tmp_path)


def image(url, octets=OCTETS):
    return TransferFirmware(
        identifier="new", url=url, sha256=hashlib.sha256(octets).digest(), size=len(octets)
    )


async def test_an_image_that_broke_off_goes_on_where_it_did(ours, door):
    door.break_behind = [4_000, 3_000]
    assert await ours.fetch(image(door.url + PATH)) == OCTETS
    assert door.asked == ["0-", "4000-", "7000-"]


async def test_it_goes_on_behind_a_restart_too(ours, door, tmp_path):
    wanted = image(door.url + PATH)
    (tmp_path / f"firmware-{wanted.sha256.hex()}.part").write_bytes(OCTETS[:5_000])
    assert await ours.fetch(wanted) == OCTETS
    assert door.asked == ["5000-"]


async def test_what_a_power_cut_damaged_is_fetched_from_the_start(ours, door, tmp_path):
    wanted = image(door.url + PATH)
    (tmp_path / f"firmware-{wanted.sha256.hex()}.part").write_bytes(bytes(5_000))
    assert await ours.fetch(wanted) == OCTETS
    assert door.asked == ["5000-", "0-"]


async def test_a_door_without_ranges_gives_it_from_the_start(ours, door):
    door.knows_ranges = False
    door.break_behind = [4_000]
    assert await ours.fetch(image(door.url + PATH)) == OCTETS


@pytest.mark.parametrize("other", [OCTETS[:-1] + b"x", OCTETS + b"more than was signed"])
async def test_another_image_than_was_signed_is_refused(ours, door, tmp_path, other):
    door.files[PATH] = other
    with pytest.raises(RefusedError) as refused:
        await ours.fetch(image(door.url + PATH))
    assert refused.value.refusal == "firmware_differs"
    assert list(tmp_path.glob("*.part")) == []


@pytest.mark.parametrize("url", ["http://elsewhere/new", "http://127.0.0.1:1.evil/new"])
async def test_an_image_from_elsewhere_is_not_fetched(ours, url):
    with pytest.raises(RefusedError) as refused:
        await ours.fetch(image(url))
    assert refused.value.refusal == "no_headend_door"


async def test_a_gateway_that_knows_no_door_fetches_nothing(tmp_path):
    nowhere = FirmwareDoor(None, tmp_path)
    with pytest.raises(RefusedError):
        await nowhere.fetch(image("http://anywhere/new"))


async def test_an_image_that_is_not_there_is_asked_for_a_few_times(ours, door):
    with pytest.raises(HeadendUnreachableError):
        await ours.fetch(image(door.url + "/v1/firmware/none"))
    assert len(door.asked) == firmware.FETCH_TRIES_MAX


def test_what_nobody_asks_for_any_more_is_removed(ours, tmp_path):
    wanted, other = image("http://x/a"), image("http://x/b", b"other")
    for one in (wanted, other):
        (tmp_path / f"firmware-{one.sha256.hex()}.part").write_bytes(b"part")
    ours.keep_only([wanted])
    assert [path.name for path in tmp_path.glob("*.part")] == [
        f"firmware-{wanted.sha256.hex()}.part"
    ]
