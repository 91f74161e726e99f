"""Files for their owner alone: keys, and what commands bring that nobody else is to see."""

import os
from pathlib import Path

from quince.model.errors import InvalidValueError

_OWNER_ONLY = 0o600


def write_secret(path: Path, octets: bytes) -> None:
    """Write a new file, on the disk when this returns; InvalidValueError if it cannot be.

    One that is there already is never written over, and a half of one does not stay.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    except FileExistsError as error:
        raise InvalidValueError("file", str(path), "there is one already") from error
    except OSError as error:
        raise InvalidValueError("file", str(path), str(error)) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise InvalidValueError("file", str(path), str(error)) from error
