"""Every input that ever broke a decoder, ours or another's, and a burst of new ones for each."""

import runpy
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from quince.model.errors import CodecError

RUN = runpy.run_path(str(Path(__file__).with_name("run.py")))
HARNESSES: dict[str, Callable[[bytes], object]] = RUN["load_harnesses"]()
KEPT = [(name, path) for name in HARNESSES for path in sorted((RUN["CORPUS"] / name).glob("*"))]
MEMORY_BYTES_MAX = 32 * 2**20  # for at most 4 kB of input


@pytest.mark.parametrize(("name", "path"), KEPT, ids=lambda one: getattr(one, "name", one))
def test_what_once_broke_a_decoder_breaks_it_no_more(name: str, path: Path) -> None:
    tracemalloc.start()
    try:
        RUN["judge"](HARNESSES[name], path.read_bytes())
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < MEMORY_BYTES_MAX


@pytest.mark.parametrize("name", HARNESSES)
def test_a_decoder_takes_or_refuses_whatever_comes(name: str) -> None:
    seeds = [b"", *RUN["kept"](name)]

    @settings(max_examples=60)
    @given(st.sampled_from(seeds), st.binary(max_size=200), st.integers(0, 2**32))
    def burst(seed: bytes, octets: bytes, number: int) -> None:
        RUN["judge"](HARNESSES[name], octets)
        RUN["judge"](HARNESSES[name], RUN["mutate"](seed, octets, Random(number)))

    burst()


def test_the_corpus_names_no_decoder_that_is_gone() -> None:
    assert {folder.name for folder in RUN["CORPUS"].glob("*")} <= HARNESSES.keys()


# --- the judge itself: what it would let pass, nobody would ever hear of ---------------------


def test_a_foreign_exception_is_no_refusal() -> None:
    with pytest.raises(KeyError):
        RUN["judge"](lambda octets: {}[octets], b"x")


def test_a_refusal_is_no_fault() -> None:
    def refuse(octets: bytes) -> None:
        raise CodecError(octets.hex())

    RUN["judge"](refuse, b"x")


def test_a_decoder_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RUN["judge"].__globals__, "INPUT_S_MAX", 0.05)

    def spin(octets: bytes) -> None:
        while octets:
            pass

    with pytest.raises(RUN["HangError"]):
        RUN["judge"](spin, b"x")


@given(st.binary(max_size=100), st.binary(max_size=100), st.integers(0, 2**32))
def test_a_mutation_keeps_the_bound(octets: bytes, other: bytes, number: int) -> None:
    assert len(RUN["mutate"](octets, other, Random(number))) <= RUN["INPUT_BYTES_MAX"]
