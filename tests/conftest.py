"""Fixtures every test may use."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import async_solipsism
import pytest


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
