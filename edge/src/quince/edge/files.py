"""Files that stand whole or not at all, whatever crashes; folders for their owner alone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def private_folder(path: Path) -> Path:
    """Return a folder that only its owner may enter, made if need be."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def replace_file(path: Path, octets: bytes, *, mode: int) -> None:
    """Put a file in the place of what is there."""
    with replacing(path, octets, mode=mode):
        pass


@contextmanager
def replacing(path: Path, octets: bytes, *, mode: int) -> Iterator[Path]:
    """Give the new file, on the disk beside the old one; it takes its place if the block ends well.

    OSError if it cannot; then, and when the block raises, the old one stands. What was somebody's
    stays theirs when root replaces it: the service still has to read it.
    """
    beside = path.with_name(f".{path.name}.new")
    try:
        _write(beside, octets, mode, owner=_owner(path))
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    _settle(path.parent)


def _owner(path: Path) -> tuple[int, int] | None:
    """Return the user and the group to give a file's successor to; None where root alone could."""
    if os.geteuid() != 0 or not path.exists():
        return None
    status = path.stat()
    return status.st_uid, status.st_gid


def _write(path: Path, octets: bytes, mode: int, *, owner: tuple[int, int] | None) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)  # whatever the mask is
        if owner is not None:
            os.fchown(file.fileno(), *owner)
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())


def _settle(folder: Path) -> None:
    """Wait until a renamed file bears its new name on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
