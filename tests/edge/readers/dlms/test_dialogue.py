"""A dialogue with a session that says what a test wants it to, over a line that always answers."""

import asyncio
from typing import Any

import pytest

from quince.edge.errors import ReadTimeoutError, TransportError
from quince.edge.readers.dlms import dialogue as dlms_dialogue
from quince.edge.readers.dlms.dialogue import Dialogue, pass_over
from quince.model.errors import LocalProtocolError
from quince.protocols.dlms.association.session import Closed
from quince.protocols.dlms.association.states import Associated
from quince.protocols.dlms.cosem.clock import CLOCK_TIME
from quince.protocols.dlms.links.link import UnnumberedReceived


class Line:
    """Hears something at once, whatever was written."""

    async def read(self, _deadline_s: float) -> bytes:
        await asyncio.sleep(0)
        return b"?"

    async def write(self, data: bytes) -> None:
        del data


class Session:
    """Takes every request, and answers with the same events each time."""

    def __init__(self, *events: object) -> None:
        self._events = events

    def __getattr__(self, _request: str) -> Any:
        return lambda *_: None

    def data_to_send(self) -> bytes:
        return b"!"

    def receive(self, _data: bytes) -> list[object]:
        return list(self._events)


def talking(*events: object) -> Dialogue:
    line: Any = Line()
    session: Any = Session(*events)
    return Dialogue(line, session, pass_over)


async def test_a_meter_that_closes_the_session_is_told_of() -> None:
    with pytest.raises(TransportError, match="closed"):
        await talking(Closed()).get(CLOCK_TIME)


async def test_a_meter_that_keeps_us_busy_costs_its_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dlms_dialogue, "EXCHANGE_S_MAX", 0.0)
    with pytest.raises(ReadTimeoutError, match="no end"):
        await talking().get(CLOCK_TIME)


async def test_of_no_attributes_there_are_none() -> None:
    assert await talking().get_all([]) == []


async def test_behind_its_end_nothing_is_asked_and_no_good_bye_is_said() -> None:
    dialogue = talking(Closed())
    dialogue.end("a key was changed")
    await dialogue.release()
    with pytest.raises(LocalProtocolError, match="another session"):
        await dialogue.get_all([CLOCK_TIME])


async def test_what_comes_unasked_with_an_answer_is_heard_and_the_answer_taken() -> None:
    heard: list[object] = []
    push = UnnumberedReceived(apdu=b"\xc2")
    line: Any = Line()
    session: Any = Session(push, Associated(), push)
    await Dialogue(line, session, heard.append).associate()
    assert heard == [push, push]
