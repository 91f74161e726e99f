"""Firmware images, by fingerprint, in ranges.

An image is no secret and proves itself by its fingerprint, which only a signed command names: the
name is what lets one in, and there is no list of names.
"""

import re
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

from quince.headend.errors import NoSuchImageError

_SHA256 = re.compile(r"[0-9a-f]{64}")


def firmware_router(folder: Path) -> APIRouter:
    """Return the room over a folder whose files are named by their SHA-256, in hexadecimal."""
    router = APIRouter(prefix="/v1/firmware")

    @router.get("/{sha256}")
    async def image(sha256: str) -> FileResponse:
        path = folder / sha256
        if _SHA256.fullmatch(sha256) is None or not path.is_file():
            raise NoSuchImageError("no firmware image of that fingerprint")
        return FileResponse(path, media_type="application/octet-stream")

    return router
