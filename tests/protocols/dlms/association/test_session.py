from collections.abc import Callable
from typing import Any

import pytest

from quince.model.errors import RemoteProtocolError
from quince.model.obis import ACTIVE_IMPORT_REGISTER
from quince.protocols.dlms.apdu.reference import Ref
from quince.protocols.dlms.apdu.services import GetBlockResponse
from quince.protocols.dlms.association.session import Closed
from quince.protocols.dlms.association.states import Associated
from quince.protocols.dlms.links.hdlc_frame import Frame, HdlcAddress


def test_an_answer_that_is_late_is_asked_for_again(line: Callable[..., Any]) -> None:
    meter = line("hdlc-128", "none")
    meter.session.start()
    assert meter.session.data_to_send().endswith(b"\x7e")
    meter.session.retransmit()
    assert meter.until(Associated) == Associated()


def test_a_meter_that_never_answers_is_given_up(line: Callable[..., Any]) -> None:
    meter = line("hdlc-128", "none")
    meter.session.start()
    for _ in range(3):
        meter.session.retransmit()
    with pytest.raises(RemoteProtocolError):
        meter.session.retransmit()


def test_a_meter_that_disconnects_closes_the_session(line: Callable[..., Any]) -> None:
    meter = line("hdlc-128", "none")
    meter.associate()
    disconnected = Frame(
        destination=HdlcAddress(upper=16), source=HdlcAddress(upper=1, lower=17), control=0x1F
    )
    assert meter.session.receive(disconnected.encode()) == [Closed()]


def test_a_meter_that_gives_a_block_and_hangs_up_in_one_breath_closes_the_session(
    line: Callable[..., Any],
) -> None:
    meter = line("hdlc-128", "none")
    meter.associate()
    there: dict[str, Any] = {
        "destination": HdlcAddress(upper=16),
        "source": HdlcAddress(upper=1, lower=17),
    }
    meter.session.get(Ref(3, ACTIVE_IMPORT_REGISTER, 2))
    meter.session.data_to_send()
    block = GetBlockResponse(invoke_id=1, last=False, block_number=1, block=b"\x01")
    answer = Frame(**there, control=0x52, information=b"\xe6\xe7\x00" + block.encode())
    farewell = Frame(**there, control=0x1F)
    assert meter.session.receive(answer.encode() + farewell.encode()) == [Closed()]
