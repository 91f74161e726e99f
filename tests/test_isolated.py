"""Each member installs alone, with what it declares and nothing else, and all of it imports."""

import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.gates

ROOT = Path(__file__).parents[1]
UV = shutil.which("uv") or ROOT / ".tools/bin/uv"
MEMBERS = ["protocols", "edge", "headend", "billing", "portal-api", "firmware-sims"]
TOO_HEAVY_FOR_A_GATEWAY = ["numpy", "numba", "fastapi", "sqlalchemy", "quince.headend"]

IMPORT_ALL = """
import importlib, pkgutil, quince
names = [module.name for module in pkgutil.walk_packages(quince.__path__, "quince.")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


def install(member, folder):
    python = folder / "bin/python"
    subprocess.run([str(UV), "venv", "--quiet", str(folder)], check=True)
    lock = ROOT / "requirements.lock"
    command = f"{UV} pip install --quiet --no-verify-hashes --constraints {lock} --python {python}"
    subprocess.run([*command.split(), str(ROOT / member)], check=True, cwd=ROOT)
    return python


@pytest.mark.parametrize("member", MEMBERS)
def test_a_member_installed_alone_imports_whole(member, tmp_path):
    python = install(member, tmp_path / "venv")
    done = subprocess.run(
        [python, "-c", IMPORT_ALL], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert int(done.stdout) > 3


def test_a_gateway_installs_without_the_heavy_libraries(tmp_path):
    python = install("edge", tmp_path / "venv")
    probe = "import sys; from importlib.util import find_spec; print(find_spec(sys.argv[1]))"
    found = [
        subprocess.run([python, "-c", probe, name], check=True, capture_output=True, text=True)
        for name in TOO_HEAVY_FOR_A_GATEWAY
    ]
    assert [done.stdout.strip() for done in found] == ["None"] * len(TOO_HEAVY_FOR_A_GATEWAY)
