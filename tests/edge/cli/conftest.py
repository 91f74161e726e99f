"""Commands run in the main thread, as they do in a terminal; simulated meters in another."""

import asyncio
import threading
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest
import structlog
from tests.clocks import StoppedClock

from quince.edge.cli import main as cli

NOW = datetime(2026, 5, 2, 6, 5, tzinfo=UTC)


class Background:
    """A loop in a thread, and what is served in it."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    def serve(self, context):
        return self.run(self._stack.enter_async_context(context))

    def close(self):
        self.run(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def background():
    made = Background()
    yield made
    made.close()


@pytest.fixture
def stopped_clock(monkeypatch):
    """The computer's clock, for commands and meters alike."""
    clock = StoppedClock(NOW)
    for module in ("options", "meters", "telling", "link"):
        monkeypatch.setattr(f"quince.edge.cli.{module}.parse_clock", lambda _text: clock)
    return clock


@pytest.fixture
def quince(monkeypatch, tmp_path):
    """`quince("read", "M1")` gives the exit code."""
    monkeypatch.setenv("QUINCE_EDGE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("QUINCE_EDGE_CONFIG", str(tmp_path / "gateway.toml"))
    monkeypatch.setenv("QUINCE_EDGE_LANG", "en")
    monkeypatch.setenv("COLUMNS", "160")

    def command(*arguments):
        monkeypatch.setattr("sys.argv", ["quince-edge", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code

    yield command
    structlog.reset_defaults()
