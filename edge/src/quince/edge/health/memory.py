"""How much memory this process holds, and how much the machine has left, as Linux tells."""

from pathlib import Path

_OWN, _MACHINE = Path("/proc/self/status"), Path("/proc/meminfo")


def resident_kb(path: Path = _OWN) -> int | None:
    """Return what this process holds in memory, None where that is not told."""
    return _field(path, "VmRSS")


def available_kb(path: Path = _MACHINE) -> int | None:
    """Return what the machine could still give, None where that is not told."""
    return _field(path, "MemAvailable")


def _field(path: Path, name: str) -> int | None:
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        words = line.split()
        if words[:1] == [f"{name}:"] and words[1:2] and words[1].isdecimal():
            return int(words[1])
    return None
