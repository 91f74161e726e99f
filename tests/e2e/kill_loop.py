"""Kills the gateway, the broker and the head-end at random while thousands of readings pass.

    python -m tests.e2e.kill_loop [--seeds 1 2 3] [--meters 60] [--live-slots 108]

The broker keeps nothing on disk. Exit code 1 if one reading was lost, doubled or wrong.
"""

import argparse
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from demo.stage import Stage, StageError, newest_log_lines
from tests.e2e.plant import MOSQUITTO, VICTIMS, Plant, PlantConfig, Tally

_PAUSE_S, _PAUSE_S_MAX = 0.6, 3.6  # between two kills: less than the head-end takes to be back
_DOWN_S_MAX = 0.5
_SETTLE_S_MAX = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a loop came to."""

    seed: int
    kills: Counter[str]
    tally: Tally
    took_s: float

    @property
    def is_perfect(self) -> bool:
        """Whether every reading arrived once, as it was measured."""
        return (self.tally.lost, self.tally.doubled, self.tally.wrong) == (0, 0, 0)


def kill_at_random(plant: Plant, seed: int) -> Outcome:
    """Kill while the plant's live quarter-hours pass; then give everybody time to catch up."""
    rng = random.Random(seed)
    kills: Counter[str] = Counter()
    begun_s = time.monotonic()
    plant.set_up()
    plant.start_all()
    until_s = time.monotonic() + plant.config.live_s
    while time.monotonic() < until_s:
        time.sleep(rng.uniform(_PAUSE_S, _PAUSE_S_MAX))
        victim = rng.choice(VICTIMS)
        plant.kill(victim)
        time.sleep(rng.uniform(0, _DOWN_S_MAX))
        plant.start(victim)
        kills[victim] += 1
    try:
        plant.stage.wait_until("every reading", plant.is_complete, _SETTLE_S_MAX)
    except StageError as error:
        # The tally says what it came to: what is missing may still be in the outbox.
        print(f"seed {seed}: {error}\n{newest_log_lines(plant.stage.folder)}")  # noqa: T201 - it speaks to a terminal
    return Outcome(seed=seed, kills=kills, tally=plant.tally(), took_s=time.monotonic() - begun_s)


def main() -> int:
    """Run a loop per seed and print what each came to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--meters", type=int, default=60)
    parser.add_argument("--backfill-days", type=int, default=2)
    parser.add_argument("--live-slots", type=int, default=108)
    parser.add_argument("--speed", type=int, default=900)
    options = parser.parse_args()
    if MOSQUITTO is None:
        print("mosquitto is not installed (`make mosquitto`)")  # noqa: T201 - it speaks to a terminal
        return 2
    config = PlantConfig(
        meters=options.meters,
        backfill_days=options.backfill_days,
        live_slots=options.live_slots,
        speed=options.speed,
    )
    outcomes = []
    for seed in options.seeds:
        with TemporaryDirectory() as folder, Stage(Path(folder) / "stage") as stage:
            outcomes.append(kill_at_random(Plant(stage, config), seed))
        print(_line(outcomes[-1]), flush=True)  # noqa: T201 - likewise
    return 0 if all(outcome.is_perfect for outcome in outcomes) else 1


def _line(outcome: Outcome) -> str:
    kills = ", ".join(f"{name} {count}" for name, count in sorted(outcome.kills.items()))
    tally = outcome.tally
    return (
        f"seed {outcome.seed}: {tally.readings} readings, {outcome.kills.total()} kills ({kills}),"
        f" {tally.lost} lost, {tally.doubled} doubled, {tally.wrong} wrong, {outcome.took_s:.0f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
