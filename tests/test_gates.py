"""Gates that are green on nothing are no gates: a planted defect per member must turn each red."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.gates

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
PACKAGES = {
    "protocols": "protocols/src/quince/protocols",
    "edge": "edge/src/quince/edge",
    "headend": "headend/src/quince/headend",
    "billing": "billing/src/quince/billing",
    "portal-api": "portal-api/src/quince/portal_api",
    "firmware-sims": "firmware-sims/src/quince/firmware_sims",
}
FORBIDDEN_IMPORTS = {
    "protocols": "import asyncio",
    "edge": "import numpy",
    "headend": "from quince import billing",
    "billing": "from quince import portal_api",
    "portal-api": "from quince import edge",
    "firmware-sims": "from quince import headend",
}


@pytest.fixture
def tree(tmp_path):
    """A copy of the checkout's files, to plant defects in."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listed.stdout.splitlines():
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    return tmp_path


def plant(tree, code_of):
    """Write a module `planted.py` into every member, and return their paths."""
    planted = {member: f"{package}/planted.py" for member, package in PACKAGES.items()}
    for member, path in planted.items():
        (tree / path).write_text(code_of(member))
    return planted


def run(tree, *command, cwd="."):
    """Run a checker in the tree; it must go red, and its words are returned."""
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=tree / cwd,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0, f"{command[0]} stayed green: {done.stdout}"
    return done.stdout + done.stderr


def test_mypy_sees_a_wrong_type_in_every_member(tree):
    planted = plant(tree, lambda _: '"""Planted."""\n\nCOUNT: int = "three"\n')
    words = run(tree, "mypy")
    assert [path for path in planted.values() if path not in words] == []


def test_ruff_sees_an_unused_import_in_every_member(tree):
    planted = plant(tree, lambda _: '"""Planted."""\n\nimport json\n')
    words = run(tree, "ruff", "check", "--output-format", "concise", "--no-cache")
    assert [path for path in planted.values() if f"{path}:3:8: F401" not in words] == []


@pytest.mark.parametrize("member", PACKAGES)
def test_import_linter_sees_a_forbidden_import_in_every_member(tree, member):
    code = f'"""Planted."""\n\n{FORBIDDEN_IMPORTS[member]}\n'
    (tree / PACKAGES[member] / "planted.py").write_text(code)
    source = [f"{tree / folder}/src" for folder in PACKAGES]
    program = f"import sys; sys.path[:0] = {source!r}; from importlinter.cli import lint_imports; "
    words = run(tree, "python", "-c", f"{program}sys.exit(lint_imports(no_cache=True))")
    assert "planted" in words


@pytest.mark.parametrize("member", PACKAGES)
def test_deptry_sees_an_undeclared_dependency_in_every_member(tree, member):
    (tree / PACKAGES[member] / "planted.py").write_text('"""Planted."""\n\nimport hypothesis\n')
    words = run(tree, "deptry", "src", "--config", "pyproject.toml", cwd=member)
    assert "'hypothesis' imported but" in words
