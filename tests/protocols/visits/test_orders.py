from dataclasses import replace

import pytest

from quince.model.errors import InvalidValueError
from quince.protocols.visits.orders import OrderKind, WorkOrder

ORDER = WorkOrder(
    order_id="WO-1",
    kind=OrderKind.COMMISSION,
    metering_point="mp-1",
    premise="12 Elm Street",
    zone="America/El_Salvador",
    gateway="gw-1",
    serial="SN-1",
    meter={"id": "M1", "kind": "dlms", "security": {"password": "12345678"}},
    due="2026-05-02",
    last_register_wh=5,
)


def test_an_order_is_read_as_it_was_written():
    assert WorkOrder.read(ORDER.document()) == ORDER


def test_a_summary_and_a_log_line_show_no_password():
    assert "12345678" not in repr(ORDER) + repr(ORDER.summary())
    assert ORDER.summary()["meter_id"] == "M1"


def test_a_swap_names_the_old_meter():
    swap = replace(ORDER, kind=OrderKind.SWAP, old_meter_id="M0")
    assert WorkOrder.read(swap.document()).old_meter_id == "M0"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("order_id", ""),
        ("serial", 7),
        ("address", "x" * 201),
        ("kind", "paint"),
        ("kind", ["swap"]),
        ("kind", "swap"),
        ("old_meter_id", "M0"),
        ("transformer_ratio", 0),
        ("transformer_ratio", True),
        ("last_register_wh", -1),
        ("due", "tomorrow"),
        ("meter", None),
        ("meter", {"kind": "dlms"}),
        ("colour", "red"),
    ],
)
def test_an_order_that_cannot_be_is_refused(name, value):
    with pytest.raises(InvalidValueError):
        WorkOrder.read({**ORDER.document(), name: value})


def test_an_order_without_a_serial_is_refused():
    document = ORDER.document()
    del document["serial"]
    with pytest.raises(InvalidValueError, match="serial"):
        WorkOrder.read(document)
