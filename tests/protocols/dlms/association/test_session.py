from collections.abc import Callable
from typing import Any

import pytest

from quince.model.errors import RemoteProtocolError
from quince.model.obis import ACTIVE_IMPORT_REGISTER
from quince.protocols.dlms.apdu.get import GetBlockResponse
from quince.protocols.dlms.apdu.reference import AccessResult, Ref
from quince.protocols.dlms.association.session import Closed
from quince.protocols.dlms.association.states import Associated, Reply
from quince.protocols.dlms.links.hdlc_frame import Frame, HdlcAddress
from quince.protocols.dlms.links.link import UnnumberedReceived


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


REGISTER = Ref(3, ACTIVE_IMPORT_REGISTER, 2)
SERVER, CLIENT = HdlcAddress(upper=1, lower=17), HdlcAddress(upper=16)


def test_a_request_and_its_repetition_in_one_read_are_answered_alike(
    line: Callable[..., Any],
) -> None:
    meter = line("hdlc-128", "gmac")
    meter.associate()
    meter.session.get(REGISTER)
    meter.session.retransmit()
    assert meter.until(Reply).result is AccessResult.OBJECT_UNDEFINED
    assert len(meter.shelf.selections) == 1
    assert meter.get(REGISTER).result is AccessResult.OBJECT_UNDEFINED


def test_events_are_given_one_at_a_time(line: Callable[..., Any]) -> None:
    meter = line("wrapper", "none")
    meter.session.start()
    meter.session.receive_data(meter._server.receive(meter.session.data_to_send()))
    assert meter.session.next_event() == Associated()
    assert meter.session.next_event() is None


def test_a_session_that_has_nothing_to_ask_is_kept_alive(line: Callable[..., Any]) -> None:
    meter = line("hdlc-128", "none")
    meter.associate()
    meter.session.keep_alive()
    answer = meter._server.receive(meter.session.data_to_send())
    assert meter.session.receive(answer) == []
    assert meter.get(REGISTER).result is AccessResult.OBJECT_UNDEFINED


def test_what_a_meter_tells_outside_of_the_count_is_handed_on(line: Callable[..., Any]) -> None:
    meter = line("hdlc-128", "gmac")
    meter.associate()
    aside = Frame(destination=CLIENT, source=SERVER, control=0x13, information=b"\xe6\xe7\x00\x0f")
    assert meter.session.receive(aside.encode()) == [UnnumberedReceived(apdu=b"\x0f")]


def test_what_a_client_tells_all_meters_is_not_answered(line: Callable[..., Any]) -> None:
    meter = line("hdlc-128", "none")
    meter.associate()
    to_all = Frame(
        destination=HdlcAddress(upper=127, lower=127),
        source=CLIENT,
        control=0x13,
        information=b"\xe6\xe6\x00\xc1",
    )
    assert meter._server.receive(to_all.encode()) == b""


@pytest.mark.parametrize(("link", "result"), [("wrapper", Reply), ("hdlc-128", Closed)])
def test_a_meter_forgets_a_client_where_the_link_has_an_inactivity_time(
    line: Callable[..., Any], link: str, result: type
) -> None:
    meter = line(link, "none")
    meter.associate()
    meter._server.expire()
    meter.session.get(REGISTER)
    assert isinstance(meter.until(result), result)
