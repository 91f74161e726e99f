"""Other people's clients read our meter, each in a process of its own, over real sockets."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quince.firmware_sims.load import Household

HOME = Household(seed=7)
QUARTER = timedelta(minutes=15)
FIRST = datetime(2025, 1, 31, 18, 15, tzinfo=UTC)
NOW = datetime(2025, 3, 3, 18, 7, 30, tzinfo=UTC)
COLUMNS = [
    [8, "0.0.1.0.0.255", 2],
    [1, "0.0.96.10.1.255", 2],
    [3, "1.0.1.8.0.255", 2],
    [3, "1.0.1.8.1.255", 2],
]
LINKS = [("wrapper", 1024), ("hdlc", 1024), ("hdlc", 128)]


def _rows(first: datetime, count: int) -> list[list[object]]:
    ends = [first + i * QUARTER for i in range(count)]
    return [[end.isoformat(), 0, HOME.register_wh(end), HOME.peak_wh(end)] for end in ends]


def _check(found: dict[str, Any]) -> None:
    assert found["clock"] == NOW.isoformat()
    assert found["register"] == HOME.register_wh(NOW)
    assert found["several"] == [HOME.register_wh(NOW)] * 2
    assert "undefined" in found["missing"].lower()
    assert found["columns"] == COLUMNS
    assert found["profile"] == _rows(FIRST, 2976)
    assert found["between"] == _rows(datetime(2025, 3, 2, 6, 0, tzinfo=UTC), 97)


@pytest.mark.parametrize("security", ["none", "password", "gmac"])
@pytest.mark.parametrize(("link", "octets"), LINKS)
def test_gurux_reads_our_meter(
    serve: Callable[..., list[int]], read: Callable[..., Any], link: str, octets: int, security: str
) -> None:
    (port,) = serve(link=link, security=security)
    reader = read(
        "with_gurux", link=link, security=security, port=port, information_octets_max=octets
    )
    found = reader.hear()
    _check(found)
    assert found["entries"] == _rows(FIRST + 4 * QUARTER, 10)


@pytest.mark.parametrize("security", ["none", "password", "gmac"])
@pytest.mark.parametrize("link", ["wrapper", "hdlc"])
def test_dlms_cosem_reads_our_meter(
    serve: Callable[..., list[int]], read: Callable[..., Any], link: str, security: str
) -> None:
    (port,) = serve(link=link, security=security)
    _check(read("with_dlms_cosem", link=link, security=security, port=port).hear())
