"""A Modbus meter behind a bad network: what is read is what the meter shows, or an error.

No bit is flipped: Modbus over TCP has no check of its own, it is TCP's that guards it.
"""

import pytest
from tests.chaos.proxy import Mischief, Proxy

from quince.edge.profiles.catalogue import load_profile
from quince.edge.readers.modbus import line as modbus_line
from quince.edge.readers.modbus.line import ModbusLine
from quince.edge.readers.modbus.reader import Installation, open_modbus
from quince.firmware_sims.load import Household, Supply
from quince.firmware_sims.modbus.config import TcpConfig, serve_line
from quince.firmware_sims.modbus.faults import Faults
from quince.firmware_sims.modbus.meter import ModbusMeter
from quince.model.clock import SystemClock
from quince.model.errors import QuinceError
from quince.model.obis import ACTIVE_IMPORT_REGISTER

VISITS = 15
PROFILE = load_profile("schneider_iem3155")
HOUSEHOLD = Household(seed=3, base_wh=900)
BAD_LINE = Mischief(jitter_s=0.01, drop=0.03, duplicate=0.05, swap=0.03, truncate=0.05, end=0.03)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(modbus_line, "REPLY_S_MAX", 0.1)


def served():
    meter = ModbusMeter(HOUSEHOLD, Supply(), SystemClock(), profile=PROFILE, device_id=3)
    return serve_line(meter, TcpConfig(kind="tcp"), ("127.0.0.1", 0), Faults())


async def register_wh(port):
    line = ModbusLine(url=f"modbus+tcp://127.0.0.1:{port}", device_id=3)
    async with open_modbus(
        line, meter_id="M", installation=Installation(profile=PROFILE), clock=SystemClock()
    ) as reader:
        (shown,) = [
            one.value for one in await reader.registers() if one.obis == ACTIVE_IMPORT_REGISTER
        ]
        return shown


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("seed", [1, 2])
async def test_a_register_read_through_chaos_is_right_or_not_read(seed):
    first_wh, shown, refused = HOUSEHOLD.register_wh(SystemClock().now_utc()), [], 0
    async with served() as port, Proxy(("127.0.0.1", port), seed=seed).listen() as proxy:
        proxy.mistreat(BAD_LINE)
        for _ in range(VISITS):
            try:
                shown.append(await register_wh(proxy.port))
            except QuinceError:
                refused += 1
    last_wh = HOUSEHOLD.register_wh(SystemClock().now_utc())
    assert [value for value in shown if not first_wh <= value <= last_wh] == []
    assert (bool(shown), bool(refused)) == (True, True)
