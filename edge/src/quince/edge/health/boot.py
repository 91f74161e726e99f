"""Why this gateway started: the machine came up, or the process alone did.

Law: what the machine does not tell is `unknown`, never guessed.
"""

from enum import StrEnum
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class BootReason(StrEnum):
    """What is known of a start."""

    MACHINE = "machine"  # power, watchdog or administrator: the machine was down
    PROCESS = "process"  # the machine stayed up: an update, a crash, a restart by hand
    UNKNOWN = "unknown"


def boot_reason(present: str, before: str) -> BootReason:
    """Return why, given this start's identity of the machine's boot and the last start's."""
    if not present or not before:
        return BootReason.UNKNOWN
    return BootReason.PROCESS if present == before else BootReason.MACHINE


def boot_id(path: Path = BOOT_ID) -> str:
    """Return the kernel's name for this boot, empty where there is none."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
