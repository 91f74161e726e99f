"""Feeds every decoder octets that nobody should send, for as long as one likes.

    python tests/fuzz/run.py --seconds 600 [--seeds FOLDER] [NAME …]

Law: a decoder takes an input or raises CodecError, within INPUT_S_MAX of processor time and
MEMORY_BYTES_MAX more memory than it began with. An input that breaks it is kept under
`corpus/NAME/`, which the tests replay for ever after.

Each decoder runs in a process of its own: led by coverage where `atheris` is installed (libFuzzer),
by mutation alone where it is not. It begins from the corpus, from good messages of every kind, and
from the captures in FOLDER.
"""

import argparse
import contextlib
import hashlib
import importlib.util
import itertools
import json
import re
import resource
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

FOLDER = Path(__file__).resolve().parent
CORPUS = FOLDER / "corpus"
PROFILES = FOLDER.parents[1] / "edge" / "src" / "quince" / "edge" / "profiles"
REGISTRY = ("dlms.py", "dlms_sessions.py", "optical.py", "modbus.py", "gateway.py")
INPUT_S_MAX = 1.0
MEMORY_BYTES_MAX = 512 * 2**20  # a decoder's own bounds are far below; this catches the unbounded
INPUT_BYTES_MAX = 20_000  # more than the longest file or telegram a reader waits for
_EDGES = (0x00, 0x01, 0x7E, 0x7F, 0x80, 0xFE, 0xFF)

Take = Callable[[bytes], object]


class HangError(BaseException):
    """An input took longer than INPUT_S_MAX."""


def load_harnesses() -> dict[str, Take]:
    """Return every decoder by its name."""
    return {name: take for module in _load("HARNESSES") for name, take in module.items()}


def _load(what: str) -> list[Any]:
    return [runpy.run_path(str(FOLDER / module))[what] for module in REGISTRY]


def judge(take: Take, octets: bytes) -> None:
    """Let a decoder take `octets`; raises what it must not: anything that is no CodecError."""
    from quince.model.errors import CodecError  # noqa: PLC0415 - after atheris, which rewrites it

    signal.signal(signal.SIGVTALRM, _hang)
    signal.setitimer(signal.ITIMER_VIRTUAL, INPUT_S_MAX)
    try:
        with contextlib.suppress(CodecError):
            take(octets)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _hang(*_: object) -> None:
    raise HangError(f"more than {INPUT_S_MAX} s")


# --- seeds ------------------------------------------------------------------------------


def kept(name: str) -> Iterator[bytes]:
    """Give the corpus of one decoder."""
    for path in sorted((CORPUS / name).glob("*")):
        yield path.read_bytes()


def seeds(name: str, folder: Path | None) -> Iterator[bytes]:
    """Give what to begin from: the corpus, and good messages of every kind.

    Twice more behind an octet: as the first of a few APDUs, and as a stream to be taken in one.
    """
    yield from kept(name)
    profiles = (path.read_bytes() for path in sorted(PROFILES.glob("*.toml")))
    for octets in (*itertools.chain(*_load("SEEDS")), *profiles, *captures(folder)):
        yield octets[:INPUT_BYTES_MAX]
        yield bytes((min(len(octets), 255),)) + octets[: INPUT_BYTES_MAX - 1]
        yield bytes(1) + octets[: INPUT_BYTES_MAX - 1]


def captures(folder: Path | None) -> Iterator[bytes]:
    """Give what files of a folder hold: their octets, or those written in JSON."""
    for path in sorted(folder.rglob("*") if folder else ()):
        if path.suffix == ".json":
            yield from _strings(json.loads(path.read_text()))
        elif path.suffix in {".bin", ".txt"}:
            yield path.read_bytes()


def _strings(document: Any) -> Iterator[bytes]:
    """Give the octets, written in hexadecimal, that stand anywhere in a document."""
    if isinstance(document, str) and re.fullmatch(r"(?:[0-9A-Fa-f]{2}){3,}", document):
        yield bytes.fromhex(document)
    elif isinstance(document, dict | list):
        for item in document.values() if isinstance(document, dict) else document:
            yield from _strings(item)


# --- one decoder, in a process of its own -----------------------------------------------


def fuzz(name: str, seconds: int, folder: Path | None) -> None:
    """Feed one decoder; ends the process, with a status other than 0 if it broke."""
    (CORPUS / name).mkdir(parents=True, exist_ok=True)
    own_bytes = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    room = own_bytes + MEMORY_BYTES_MAX
    if importlib.util.find_spec("atheris"):
        _fuzz_with_atheris(name, seconds, folder, room)
    else:
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
        _fuzz_by_mutation(name, seconds, folder)


