"""Firmware images by fingerprint, whole or in ranges; nothing else of the disk."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from quince.headend.field.app import create_field_app
from quince.headend.field.firmware import firmware_router

IMAGE = bytes(range(256)) * 40
SHA256 = hashlib.sha256(IMAGE).hexdigest()


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    folder = tmp_path / "firmware"
    folder.mkdir()
    (folder / SHA256).write_bytes(IMAGE)
    (tmp_path / "secret").write_text("secret")
    transport = httpx.ASGITransport(app=create_field_app([firmware_router(folder)]))
    async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
        yield client


async def test_an_image_is_fetched_whole(door: httpx.AsyncClient) -> None:
    answer = await door.get(f"/v1/firmware/{SHA256}")
    assert (answer.status_code, answer.content) == (200, IMAGE)


async def test_an_image_is_fetched_on_from_where_it_broke_off(door: httpx.AsyncClient) -> None:
    answer = await door.get(f"/v1/firmware/{SHA256}", headers={"Range": "bytes=10000-"})
    assert (answer.status_code, answer.content) == (206, IMAGE[10_000:])
    assert answer.headers["content-range"] == "bytes 10000-10239/10240"


@pytest.mark.parametrize("name", ["0" * 64, "..%2fsecret", SHA256.upper(), SHA256[:-1], "%00"])
async def test_what_is_no_images_fingerprint_is_not_found(
    door: httpx.AsyncClient, name: str
) -> None:
    answer = await door.get(f"/v1/firmware/{name}")
    assert answer.status_code == 404
    assert b"secret" not in answer.content
