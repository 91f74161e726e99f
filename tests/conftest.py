"""Fixtures every test may use."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import async_solipsism
import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a test run live through other simulated days, or more of them."""
    parser.addoption("--simulated-days", type=int, default=8, help="how many seeds, a day each")
    parser.addoption("--first-day", type=int, default=0, help="the first seed")


@pytest.fixture(scope="session")
def public_data() -> Path:
    """Public test material beside the repository; it is not ours to ship."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("public test material (../shared/data) is not beside this checkout")
    return folder


@pytest.fixture
def in_virtual_time() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine on a loop whose clock jumps over every wait."""

    def run(main: Coroutine[Any, Any, Any]) -> Any:
        loop = async_solipsism.EventLoop()
        try:
            return loop.run_until_complete(main)
        finally:
            loop.close()

    return run


class Mosquitto:
    """A real broker on a port of its own; it forgets everything when it is killed."""

    def __init__(self, command: str, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        self._command = [command, "-c", str(folder / "mosquitto.conf")]
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\n"
        )
        self.start()

    def start(self) -> None:
        """Start, and wait until it listens."""
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        pytest.fail("mosquitto does not listen")

    def kill(self) -> None:
        """Stop it as a power cut does."""
        self._process.kill()
        self._process.wait()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running Mosquitto, or a skipped test."""
    command = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if command is None:
        pytest.skip("mosquitto is not installed (`make mosquitto`)")
    broker = Mosquitto(command, tmp_path)
    yield broker
    broker.kill()
