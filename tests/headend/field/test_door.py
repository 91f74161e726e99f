"""The door opens with the rooms its settings furnish."""

from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from quince.headend.door import open_authorizer, open_door
from quince.headend.enrolment.authority import create_authority
from quince.headend.settings import Settings
from quince.model.clock import SystemClock
from quince.model.errors import InvalidValueError

ROOMS = [
    ("GET", "/v1/work-orders"),
    ("POST", "/v1/gateways/enrol"),
    ("GET", f"/v1/firmware/{'0' * 64}"),
]


async def statuses(settings: Settings) -> list[int]:
    async with open_door(settings, SystemClock()) as app:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
            return [(await client.request(*room)).status_code for room in ROOMS]


async def test_work_orders_are_always_there_and_for_staff_alone(database: Path) -> None:
    assert await statuses(Settings(database=database)) == [401, 404, 404]


async def test_enrolment_and_firmware_are_there_where_they_are_set_up(
    database: Path, tmp_path: Path
) -> None:
    create_authority(tmp_path / "ca", "test", now_utc=datetime(2026, 5, 2, tzinfo=UTC))
    settings = Settings(
        database=database,
        device_ca=tmp_path / "ca",
        field_url="https://headend.example",
        firmware_folder=tmp_path,
    )
    assert await statuses(settings) == [401, 422, 404]


async def test_a_list_that_a_crash_left_unwritten_is_written_at_the_start(
    database: Path, tmp_path: Path
) -> None:
    create_authority(tmp_path, "test", now_utc=datetime(2026, 5, 2, tzinfo=UTC))
    (tmp_path / "ca.crl").unlink()
    await statuses(
        Settings(database=database, device_ca=tmp_path, field_url="https://headend.example")
    )
    assert (tmp_path / "ca.crl").exists()


async def test_an_authority_that_is_not_there_stops_the_start(
    database: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidValueError, match="no authority's folder"):
        await statuses(Settings(database=database, device_ca=tmp_path))


def test_nobody_tells_the_broker_without_an_identity_to_do_it() -> None:
    assert open_authorizer(Settings()) is None
    with pytest.raises(InvalidValueError, match="mqtt_ca"):
        open_authorizer(Settings(control_cert=Path("c"), control_key=Path("k")))
