import os
import stat

import pytest

from quince.headend.platform.secret_files import write_secret
from quince.model.errors import InvalidValueError


def test_a_secret_is_its_owners_alone(tmp_path):
    write_secret(tmp_path / "a.key", b"secret")
    assert (tmp_path / "a.key").read_bytes() == b"secret"
    assert stat.S_IMODE((tmp_path / "a.key").stat().st_mode) == 0o600


def test_one_that_is_there_is_never_written_over(tmp_path):
    write_secret(tmp_path / "a.key", b"first")
    with pytest.raises(InvalidValueError, match="one already"):
        write_secret(tmp_path / "a.key", b"second")
    assert (tmp_path / "a.key").read_bytes() == b"first"


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InvalidValueError, match="nowhere"):
        write_secret(tmp_path / "nowhere" / "a.key", b"secret")


def test_a_full_disk_leaves_no_half_that_would_stand_in_the_way(tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(InvalidValueError, match="No space"):
            write_secret(tmp_path / "a.key", b"secret")
    write_secret(tmp_path / "a.key", b"secret")
