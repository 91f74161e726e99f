"""What a technician brings from the place beside the readings: seals, position, photographs."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quince.model.errors import InvalidValueError
from quince.protocols.visits.documents import Document

PIECES_MAX = 20  # seals, and photographs: more do not stand on a page
TEXT_CHARS_MAX = 500
_POSITION = re.compile(r"(-?\d{1,2}(?:\.\d{1,8})?),\s*(-?\d{1,3}(?:\.\d{1,8})?)")
_LATITUDE_MAX, _LONGITUDE_MAX = 90, 180


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """`position` is `latitude,longitude` in degrees, or empty."""

    seals: Sequence[str] = ()
    photos: Sequence[Path] = ()
    position: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        for field, pieces in (("seal", self.seals), ("photo", self.photos)):
            if len(pieces) > PIECES_MAX:
                raise InvalidValueError(field, len(pieces), f"at most {PIECES_MAX}")
        for field, text in (*(("seal", one) for one in self.seals), ("note", self.note)):
            if len(text) > TEXT_CHARS_MAX or not text.isprintable():
                raise InvalidValueError(field, text, f"up to {TEXT_CHARS_MAX} printable characters")
        if self.position:
            _require_position(self.position)

    def document(self) -> Document:
        """Return it as the report has it: of a photograph its fingerprint.

        InvalidValueError for a photograph that cannot be read.
        """
        return {
            "seals": list(self.seals),
            "position": self.position,
            "photos": [_photo(path) for path in self.photos],
            "note": self.note,
        }


def _require_position(text: str) -> None:
    match = _POSITION.fullmatch(text)
    if match is None or (
        abs(float(match[1])) > _LATITUDE_MAX or abs(float(match[2])) > _LONGITUDE_MAX
    ):
        raise InvalidValueError("position", text, "latitude,longitude in degrees")


def _photo(path: Path) -> Document:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return {"name": path.name, "bytes": file.tell(), "sha256": digest}
    except OSError as error:
        raise InvalidValueError("photo", str(path), str(error)) from error
