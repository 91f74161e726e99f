"""Lives through many simulated days, a seed each, and says which of them broke.

    PYTHONHASHSEED=0 python -m tests.simulation.run [--days 500] [--first 0] [--jobs 2]

Exit code 1 if a law was broken; a seed breaks the same way again, under pytest too:
`PYTHONHASHSEED=0 pytest tests/simulation --simulated-days 1 --first-day SEED`. The order in which
a process's tasks are killed is that of a set, which that variable fixes.
"""

import argparse
import logging
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

import structlog
from tests.simulation.day import live_through, scratch_folder

_CHUNK_DAYS = 4  # a process takes so many at a time: the jobs end together


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a seed's day."""

    seed: int
    intervals: int = 0
    troubles: Counter[str] = field(default_factory=Counter)
    broken: str = ""


def live_one(seed: int) -> Outcome:
    """Live through one day and never raise."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        with scratch_folder() as folder:
            world, ledger = live_through(seed, folder)
    except AssertionError as error:
        return Outcome(seed, broken=str(error))
    except Exception:  # noqa: BLE001 - a day that cannot be lived through is a broken one
        return Outcome(seed, broken=traceback.format_exc())
    return Outcome(seed, intervals=len(ledger.stored), troubles=world.counts)


def main() -> int:
    """Run, report, and say by the exit code whether all is well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--days", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    begun_s = time.monotonic()
    seeds = range(options.first, options.first + options.days)
    troubles: Counter[str] = Counter()
    intervals = broken = 0
    with ProcessPoolExecutor(options.jobs) as jobs:
        for outcome in jobs.map(live_one, seeds, chunksize=_CHUNK_DAYS):
            troubles += outcome.troubles
            intervals += outcome.intervals
            if outcome.broken:
                broken += 1
                print(f"seed {outcome.seed}: {' | '.join(outcome.broken.splitlines()[-3:])}")  # noqa: T201 - it speaks to a terminal
    took_s = time.monotonic() - begun_s
    told = ", ".join(f"{count} {name}" for name, count in sorted(troubles.items()))
    print(told)  # noqa: T201 - likewise
    print(f"{options.days} days, {intervals} intervals, {broken} broken, {took_s:.0f} s")  # noqa: T201 - likewise
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
