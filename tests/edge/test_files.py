"""Files that are put in the place of others."""

import os
import stat
from pathlib import Path

import pytest

from quince.edge.files import replace_file, replacing

SERVICE = 12_345


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_replaces_stays_the_services(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text("old")
    os.chown(path, SERVICE, SERVICE)
    replace_file(path, b"new", mode=0o600)
    status = path.stat()
    assert (status.st_uid, status.st_gid) == (SERVICE, SERVICE)
    assert stat.S_IMODE(status.st_mode) == 0o600


def test_a_file_that_is_looked_at_and_refused_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text("old")
    with pytest.raises(FileExistsError), replacing(path, b"new", mode=0o600) as fresh:
        fresh.touch(exist_ok=False)
    assert [one.name for one in tmp_path.iterdir()] == ["gateway.toml"]
    assert path.read_text() == "old"


def test_what_a_crash_left_beside_it_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / ".gateway.toml.new").write_text("half")
    replace_file(tmp_path / "gateway.toml", b"new", mode=0o644)
    assert [one.name for one in tmp_path.iterdir()] == ["gateway.toml"]
    assert stat.S_IMODE((tmp_path / "gateway.toml").stat().st_mode) == 0o644
