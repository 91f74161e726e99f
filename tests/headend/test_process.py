"""The whole process: it serves, and it goes when it is told to."""

import asyncio
import os
import signal
import socket
from pathlib import Path

import httpx
import pytest

from quince.headend import process as running
from quince.headend.settings import Settings


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def answered(port: int) -> dict[str, str]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        while True:
            try:
                answer: dict[str, str] = (await client.get("/health")).json()
            except httpx.ConnectError:
                await asyncio.sleep(0.02)
            else:
                return answer


async def test_it_serves_without_a_broker_and_stops_on_sigterm(
    database: Path, free_port: int
) -> None:
    settings = Settings(database=database, cell="north", mqtt_port=9, http_port=free_port)
    process = asyncio.create_task(running.run(settings))
    async with asyncio.timeout(20):
        assert await answered(free_port) == {"status": "ok"}
        os.kill(os.getpid(), signal.SIGTERM)
        await process
