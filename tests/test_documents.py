"""What the documents say is there."""

import re
import tomllib
from pathlib import Path

import pytest

from quince.edge.profiles.catalogue import load_profile, markdown, profile_names, rows

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *ROOT.glob("*/README.md")]


def test_the_readme_is_read_in_one_sitting():
    assert README.count("\n") <= 120


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document):
    targets = re.findall(r"\]\(([^)#:]+)\)", document.read_text())
    assert [name for name in targets if not (document.parent / name).exists()] == []


def test_the_readme_has_the_table_of_meters_that_the_profiles_make():
    assert markdown(rows({name: load_profile(name) for name in profile_names()})) in README


def test_the_readme_names_commands_that_exist():
    commands = set(re.findall(r"`(quince-[a-z-]+)", README))
    members = [tomllib.loads(path.read_text()) for path in ROOT.glob("*/pyproject.toml")]
    assert commands <= {name for member in members for name in member["project"].get("scripts", {})}


def test_the_readme_names_targets_the_makefile_has():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"\bmake ([a-z]+)\b", README)
    assert [target for target in targets if f"\n{target}:" not in makefile] == []


@pytest.mark.parametrize("path", sorted((ROOT / "docs/adr").glob("*.md")), ids=lambda p: p.stem)
def test_a_decision_says_what_why_and_what_enforces_it(path):
    text = path.read_text()
    parts = ["**Context.**", "**Decision.** *", "**Consequences.**", "**Alternatives.**"]
    assert [part for part in [*parts, "**Enforced by**"] if part not in text] == []
