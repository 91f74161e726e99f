"""A configuration file that changes under a running gateway."""

import asyncio
import os

import pytest
import structlog

from quince.edge.config import load_config
from quince.edge.reload import LOOK_S, Reload
from quince.model.errors import InvalidValueError

METER = """
[[meters]]
kind = "sml"
id = "M1"
url = "tcp://127.0.0.1:4059"
utc_offset_min = -360
"""
HEAD = """
gateway = "gw-1"
cell = "sv-1"
outbox = "outbox.db"
broker = { host = "127.0.0.1", port = 1883 }
"""
GOOD = HEAD + METER
TWO = GOOD + METER.replace("M1", "M2")


class Host:
    """What takes configurations, and refuses those with a meter of an unlucky name."""

    def __init__(self):
        self.served = []

    def serve(self, config):
        ids = [meter.id for meter in config.meters]
        if "unlucky" in ids:
            raise InvalidValueError("meters.id", "unlucky", "no")
        self.served.append((ids, config.backfill_days))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text(GOOD)
    return path


@pytest.fixture
def played(path, in_virtual_time):
    """Do `steps` one after another, ten seconds between; return what was served and logged."""

    async def play(steps):
        host = Host()
        reload = Reload(path, load_config(path), serve=host.serve)
        running = asyncio.ensure_future(reload.run())
        for step in steps:
            await asyncio.sleep(2 * LOOK_S)
            step(reload)
        await asyncio.sleep(2 * LOOK_S)
        assert not running.done()
        running.cancel()
        await asyncio.wait([running])
        return host.served

    def run(*steps):
        with structlog.testing.capture_logs() as logged:
            served = in_virtual_time(play(steps))
        return served, [line["event"] for line in logged]

    return run


def write(path, text):
    return lambda _: path.write_text(text)


def test_a_file_that_stays_as_it_is_is_read_once(played):
    assert played() == ([], [])


def test_another_meter_is_served(played, path):
    served, logged = played(write(path, TWO))
    assert served == [(["M1", "M2"], 3)]
    assert logged == ["configuration_reloaded"]


def test_as_many_days_as_wanted_are_served(played, path):
    assert played(write(path, "backfill_days = 9\n" + GOOD))[0] == [(["M1"], 9)]


def test_a_new_file_in_the_old_ones_place_is_a_change(played, path):
    def swap(_):
        other = path.with_suffix(".new")
        other.write_text(GOOD)
        status = path.stat()
        os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
        other.replace(path)

    assert len(played(swap)[0]) == 1


@pytest.mark.parametrize("wrong", ["", "gateway = [", METER, TWO.replace("M2", "M1")])
def test_a_file_that_is_wrong_is_refused_and_its_mending_served(played, path, wrong):
    served, logged = played(write(path, wrong), write(path, TWO))
    assert served == [(["M1", "M2"], 3)]
    assert logged == ["configuration_refused", "configuration_reloaded"]


def test_a_meter_that_cannot_be_served_is_refused(played, path):
    served, logged = played(write(path, TWO.replace("M2", "unlucky")))
    assert (served, logged) == ([], ["configuration_refused"])


def test_a_file_that_is_gone_changes_nothing(played, path):
    served, logged = played(lambda _: path.unlink(), write(path, GOOD))
    assert logged == ["configuration_refused", "configuration_reloaded"]
    assert served == [(["M1"], 3)]


def test_what_only_a_restart_can_change_is_said(played, path):
    served, logged = played(write(path, TWO.replace("1883", "8883")))
    assert served == [(["M1", "M2"], 3)]
    assert logged == ["configuration_needs_a_restart", "configuration_reloaded"]


def test_whoever_asks_has_it_read_at_once(played):
    assert played(lambda reload: reload.ask()) == ([(["M1"], 3)], ["configuration_reloaded"])
