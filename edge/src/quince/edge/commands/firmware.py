"""Fetches firmware images over the head-end's own door, and goes on where a fetch broke off.

Law: what reaches a meter has the size and the SHA-256 that the signed command names.
"""

import asyncio
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import structlog

from quince.edge.commands.rules import Refusal, RefusedError
from quince.edge.config import HeadendConfig
from quince.edge.errors import HeadendUnreachableError
from quince.protocols.gateway.commands import TransferFirmware

log = structlog.get_logger()

FETCH_TRIES_MAX = 5  # in a row without an octet more
FETCH_PAUSE_S = 10.0
_OK, _PARTIAL = 200, 206
_BEGIN = re.compile(r"bytes (\d+)-")


class _Part:
    """An image on disk, as far as it has come."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def octets(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0

    def append(self, chunk: bytes) -> None:
        with self._path.open("ab") as file:
            file.write(chunk)

    def read(self) -> bytes:
        return self._path.read_bytes()

    def drop(self) -> None:
        self._path.unlink(missing_ok=True)


class FirmwareDoor:
    """The head-end's door, as far as images come through it."""

    def __init__(self, headend: HeadendConfig | None, folder: Path) -> None:
        """Fetch from this door alone, from nowhere if it is None, and keep parts in `folder`."""
        self._headend = headend
        self._folder = folder

    async def fetch(self, image: TransferFirmware) -> bytes:
        """Return the image; RefusedError if it is elsewhere, or is not what was signed."""
        headend = self._headend
        if headend is None or not image.url.startswith(f"{headend.url}/"):
            raise RefusedError(Refusal.NO_DOOR, f"{image.url} is not behind the head-end's door")
        part = self._part(image)
        for _ in range(2):  # what an earlier try left may be damaged: then from the start
            await self._complete(headend, image, part)
            octets = part.read()
            if len(octets) == image.size and hashlib.sha256(octets).digest() == image.sha256:
                return octets
            part.drop()
        raise RefusedError(Refusal.FIRMWARE, "what the head-end gives is not what was signed")

    async def _complete(self, headend: HeadendConfig, image: TransferFirmware, part: _Part) -> None:
        tries = 0
        while part.octets < image.size:
            before = part.octets
            try:
                await _fetch_on(headend, image, part)
            except HeadendUnreachableError as error:
                log.info("firmware_fetch_broke", octets=part.octets, reason=str(error))
            tries = 0 if part.octets > before else tries + 1
            if tries >= FETCH_TRIES_MAX:
                raise HeadendUnreachableError(f"the head-end does not give {image.url}")
            if part.octets < image.size:
                await asyncio.sleep(FETCH_PAUSE_S)

    def forget(self, image: TransferFirmware) -> None:
        """Remove what was kept of an image."""
        self._part(image).drop()

    def keep_only(self, images: Iterable[TransferFirmware]) -> None:
        """Remove what was kept of all other images: nobody asks for them any more."""
        kept = {self._path(image) for image in images}
        for path in set(self._folder.glob("firmware-*.part")) - kept:
            path.unlink(missing_ok=True)

    def _part(self, image: TransferFirmware) -> _Part:
        return _Part(self._path(image))

    def _path(self, image: TransferFirmware) -> Path:
        return self._folder / f"firmware-{image.sha256.hex()}.part"


async def _fetch_on(headend: HeadendConfig, image: TransferFirmware, part: _Part) -> None:
    """Fetch what is missing; HeadendUnreachableError where that breaks off."""
    import httpx  # noqa: PLC0415 - ten megabytes that a gateway needs once a year

    from quince.edge.headend_door import open_client, unreachable  # noqa: PLC0415 - likewise

    start = part.octets
    headers = {"Range": f"bytes={start}-", "Accept-Encoding": "identity"}
    try:
        async with (
            open_client(headend.url, ca_file=headend.ca_file) as client,
            client.stream("GET", image.url, headers=headers) as answer,
        ):
            _require_continuation(answer, start, part)
            async for chunk in answer.aiter_raw():
                part.append(chunk[: image.size - part.octets + 1])
                if part.octets > image.size:
                    return
    except (httpx.HTTPError, OSError) as error:
        raise unreachable(error) from error


def _require_continuation(answer: Any, start: int, part: _Part) -> None:
    """Accept an answer that goes on at `start`, or begins anew, and no other."""
    if answer.status_code == _OK:
        part.drop()
        return
    begin = _BEGIN.match(answer.headers.get("content-range", ""))
    if answer.status_code != _PARTIAL or begin is None or int(begin[1]) != start:
        raise HeadendUnreachableError(f"the head-end answers {answer.status_code}")