def _fuzz_with_atheris(name: str, seconds: int, folder: Path | None, room: int) -> None:
    import atheris  # noqa: PLC0415 - it need not be there

    # Before anything else imports them: what was imported once is not rewritten any more.
    with atheris.instrument_imports(include=["quince"]):
        take = load_harnesses()[name]
    with tempfile.TemporaryDirectory() as known:
        for octets in seeds(name, folder):
            (Path(known) / _digest(octets)).write_bytes(octets)
        options = {
            "max_total_time": seconds,
            "max_len": INPUT_BYTES_MAX,
            "rss_limit_mb": room // 2**20,
            "timeout": 10,  # for what never comes back to Python, where HangError would wait
            "artifact_prefix": f"{CORPUS / name}/",
            "print_final_stats": 1,
        }
        flags = [f"-{option}={value}" for option, value in options.items()]
        atheris.Setup([sys.argv[0], *flags, known], lambda octets: judge(take, octets))
        atheris.Fuzz()


def _fuzz_by_mutation(name: str, seconds: int, folder: Path | None) -> None:
    take, rng, runs = load_harnesses()[name], Random(), 0
    begin = [b"", *seeds(name, folder)]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        octets = mutate(rng.choice(begin), rng.choice(begin), rng)
        try:
            judge(take, octets)
        except BaseException:
            (CORPUS / name / f"crash-{_digest(octets)}").write_bytes(octets)
            raise
        runs += 1
    sys.stderr.write(f"stat::number_of_executed_units: {runs}\n")


def _digest(octets: bytes) -> str:
    return hashlib.sha1(octets, usedforsecurity=False).hexdigest()


def mutate(octets: bytes, other: bytes, rng: Random) -> bytes:
    """Return `octets` with a few things wrong, one of them perhaps taken from `other`."""
    changed = bytearray(octets)
    for _ in range(rng.randint(1, 8)):
        at = rng.randint(0, len(changed))
        match rng.randrange(5):
            case 0:
                changed[at : at + 1] = bytes((rng.choice(_EDGES),))
            case 1:
                changed[at:at] = rng.randbytes(rng.randint(1, 4))
            case 2:
                del changed[at : at + rng.randint(1, 16)]
            case 3:
                changed[at : at + 1] = bytes(
                    (changed[at] ^ 1 << rng.randrange(8),) if at < len(changed) else ()
                )
            case _:
                begin = rng.randint(0, len(other))
                changed[at:at] = other[begin : begin + rng.randint(1, 64)]
    return bytes(changed[:INPUT_BYTES_MAX])


# --- all of them ------------------------------------------------------------------------


def main() -> int:
    """Run the decoders that were named, or all; return how many broke."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=60, help="for each decoder")
    parser.add_argument("--seeds", type=Path, metavar="FOLDER", help="captures to begin from")
    parser.add_argument("--jobs", type=int, default=1, help="decoders at a time")
    parser.add_argument("--alone", action="store_true", help="the one named, in this process")
    parser.add_argument("names", nargs="*", metavar="NAME")
    asked = parser.parse_args()
    if asked.alone:
        fuzz(asked.names[0], asked.seconds, asked.seeds)
        return 0
    names = asked.names or list(load_harnesses())
    with ThreadPoolExecutor(asked.jobs) as pool:
        return sum(pool.map(lambda name: _report(name, asked.seconds, asked.seeds), names))


def _report(name: str, seconds: int, folder: Path | None) -> bool:
    command = [sys.executable, __file__, "--alone", "--seconds", str(seconds), name]
    command += ["--seeds", str(folder)] if folder else []
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    with contextlib.suppress(OSError):
        (CORPUS / name).rmdir()  # nothing broke
    runs = re.search(r"number_of_executed_units: *(\d+)", done.stderr)
    said = "clean" if done.returncode == 0 else f"BROKE\n{_trace(done.stdout + done.stderr)}"
    sys.stdout.write(f"{name:32} {runs[1] if runs else '?':>10} inputs  {said}\n")
    sys.stdout.flush()
    return done.returncode != 0


def _trace(said: str) -> str:
    chatter = ("#", "INFO", "WARNING", "stat::")
    lines = [line for line in said.splitlines() if line and not line.startswith(chatter)]
    return "\n".join(f"    {line}" for line in lines[-40:])


if __name__ == "__main__":
    sys.exit(main())
