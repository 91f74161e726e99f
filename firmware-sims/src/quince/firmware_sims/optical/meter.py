"""The simulated optical meter: IEC 62056-21 sessions over a pseudo-terminal, fed by a household."""

import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from hmac import compare_digest
from pathlib import Path
from typing import NoReturn

import structlog

from quince.firmware_sims.dlms.meter import DlmsMeter
from quince.firmware_sims.dlms.server import hdlc_session
from quince.firmware_sims.lines.faults import Faults
from quince.firmware_sims.lines.pty_line import PtyLine, serve_pty
from quince.firmware_sims.optical.memory import Memory
from quince.model.clock import Clock
from quince.model.errors import CodecError, QuinceError
from quince.protocols.optical.iec62056_21.datasets import (
    DataSet,
    Value,
    parse_stamp,
    render_read_out,
    render_stamp,
)
from quince.protocols.optical.iec62056_21.messages import Identification, Mode, Protocol
from quince.protocols.optical.iec62056_21.profile import (
    ADDRESS,
    parse_range,
    render_profile,
)
from quince.protocols.optical.iec62056_21.server import (
    Asked,
    Event,
    Left,
    PasswordGiven,
    Selected,
    Server,
    SignedOn,
    State,
    Told,
)
from quince.protocols.optical.line import REACTION_S_MAX, SESSION_IDLE_S_MAX, SIGN_ON_BAUD

log = structlog.get_logger()

_REACTION_S = 0.1  # between the 20 ms its name promises and the 1.5 s the standard allows
_BAUD_CHARACTER = {Protocol.A: "X", Protocol.B: "E", Protocol.C: "5"}  # 300, 9600, 9600
# Real meters keep an idle HDLC link for 30..120 s; nobody shall wait so long for this one.
_HDLC_IDLE_S = 3.0
_ROWS_PER_PART = 8


