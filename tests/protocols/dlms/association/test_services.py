"""Every service between a client and a meter, in one piece and in many."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from quince.model.errors import LocalProtocolError
from quince.model.obis import Obis
from quince.protocols.dlms.apdu.access import AccessPart, AccessService
from quince.protocols.dlms.apdu.initiate import SERVED, Conformance
from quince.protocols.dlms.apdu.reference import Access, AccessResult, Ref
from quince.protocols.dlms.association.states import Reply, ReplyList
from quince.protocols.dlms.encoding.axdr import NULL, Data, octet_string
from quince.protocols.dlms.encoding.tags import Tag
from quince.protocols.dlms.errors import ServiceRefusedError

FIRST, SECOND, ABSENT = (Ref(1, Obis(0, 0, 96, 1, e), 2) for e in range(3))
SHORT, LONG = Data(Tag.UINT8, 7), octet_string(bytes(range(250)) * 2)
DONE, UNDEFINED = AccessResult.SUCCESS, AccessResult.OBJECT_UNDEFINED
BLOCKS = (
    Conformance.BLOCK_TRANSFER_WITH_GET
    | Conformance.BLOCK_TRANSFER_WITH_SET
    | Conformance.BLOCK_TRANSFER_WITH_ACTION
)
# The ways to take what is too long: the services' own blocks, general ones, streams of these.
WAYS: dict[str, dict[str, Any]] = {
    "own blocks": {"conformance": SERVED & ~Conformance.GENERAL_BLOCK_TRANSFER},
    "general blocks": {"conformance": SERVED & ~BLOCKS},
    "streams": {"conformance": SERVED & ~BLOCKS, "window": 7},
    "one by one": {"conformance": SERVED & ~(Conformance.MULTIPLE_REFERENCES | Conformance.ACCESS)},
    "ciphered": {"ciphered": True, "window": 3},
}


@pytest.fixture(params=WAYS)
def narrow(request: pytest.FixtureRequest, pair: Callable[..., Any]) -> Any:
    """Return a pair in which nothing long fits, with one attribute of each kind."""
    made = pair(client_pdu=100, meter_pdu=100, **WAYS[request.param])
    made.shelf.attributes = {FIRST: LONG, SECOND: SHORT}
    return made


def _values(replies: tuple[Reply, ...]) -> list[Data | AccessResult]:
    return [one.require() if one.result is DONE else one.result for one in replies]


def test_a_long_attribute_is_read(narrow: Any) -> None:
    assert _values(narrow.ask(narrow.client.get(FIRST))) == [LONG]
    assert _values(narrow.ask(narrow.client.get(SECOND))) == [SHORT]


def test_a_list_is_read_in_its_order(narrow: Any) -> None:
    items = [(FIRST, None), (ABSENT, None), (SECOND, None), (FIRST, None)]
    assert _values(narrow.ask(narrow.client.get_list(items))) == [LONG, UNDEFINED, SHORT, LONG]


def test_each_item_of_a_list_has_its_own_selection(narrow: Any) -> None:
    selection = Access(selector=2, parameter=octet_string(b"that row"))
    items = [(FIRST, selection), (FIRST, None), (SECOND, selection)]
    replies = narrow.ask(narrow.client.get_list(items))
    assert _values(replies) == [selection.parameter, LONG, selection.parameter]


def test_a_long_attribute_is_written(narrow: Any) -> None:
    assert narrow.ask(narrow.client.set(ABSENT, LONG)) == (Reply(result=DONE),)
    assert narrow.shelf.attributes[ABSENT] == LONG


def test_a_list_is_written_in_its_order(narrow: Any) -> None:
    replies = narrow.ask(narrow.client.set_list([(ABSENT, LONG), (FIRST, SHORT)]))
    assert replies == (Reply(result=DONE), Reply(result=DONE))
    assert narrow.shelf.attributes == {FIRST: SHORT, SECOND: SHORT, ABSENT: LONG}


def test_a_method_takes_and_returns_what_is_long(narrow: Any) -> None:
    assert _values(narrow.ask(narrow.client.action(SECOND, LONG))) == [LONG]
    assert _values(narrow.ask(narrow.client.action(FIRST))) == [LONG]
    assert _values(narrow.ask(narrow.client.action(SECOND))) == [SHORT]


def test_a_list_of_methods_is_called_in_its_order(narrow: Any) -> None:
    calls = [(SECOND, LONG), (ABSENT, None), (FIRST, None), (SECOND, None)]
    assert _values(narrow.ask(narrow.client.action_list(calls))) == [LONG, UNDEFINED, LONG, SHORT]


def test_an_access_reads_writes_and_calls_in_its_order(narrow: Any) -> None:
    parts = [
        (AccessPart(service=AccessService.SET, ref=ABSENT), LONG),
        (AccessPart(service=AccessService.GET, ref=ABSENT), NULL),
        (AccessPart(service=AccessService.ACTION, ref=SECOND), NULL),
        (AccessPart(service=AccessService.ACTION, ref=SECOND), LONG),
    ]
    replies = narrow.ask(narrow.client.access(parts))
    assert _values(replies) == [NULL, LONG, SHORT, LONG]


def test_an_access_selects_to_read_and_is_refused_to_write(narrow: Any) -> None:
    selection = Access(selector=1, parameter=SHORT)
    parts = [
        (AccessPart(service=AccessService.GET, ref=SECOND, access=selection), NULL),
        (AccessPart(service=AccessService.SET, ref=SECOND, access=selection), SHORT),
        (AccessPart(service=AccessService.GET, ref=Ref(1, Obis(9, 9, 9, 9, 9), 2)), NULL),
    ]
    replies = narrow.ask(narrow.client.access(parts))
    assert _values(replies) == [SHORT, AccessResult.SCOPE_OF_ACCESS_VIOLATED, UNDEFINED]


def test_no_apdu_is_larger_than_its_receiver_takes(narrow: Any) -> None:
    narrow.ask(narrow.client.action_list([(SECOND, LONG), (FIRST, None)]))
    assert 80 < max(map(len, narrow.sent)) <= 100
    assert 80 < max(map(len, narrow.answered)) <= 100


def test_a_window_saves_round_trips(pair: Callable[..., Any]) -> None:
    one_by_one = pair(client_pdu=100, conformance=SERVED & ~BLOCKS)
    in_a_row = pair(client_pdu=100, conformance=SERVED & ~BLOCKS, window=63)
    for each in (one_by_one, in_a_row):
        each.shelf.attributes[FIRST] = LONG
        each.ask(each.client.get(FIRST))
    assert (len(one_by_one.sent), len(in_a_row.sent)) == (6, 2)
    assert len(one_by_one.answered) == len(in_a_row.answered) == 6


def test_what_neither_fits_nor_can_be_cut_is_refused(pair: Callable[..., Any]) -> None:
    rigid = pair(client_pdu=100, meter_pdu=100, conformance=Conformance.GET | Conformance.SET)
    rigid.shelf.attributes[FIRST] = LONG
    with pytest.raises(LocalProtocolError, match="more than the meter receives"):
        rigid.client.set(FIRST, LONG)
    with pytest.raises(ServiceRefusedError, match="service error 4"):
        rigid.ask(rigid.client.get(FIRST))
    assert _values(rigid.ask(rigid.client.get(ABSENT))) == [UNDEFINED]


def test_lists_too_long_for_a_meter_without_blocks_go_one_by_one(pair: Callable[..., Any]) -> None:
    conformance = Conformance.MULTIPLE_REFERENCES | Conformance.ACCESS
    rigid = pair(client_pdu=200, meter_pdu=50, conformance=conformance)
    value = octet_string(bytes(20))
    rigid.ask(rigid.client.set_list([(FIRST, value), (SECOND, value), (ABSENT, value)]))
    assert rigid.shelf.attributes == {FIRST: value, SECOND: value, ABSENT: value}
    calls = [(FIRST, value), (SECOND, value)]
    assert _values(rigid.ask(rigid.client.action_list(calls))) == [value, value]
    parts = [(AccessPart(service=AccessService.ACTION, ref=FIRST), value)] * 2
    assert _values(rigid.ask(rigid.client.access(parts))) == [value, value]
    assert len(rigid.sent) == 2


def test_more_references_than_a_list_can_count_go_in_several(pair: Callable[..., Any]) -> None:
    wide = pair(client_pdu=60_000, meter_pdu=60_000)
    wide.shelf.attributes = {FIRST: SHORT}
    assert _values(wide.ask(wide.client.get_list([(FIRST, None)] * 300))) == [SHORT] * 300
    assert _values(wide.ask(wide.client.action_list([(FIRST, None)] * 300))) == [SHORT] * 300
    parts = [(AccessPart(service=AccessService.GET, ref=FIRST), NULL)] * 300
    assert _values(wide.ask(wide.client.access(parts))) == [SHORT] * 300
    assert len(wide.sent) == 2


_REFS = st.sampled_from([FIRST, SECOND, ABSENT])
_ASKED = st.lists(
    st.tuples(_REFS, st.binary(max_size=300).map(octet_string)), min_size=1, max_size=9
)


def _all_ways(each: Any, asked: list[tuple[Ref, Data]]) -> list[list[Data | AccessResult]]:
    """Ask for everything in every form, and return what came."""
    client = each.client
    each.shelf.attributes = {FIRST: SHORT, SECOND: LONG}
    parts = [(AccessPart(service=AccessService.GET, ref=ref), NULL) for ref, _ in asked]
    return [
        _values(each.ask(client.get_list([(ref, None) for ref, _ in asked]))),
        _values(each.ask(client.action_list(asked))),
        _values(each.ask(client.set(*asked[0]))),
        _values(each.ask(client.set_list(asked))),
        _values(each.ask(client.action(*asked[-1]))),
        _values(each.ask(client.access(parts))),
        _values(each.ask(client.get(asked[0][0]))),
    ]


@settings(max_examples=100, deadline=None)
@given(
    asked=_ASKED,
    client_pdu=st.integers(64, 600),
    meter_pdu=st.integers(40, 600),
    window=st.integers(1, 63),
    without=st.lists(
        st.sampled_from([*BLOCKS, Conformance.MULTIPLE_REFERENCES, Conformance.ACCESS])
    ),
)
def test_the_answer_does_not_depend_on_how_it_is_cut(
    pair: Callable[..., Any],
    asked: list[tuple[Ref, Data]],
    client_pdu: int,
    meter_pdu: int,
    window: int,
    without: list[Conformance],
) -> None:
    conformance = SERVED
    for bit in without:
        conformance &= ~bit
    cut = pair(client_pdu=client_pdu, meter_pdu=meter_pdu, conformance=conformance, window=window)
    whole = pair(client_pdu=60_000, meter_pdu=60_000)
    assert _all_ways(cut, asked) == _all_ways(whole, asked)


@pytest.mark.parametrize("link", ["wrapper", "hdlc-128"])
@pytest.mark.parametrize("security", ["none", "gmac"])
def test_lists_cross_every_link_and_security(
    line: Callable[..., Any], link: str, security: str
) -> None:
    meter = line(link, security)
    meter.associate()
    session = meter.session
    session.set_list([(FIRST, LONG), (SECOND, SHORT)])
    assert _values(meter.until(ReplyList).replies) == [NULL, NULL]
    session.get_list([(SECOND, None), (FIRST, None)])
    assert _values(meter.until(ReplyList).replies) == [SHORT, LONG]
    session.action_list([(FIRST, LONG), (SECOND, None)])
    assert _values(meter.until(ReplyList).replies) == [LONG, SHORT]
    session.access([(AccessPart(service=AccessService.GET, ref=FIRST), NULL)])
    assert _values(meter.until(ReplyList).replies) == [LONG]
