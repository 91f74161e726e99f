"""Fixtures every test may use."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def public_data() -> Path:
    """Public test material beside the repository; it is not ours to ship."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("public test material (../shared/data) is not beside this checkout")
    return folder
