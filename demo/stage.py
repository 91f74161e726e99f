"""The demonstration's stage: a folder, processes that end with it, and the patience to wait."""

import json
import os
import shutil
import signal
import socket
import string
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

POLL_S = 0.3
STOP_S_MAX = 5
START_S_MAX = 60  # a first start compiles the numba kernels


class StageError(Exception):
    """A scene did not come out as it should."""


class Stage:
    """Starts processes, waits for what they do, and stops them all at the end."""

    def __init__(self, folder: Path) -> None:
        """Use `folder` for files and logs; an earlier demonstration's are removed."""
        self.folder = folder.resolve()
        self.environment = {**os.environ}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        marker = self.folder / ".quince-demo"
        if self.folder.exists() and any(self.folder.iterdir()):
            if not marker.exists():
                raise SystemExit(f"{self.folder} is not a demonstration's folder; it is left alone")
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        marker.touch()
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes.values()):
            process.send_signal(signal.SIGTERM)
        for process in self._processes.values():
            try:
                process.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def which(self, command: str) -> str | None:
        """Return a command's path: beside this Python, in PATH, or where Debian puts daemons."""
        places = [str(Path(sys.executable).parent), self.environment.get("PATH", ""), "/usr/sbin"]
        return shutil.which(command, path=os.pathsep.join(places))

    def start(self, name: str, command: str, *arguments: str) -> None:
        """Start a process that runs until the end; its words go to `name`.log."""
        with (self.folder / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                [self.which(command) or command, *arguments],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is ours; we stop them in order
            )

    def run(self, command: str, *arguments: str) -> str:
        """Run a command to its end and return what it printed; StageError if it failed."""
        done = subprocess.run(
            [self.which(command) or command, *arguments],
            cwd=self.folder,
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=START_S_MAX,
        )
        if done.returncode != 0:
            raise StageError(f"{command} {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def wait_until(self, what: str, happened: Callable[[], bool], seconds: float) -> None:
        """Wait until something has happened; StageError if it has not in time, or one died."""
        deadline = time.monotonic() + seconds
        while not happened():
            for name, process in self._processes.items():
                if process.poll() is not None:
                    raise StageError(f"{name} ended with code {process.returncode}")
            if time.monotonic() > deadline:
                raise StageError(f"no sign of {what} in {seconds:.0f} s")
            time.sleep(POLL_S)

    def wait_for_port(self, port: int) -> None:
        """Wait until something listens on a local port."""

        def listening() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        self.wait_until(f"a listener on port {port}", listening, START_S_MAX)

    def get_json(self, url: str) -> dict[str, Any]:
        """Return what one of our own processes answers."""
        with urllib.request.urlopen(url, timeout=START_S_MAX) as answer:  # noqa: S310 - our own http URL
            document: dict[str, Any] = json.load(answer)
        return document

    def expect(self, status: int, url: str, token: str) -> None:
        """Ask an URL with a bearer token; StageError unless the answer has this status."""
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - our own http URL
        try:
            with urllib.request.urlopen(request, timeout=START_S_MAX) as answer:  # noqa: S310 - likewise
                got = answer.status
        except urllib.error.HTTPError as error:
            got = error.code
        if got != status:
            raise StageError(f"{url} answered {got}, not {status}")


def free_ports(*names: str) -> dict[str, int]:
    """Return a free local port for each name."""
    sockets = {name: socket.create_server(("127.0.0.1", 0)) for name in names}
    ports = {name: one.getsockname()[1] for name, one in sockets.items()}
    for one in sockets.values():
        one.close()
    return ports


def fill_in(template: Path, names: dict[str, str], folder: Path) -> Path:
    """Write a template into the folder with its `$name`s filled in, and return where."""
    text = string.Template(template.read_text(encoding="utf-8")).substitute(names)
    path = folder / template.name
    path.write_text(text, encoding="utf-8")
    return path


def newest_log_lines(folder: Path) -> str:
    """Return the last lines of every log, for a person to look at."""
    parts = []
    for log in sorted(folder.glob("*.log")):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
        parts.append("\n".join([f"--- {log.name}", *lines]))
    return "\n".join(parts)
