"""Simulated meters that push: P1 ports, plain or sealed, mode D meters, and SML meters."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import NoReturn

from quince.firmware_sims.lines.faults import Faults
from quince.firmware_sims.lines.pty_line import PtyLine, serve_pty
from quince.firmware_sims.load import metered_wh, served
from quince.firmware_sims.optical.memory import Memory
from quince.model.clock import Clock
from quince.model.obis import Obis
from quince.protocols.optical.dsmr.encryption import TelegramKey, seal
from quince.protocols.optical.dsmr.objects import render_stamp
from quince.protocols.optical.iec62056_21.datasets import DataSet, Value, render_energy
from quince.protocols.optical.line import PUSH_BAUD
from quince.protocols.optical.sml.messages import UNIT_WH, Entry, ValueList, render_content
from quince.protocols.optical.sml.transport import render_file
from quince.protocols.optical.telegram import Telegram

P1_BAUD, SML_BAUD = 115_200, 9600
_SYSTEM_TITLE = b"QNCSIMP1"
_SERVER_ID_BEGIN = b"\x0a\x01QNC\x00"  # medium electricity, the maker, a block of numbers
_MAKER, _SERVER_ID = Obis.parse("1-0:96.50.1*1"), Obis.parse("1-0:96.1.0")
_IMPORT, _EXPORT = Obis.parse("1-0:1.8.0"), Obis.parse("1-0:2.8.0")


@dataclass(frozen=True, slots=True, kw_only=True)
class PushingMeter:
    """A meter that says at `baud`, every `period_s` seconds, what `render` gives for the moment.

    It says nothing while its mains is off.
    """

    memory: Memory
    clock: Clock
    render: Callable[[Memory, datetime], bytes]
    baud: int
    seven_bits: bool
    period_s: float

    def serve(
        self, link: Path | None = None, faults: Faults | None = None
    ) -> AbstractAsyncContextManager[Path]:
        """Lie on a pseudo-terminal, reachable by the path given back (`link`, if given)."""
        return serve_pty(self.push, link, faults)

    async def push(self, line: PtyLine) -> NoReturn:
        """Push over `line`, for ever."""
        line.switch(self.baud)
        line.seven_bits = self.seven_bits
        while True:
            now_utc = self.clock.now_utc()
            if self.memory.supply.is_on(now_utc):
                await line.write(self.render(self.memory, now_utc))
            await asyncio.sleep(self.period_s)


def p1_meter(
    memory: Memory, clock: Clock, *, key: TelegramKey | None = None, period_s: float = 1.0
) -> PushingMeter:
    """Return a DSMR 5 meter, its telegrams sealed if it has a key."""
    render = render_p1 if key is None else _sealing(key, first=int(clock.now_utc().timestamp()))
    return PushingMeter(
        memory=memory,
        clock=clock,
        render=render,
        baud=P1_BAUD,
        seven_bits=False,
        period_s=period_s,
    )


def mode_d_meter(memory: Memory, clock: Clock, *, period_s: float = 1.0) -> PushingMeter:
    """Return an IEC 62056-21 mode D meter."""
    return PushingMeter(
        memory=memory,
        clock=clock,
        render=render_mode_d,
        baud=PUSH_BAUD,
        seven_bits=True,
        period_s=period_s,
    )


def sml_meter(memory: Memory, clock: Clock, *, period_s: float = 1.0) -> PushingMeter:
    """Return an SML meter without a PIN to hide its tenths of a watt-hour."""
    return PushingMeter(
        memory=memory,
        clock=clock,
        render=render_sml,
        baud=SML_BAUD,
        seven_bits=False,
        period_s=period_s,
    )


def render_p1(memory: Memory, now_utc: datetime) -> bytes:
    """Return a telegram that shows two tariffs and, as P1 does, no total."""
    total_wh = metered_wh(memory.household, memory.supply, now_utc)
    peak_wh = served(memory.household.peak_wh, memory.supply, now_utc)
    energies = {"1.8.1": peak_wh, "1.8.2": total_wh - peak_wh, "2.8.1": 0, "2.8.2": 0}
    telegram = Telegram(
        identification="QNC5\\2SIM-P1",
        data_sets=(
            DataSet("1-3:0.2.8", (Value("50"),)),
            DataSet("0-0:1.0.0", (Value(render_stamp(now_utc, memory.utc_offset_min)),)),
            DataSet("0-0:96.1.1", (Value(memory.serial.encode().hex().upper()),)),
            *(
                DataSet(f"1-0:{name}", (Value(f"{render_energy(wh):0>10}", "kWh"),))
                for name, wh in energies.items()
            ),
        ),
        is_checked=True,
    )
    return bytes(telegram)


def render_mode_d(memory: Memory, now_utc: datetime) -> bytes:
    """Return a telegram that shows what a read-out shows."""
    image = tuple(memory.data_image(now_utc, now_utc))
    telegram = Telegram(identification="QNC3SIM-D", data_sets=image, is_checked=False)
    return bytes(telegram)


def render_sml(memory: Memory, now_utc: datetime) -> bytes:
    """Return a file with the registers in tenths of a watt-hour."""
    register_wh = metered_wh(memory.household, memory.supply, now_utc)
    number = int("".join(filter(str.isdigit, memory.serial)) or "0") % 2**32
    server_id = _SERVER_ID_BEGIN + number.to_bytes(4, "big")
    values = ValueList(
        server_id=server_id,
        entries=(
            Entry(obis=_MAKER, value=b"QNC"),
            Entry(obis=_SERVER_ID, value=server_id),
            Entry(obis=_IMPORT, value=register_wh * 10, unit=UNIT_WH, scaler=-1, status=0x1C0104),
            Entry(obis=_EXPORT, value=0, unit=UNIT_WH, scaler=-1),
        ),
    )
    return render_file(render_content(values, int(now_utc.timestamp()) % 2**31))


def _sealing(key: TelegramKey, first: int) -> Callable[[Memory, datetime], bytes]:
    """Return what renders sealed telegrams, each with a counter of its own."""
    counters = count(first)

    def render(memory: Memory, now_utc: datetime) -> bytes:
        telegram = render_p1(memory, now_utc)
        return seal(telegram, key, system_title=_SYSTEM_TITLE, counter=next(counters))

    return render
