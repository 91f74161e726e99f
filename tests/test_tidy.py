"""The house's habits that no linter holds."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    path for path in ROOT.glob("*/src/quince/**/*.py") if not path.name.endswith("_pb2.py")
)
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
VAGUE_NAMES = {"utils", "helpers", "manager", "data", "info", "common", "misc"}


def test_the_namespace_stays_a_namespace():
    assert list(ROOT.glob("*/src/quince/__init__.py")) == []


def test_every_package_is_typed():
    packages = {path.parent for path in ROOT.glob("*/src/quince/*/__init__.py")}
    assert [package for package in packages if not (package / "py.typed").exists()] == []


def test_no_file_has_a_name_that_says_nothing():
    assert [path for path in SOURCES if path.stem in VAGUE_NAMES] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_short_and_modules_say_what_they_are(path):
    text = path.read_text()
    tree = ast.parse(text)
    long = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES_MAX
    ]
    assert ast.get_docstring(tree) is not None
    assert long == []
    assert text.count("\n") <= FILE_LINES_MAX
