"""Nothing a person sees is in English alone."""

import ast
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
import typer

from quince.edge.cli.language import say, spanish, speak, take_language
from quince.edge.cli.link import _LOOKS
from quince.edge.cli.main import app, main
from quince.edge.cli.meters import QUANTITIES
from quince.edge.cli.telling import _VERDICTS
from quince.edge.commissioning.key_check import Secret
from quince.edge.commissioning.ports import Use
from quince.edge.readers.dlms.vocabulary import EVENT_TEXTS
from quince.model.errors import InvalidValueError
from quince.model.quality import Quality

MODULES = sorted(Path(str(files("quince.edge.cli"))).glob("*.py"))


def said_in(module):
    """Every text that a module gives to `say`, as it stands there."""
    calls = (one for one in ast.walk(ast.parse(module.read_text())) if isinstance(one, ast.Call))
    return {
        literal.value
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "say"
        for literal in call.args[:1]
        if isinstance(literal, ast.Constant)
    }


def helps_of(command):
    """Every help text of a command, and of those under it."""
    own = {command.help} | {getattr(one, "help", None) for one in command.params}
    under = getattr(command, "commands", {}).values()
    return {text for text in own.union(*map(helps_of, under)) if text}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_what_a_module_says_has_spanish(module):
    assert said_in(module) - spanish().keys() == set()


def test_every_help_text_has_spanish():
    missing = helps_of(typer.main.get_command(app)) - spanish().keys()
    assert missing - {"Show this message and exit."} == set()


@pytest.mark.parametrize(
    "words",
    [
        set(EVENT_TEXTS.values()),
        {str(one) for kind in (Secret, Use) for one in kind},
        {word for word, _ in _LOOKS.values()} | set(_VERDICTS.values()),
        set(QUANTITIES.values()),
        {str(flag.name).lower() for flag in Quality if flag},
    ],
)
def test_words_that_are_no_literals_have_spanish_too(words):
    assert words - spanish().keys() == set()


def test_placeholders_are_the_same_in_both_languages():
    def names(text):
        return sorted(part.partition("}")[0] for part in text.split("{")[1:])

    assert {text for text, other in spanish().items() if names(text) != names(other)} == set()


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_language_may_stand_anywhere_on_the_line(place):
    line = ["read", "M1"]
    line[place:place] = ["--lang", "es"]
    assert take_language(line, "en") == ("es", ["read", "M1"])


@pytest.mark.parametrize("line", [["--lang"], ["--lang", "fr"]])
def test_a_language_that_is_not_spoken_is_refused(line):
    with pytest.raises(InvalidValueError, match="en, es"):
        take_language(line, "en")


def test_the_language_may_be_joined_to_its_option():
    assert take_language(["read", "--lang=es", "M1"], "en") == ("es", ["read", "M1"])


def test_no_text_has_two_spanish_ones():
    files_ = sorted(Path(str(files("quince.edge.cli.spanish"))).glob("*.toml"))
    texts = [text for file in files_ for text in tomllib.loads(file.read_text("utf-8"))]
    assert [text for text in set(texts) if texts.count(text) > 1] == []


def test_help_is_in_one_language(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["quince-edge", "read", "--help", "--lang", "es"])
    with pytest.raises(SystemExit):
        main()
    printed = capsys.readouterr().out
    assert "Opciones" in printed
    assert "Muestra esta ayuda" in printed
    assert "Options" not in printed


def test_a_text_without_spanish_is_said_in_english():
    speak("es")
    assert say("never said {n}", n=2) == "never said 2"
    speak("en")
