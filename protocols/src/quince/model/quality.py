"""What a meter or a gateway says about the worth of one interval."""

from enum import IntFlag


class Quality(IntFlag):
    """One octet per interval, as it travels and as it is stored; 0 is plain good."""

    GOOD = 0
    CLOCK_INVALID = 1
    CLOCK_DOUBTFUL = 2
    CLOCK_ADJUSTED = 4
    POWER_FAIL = 8
    MISSING = 16
    ESTIMATED = 32
    SAMPLED_LATE = 64
    RESET = 128
