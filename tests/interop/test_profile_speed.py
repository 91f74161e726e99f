"""How fast a month's profile is read: by a gateway, by our core alone, and by two other libraries.

Each client is a process of its own and reads the same meter, which another process serves; what is
timed is the read in an open association, from the request to the library's own rows. Asking for
APDUs as long as the meter likes is what each library does by itself; 1,024 octets is what many a
meter would cut them to.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from quince.firmware_sims.load import Household

HOME = Household(seed=7)
FIRST, LAST = datetime(2025, 1, 31, 18, 15, tzinfo=UTC), datetime(2025, 3, 3, 18, 0, tzinfo=UTC)
PDU_OCTETS_MAX = 0xFFFF
LIBRARIES = ["with_quince", "with_quince_core", "with_dlms_cosem", "with_gurux"]


def _time(
    benchmark: BenchmarkFixture,
    serve: Callable[..., list[int]],
    read: Callable[..., Any],
    library: str,
    **options: Any,
) -> None:
    (port,) = serve(**options)
    reader = read(library, port=port, again=True, **options)
    assert reader.hear() == "associated"
    benchmark.pedantic(reader.ask, ("read",), rounds=9, warmup_rounds=1)
    assert reader.ask("check") == HOME.register_wh(LAST) - HOME.register_wh(FIRST)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("link", ["wrapper", "hdlc"])
def test_a_months_profile(
    benchmark: BenchmarkFixture,
    serve: Callable[..., list[int]],
    read: Callable[..., Any],
    link: str,
    library: str,
) -> None:
    benchmark.group = f"2,976 rows × 4 over {link}, HLS-GMAC"
    _time(
        benchmark, serve, read, library, link=link, security="gmac", pdu_octets_max=PDU_OCTETS_MAX
    )


@pytest.mark.benchmark(group="2,976 rows × 4 over wrapper, HLS-GMAC, in blocks of 1,024 octets")
@pytest.mark.parametrize("library", LIBRARIES[1:])
def test_a_months_profile_in_short_blocks(
    benchmark: BenchmarkFixture,
    serve: Callable[..., list[int]],
    read: Callable[..., Any],
    library: str,
) -> None:
    _time(benchmark, serve, read, library, link="wrapper", security="gmac", pdu_octets_max=1024)
