"""Simulated days for tests: each in a folder of its own, in silence."""

import logging
from collections.abc import Callable, Iterator

import pytest
import structlog
from tests.simulation.day import live_through, scratch_folder
from tests.simulation.ledger import Ledger
from tests.simulation.world import Faults, World


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that asks for a `seed` as many as the command line says."""
    if "seed" in metafunc.fixturenames:
        first = metafunc.config.getoption("--first-day")
        days = metafunc.config.getoption("--simulated-days")
        metafunc.parametrize("seed", range(first, first + days))


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """Log nothing: a day has thousands of lines."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.fixture
def simulated_day() -> Callable[..., tuple[World, Ledger]]:
    """Live through one day of a seed; every law is checked after every hour of it."""

    def run(seed: int, faults: Faults | None = None) -> tuple[World, Ledger]:
        with scratch_folder() as folder:
            return live_through(seed, folder, faults)

    return run
