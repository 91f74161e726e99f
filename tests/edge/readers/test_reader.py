"""What a meter that can only be read says to being told."""

from datetime import UTC, datetime

import pytest

from quince.edge.errors import UnsupportedError
from quince.edge.readers.reader import ReadOnly
from quince.model.meter_key import MeterKey


def no_progress(_done: int, _total: int) -> None:
    """Tell nobody."""


@pytest.mark.parametrize(
    ("tell", "said"),
    [
        (lambda meter: meter.set_clock(datetime(2026, 5, 2, tzinfo=UTC)), "clock"),
        (lambda meter: meter.supply_state(), "switch"),
        (lambda meter: meter.switch_supply(on=False), "off"),
        (lambda meter: meter.transfer_firmware(b"", "QNC-2", no_progress), "QNC-2"),
        (lambda meter: meter.activate_firmware("QNC-2"), "QNC-2"),
        (lambda meter: meter.change_key(MeterKey.MASTER, bytes(16)), "master"),
    ],
)
async def test_whatever_it_is_told_it_refuses_by_name(tell, said):
    with pytest.raises(UnsupportedError, match=said):
        await tell(ReadOnly())
