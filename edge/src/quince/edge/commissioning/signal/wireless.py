"""What Linux says of radio links: `/proc/net/wireless`, which Wi-Fi drivers fill."""

import re
from collections.abc import Iterator

from quince.edge.commissioning.signal.check import Check, Outcome

# Below this Wi-Fi drops to its slowest rates and repeats itself.
LEVEL_DBM_MIN = -75.0
# Interface, status, quality, level, noise. Source: the kernel's net/wireless/wext-proc.c.
_LINE = re.compile(
    r"\s*([A-Za-z0-9_.-]{1,32}):\s+[0-9a-f]{1,8}\s+([0-9]{1,4})\.?\s+(-?[0-9]{1,4})\.?\s", re.ASCII
)
_INTERFACES_MAX = 8


def radios(text: str) -> Iterator[Check]:
    """Give one check for each interface; lines that are none of one are passed over."""
    for line in text.splitlines()[2 : 2 + _INTERFACES_MAX]:
        match = _LINE.match(line)
        if match is None:
            continue
        level_dbm = float(match[3])
        is_weak = level_dbm < LEVEL_DBM_MIN
        yield Check(
            name="radio",
            outcome=Outcome.WARNING if is_weak else Outcome.OK,
            reason="weak" if is_weak else "",
            measured={
                "interface": match[1],
                "level_dbm": level_dbm,
                "quality": float(match[2]),
            },
        )
