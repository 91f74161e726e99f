"""Simulated meters in one process, and other people's clients in others."""

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pytest

LINE = {
    "client": 16,
    "server": 1,
    "password": b"12345678".hex(),
    "encryption": bytes(range(16)).hex(),
    "authentication": bytes(range(0xD0, 0xE0)).hex(),
    "pdu_octets_max": 1024,
    "information_octets_max": 1024,
    "meters": 1,
    "seed": 7,
    "utc_offset_min": -360,
    "profile_days": 31,
    "now_utc": "2025-03-03T18:07:30+00:00",
    # From the first of the profile's rows to the last.
    "profile_utc": ["2025-01-31T18:15:00+00:00", "2025-03-03T18:00:00+00:00"],
    "between": ["2025-03-02T00:00:00-06:00", "2025-03-03T00:00:00-06:00"],
    "entries": [5, 10],
}
Serve = Callable[..., "list[int]"]


class Talker:
    """A script of this folder: it answers each line with one line of JSON."""

    def __init__(self, script: str, *arguments: str) -> None:
        path = str(Path(__file__).with_name(script))
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed when the process is
        self._process = subprocess.Popen(
            [sys.executable, path, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        self._said.close()

    def hear(self) -> Any:
        """Return its next answer."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            self._said.seek(0)
            pytest.fail(f"no answer, but:\n{self._said.read()[-4000:]}")
        return json.loads(line)

    def ask(self, command: str) -> Any:
        """Say `command`, and return the answer."""
        assert self._process.stdin
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self.hear()


@pytest.fixture
def running() -> Iterator[ExitStack]:
    """What runs while the test does."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def serve(running: ExitStack) -> Serve:
    """Serve simulated meters; return their ports."""

    def start(**options: Any) -> list[int]:
        talker = running.enter_context(Talker("serve_meters.py", json.dumps(LINE | options)))
        ports: list[int] = talker.hear()
        return ports

    return start


@pytest.fixture
def read(running: ExitStack) -> Callable[..., Talker]:
    """Let a library read the meter at a port."""

    def start(library: str, **options: Any) -> Talker:
        if importlib.util.find_spec(_NEEDS[library]) is None:
            pytest.skip(f"{_NEEDS[library]} is not installed (dependency group `interop`)")
        asked = json.dumps(LINE | options)
        return running.enter_context(Talker("read_meter.py", library, asked))

    return start


_NEEDS = {
    "with_gurux": "gurux_dlms",
    "with_dlms_cosem": "dlms_cosem",
    "with_quince": "quince.edge",
    "with_quince_core": "quince.protocols",
}