class OpticalMeter:
    """A meter of mode A, B or C: read-out for everyone, the load profile behind the password.

    It signs on at 300 baud, offers 9600 (mode A: nothing), and hears and says nothing while its
    mains is off. Its clock goes wrong by `drift` until it is set; its profile goes by the true
    time. With `dlms`, it hands over to HDLC when it is asked to: mode E.
    """

    def __init__(
        self,
        memory: Memory,
        clock: Clock,
        *,
        password: str,
        protocol: Protocol = Protocol.C,
        drift: timedelta = timedelta(0),
        dlms: DlmsMeter | None = None,
    ) -> None:
        """Build the meter; its serial is also its device address."""
        self._memory = memory
        self._clock = clock
        self._password = password
        self._drift = drift
        self._dlms = dlms
        # The lower-case third letter says that 20 ms between messages are enough.
        self._identification = Identification(
            maker="QUi",
            baud_character=_BAUD_CHARACTER[protocol],
            name="SIM-OPTICAL" if dlms is None else "\\2SIM-OPTICAL",
        )

    def serve(
        self, link: Path | None = None, faults: Faults | None = None
    ) -> AbstractAsyncContextManager[Path]:
        """Lie on a pseudo-terminal, reachable by the path given back (`link`, if given)."""
        return serve_pty(self.converse, link, faults)

    async def converse(self, line: PtyLine) -> NoReturn:
        """Answer whoever signs on over `line`, one session after another, for ever."""
        speaks_hdlc = self._dlms is not None
        server = Server(self._identification, self._memory.serial, speaks_hdlc=speaks_hdlc)
        while True:
            try:
                async with asyncio.timeout(_patience_s(server.state)):
                    characters = await line.read()
            except TimeoutError:
                characters = b""
                server.hang_up()
            if not self._memory.supply.is_on(self._clock.now_utc()):
                server.hang_up()
                characters = b""
            server.receive_data(characters)
            await self._answer(server, line)

    async def _answer(self, server: Server, line: PtyLine) -> None:
        while (event := server.next_event()) is not None:
            await _flush(server, line)
            self._take(event, server, line)
            await _flush(server, line)
            if server.state is State.HANDED_OVER and self._dlms is not None:
                await _speak_hdlc(self._dlms, line)
                server.hang_up()
        await _flush(server, line)
        if server.state in (State.SILENT, State.IDENTIFIED):
            line.switch(SIGN_ON_BAUD)

    def _take(self, event: Event, server: Server, line: PtyLine) -> None:
        match event:
            case SignedOn() | Left():
                pass
            case Selected(baud=baud, mode=mode):
                line.switch(baud)
                self._begin(mode, server)
            case PasswordGiven(password=password):
                if compare_digest(password.encode(), self._password.encode()):
                    server.accept()
                else:
                    log.info("optical_password_refused", serial=self._memory.serial)
                    server.refuse()
            case Asked(address=address, argument=argument, in_parts=in_parts):
                server.answer(*self._texts_of(address, argument, in_parts=in_parts))
            case Told(address=address, value=value):
                if self._set(address, value):
                    server.accept()
                else:
                    server.answer("(ERROR)")

    def _begin(self, mode: Mode, server: Server) -> None:
        match mode:
            case Mode.READ_OUT:
                server.read_out(render_read_out(self._image()))
            case Mode.PROGRAMMING:
                server.challenge(str(DataSet("", (Value(self._memory.serial),))))
            case Mode.HDLC:
                server.hand_over()

    def _image(self) -> list[DataSet]:
        return self._memory.data_image(self._clock.now_utc(), self._shown_utc())

    def _shown_utc(self) -> datetime:
        return self._clock.now_utc() + self._drift

    def _set(self, address: str, value: str) -> bool:
        """Set the date or the time, each with or without a season digit; say whether it was one."""
        offset_min = self._memory.utc_offset_min
        shown = render_stamp(self._shown_utc(), offset_min)
        stamps = {"0.9.2": value[-6:] + shown[7:], "0.9.1": shown[1:7] + value[-6:]}
        if address not in stamps:
            return False
        try:
            told_utc = parse_stamp("0" + stamps[address], offset_min)
        except CodecError:
            return False
        self._drift = told_utc - self._clock.now_utc()
        return True

    def _texts_of(self, address: str, argument: str, *, in_parts: bool) -> list[str]:
        if address == ADDRESS:
            return self._profile(argument, in_parts=in_parts)
        return [next((str(one) for one in self._image() if one.address == address), "(ERROR)")]

    def _profile(self, argument: str, *, in_parts: bool) -> list[str]:
        offset_min = self._memory.utc_offset_min
        try:
            first_end_utc, last_end_utc = parse_range(argument, offset_min)
        except CodecError:
            return ["(ERROR)"]
        sections = self._memory.sections(first_end_utc, last_end_utc, self._clock.now_utc())
        text = render_profile(sections, offset_min)
        return _cut(text) if in_parts and sections else [text]


def _cut(text: str) -> list[str]:
    """Return a profile's text in parts of a few lines each."""
    lines = text.splitlines(keepends=True)
    return ["".join(lines[i : i + _ROWS_PER_PART]) for i in range(0, len(lines), _ROWS_PER_PART)]


async def _flush(server: Server, line: PtyLine) -> None:
    output = server.data_to_send()
    if output:
        await asyncio.sleep(_REACTION_S)
        await line.write(output)


async def _speak_hdlc(dlms: DlmsMeter, line: PtyLine) -> None:
    """Serve DLMS in eight bits until the line has been idle, or the mains goes off."""
    session = hdlc_session(dlms)
    line.seven_bits = False
    try:
        while dlms.is_on:
            async with asyncio.timeout(_HDLC_IDLE_S):
                octets = await line.read()
            await line.write(session.receive(octets))
    except TimeoutError:
        log.debug("optical_hdlc_idle", meter_id=dlms.device_id)
    except QuinceError as error:
        log.info("optical_hdlc_dropped", meter_id=dlms.device_id, code=error.code)
    finally:
        line.seven_bits = True


def _patience_s(state: State) -> float | None:
    """Return after how many silent seconds the meter falls back to 300 baud."""
    match state:
        case State.SILENT:
            return None
        case State.IDENTIFIED | State.READ_OUT | State.HANDED_OVER:
            return REACTION_S_MAX
        case State.LOCKED | State.OPEN:
            return SESSION_IDLE_S_MAX
