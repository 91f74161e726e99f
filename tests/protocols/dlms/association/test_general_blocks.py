"""Two sides of a general block transfer, over channels that lose, repeat and lie."""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from quince.model.errors import InvalidValueError, LocalProtocolError, RemoteProtocolError
from quince.protocols.dlms.apdu.apdu import decode_apdu
from quince.protocols.dlms.apdu.block_transfer import (
    BLOCK_NUMBER_MAX,
    WINDOW_MAX,
    GeneralBlock,
)
from quince.protocols.dlms.association.general_blocks import STALLED_BLOCKS_MAX, BlockTransfer
from quince.protocols.dlms.association.joining import TRANSFER_OCTETS_MAX


def _transfer(window: int = 3, pdu: int = 20) -> BlockTransfer:
    return BlockTransfer(pdu_octets_max=pdu, window=window)


def _read(blocks: Sequence[bytes]) -> list[GeneralBlock]:
    read = [decode_apdu(one) for one in blocks]
    return [one for one in read if isinstance(one, GeneralBlock)]


def _block(number: int, octets: bytes = b"x", **more: int) -> GeneralBlock:
    fields = {"last": False, "streaming": False, "window": 1, "acknowledged": 0, **more}
    return GeneralBlock(number=number, octets=octets, **fields)  # type: ignore[arg-type] # 0 and 1 as flags


def test_a_message_of_three_blocks_waits_for_each_until_the_window_is_told() -> None:
    sender, receiver = _transfer(), _transfer()
    (first,) = _read(sender.send(bytes(range(25))))
    assert (first.number, first.last, first.streaming) == (1, False, False)
    (told,) = _read(receiver.receive(first).to_send)
    assert (told.number, told.acknowledged, told.window, told.octets) == (1, 1, 3, b"")
    second, third = _read(sender.receive(told).to_send)
    assert (second.streaming, third.streaming, third.last) == (True, False, True)
    assert receiver.receive(second).to_send == ()
    assert receiver.receive(third).apdu == bytes(range(25))


def test_a_message_that_nobody_answers_goes_in_one_stream() -> None:
    blocks = _read(_transfer(window=0).send(bytes(25)))
    assert [one.streaming for one in blocks] == [True, True, False]
    receiver = _transfer()
    steps = [receiver.receive(one) for one in blocks]
    assert [step.to_send for step in steps] == [(), (), ()]
    assert steps[-1].apdu == bytes(25)


def test_a_lost_block_comes_again_with_all_behind_it() -> None:
    sender, receiver = _transfer(), _transfer()
    (first,) = _read(sender.send(bytes(range(40))))
    told = _read(receiver.receive(first).to_send)[0]
    _second, third, fourth = _read(sender.receive(told).to_send)
    receiver.receive(third)
    (missing,) = _read(receiver.receive(fourth).to_send)
    assert missing.acknowledged == 1
    again = _read(sender.receive(missing).to_send)
    assert [one.number for one in again] == [2, 3, 4]
    assert [receiver.receive(one).apdu for one in again][-1] == bytes(range(40))


def test_a_silent_side_is_asked_again() -> None:
    sender, receiver = _transfer(), _transfer()
    first = sender.send(bytes(25))
    assert sender.repeat() == first
    lost = receiver.receive(_read(first)[0]).to_send
    again = _read(receiver.repeat())
    assert (len(lost), again[0].acknowledged) == (1, 1)
    assert len(sender.receive(again[0]).to_send) == 2


def test_a_side_that_does_not_count_its_acknowledgements_is_understood() -> None:
    client, answer = _transfer(), b"the answer"
    client.send(bytes(25))
    client.receive(_block(1, b"", acknowledged=1))
    client.receive(_block(2, b"", acknowledged=3))
    assert client.receive(_block(1, answer, acknowledged=3, last=1)).apdu == answer


def test_an_answer_says_that_the_question_arrived_whatever_it_acknowledges() -> None:
    client = _transfer()
    client.send(bytes(5))
    (told,) = _read(client.receive(_block(1, b"the ", acknowledged=0)).to_send)
    assert (told.octets, told.acknowledged) == (b"", 1)


def test_a_bare_acknowledgement_of_everything_is_not_answered() -> None:
    client = _transfer()
    client.send(bytes(5))
    assert client.receive(_block(1, b"", acknowledged=1)).to_send == ()


def test_an_acknowledgement_of_what_was_never_sent_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="never sent"):
        _transfer().receive(_block(1, acknowledged=1))


def test_a_message_without_end_is_refused() -> None:
    receiver = _transfer()
    half = bytes(TRANSFER_OCTETS_MAX // 2)
    receiver.receive(_block(1, half))
    receiver.receive(_block(2, half))
    with pytest.raises(RemoteProtocolError, match="octets in blocks"):
        receiver.receive(_block(3))


def test_a_block_that_cannot_be_acknowledged_by_number_is_refused() -> None:
    sender = _transfer(pdu=10)  # an octet in each block
    sender.send(bytes(BLOCK_NUMBER_MAX))
    with pytest.raises(RemoteProtocolError, match="numbered"):
        sender.receive(_block(1))


@pytest.mark.parametrize("octets", [b"x", b""])
def test_blocks_that_bring_nothing_new_come_to_an_end(octets: bytes) -> None:
    receiver = _transfer()
    for _ in range(STALLED_BLOCKS_MAX):
        receiver.receive(_block(7, octets))
    with pytest.raises(RemoteProtocolError, match="nothing new"):
        receiver.receive(_block(7, octets))


def test_what_cannot_be_cut_is_not_sent() -> None:
    with pytest.raises(LocalProtocolError):
        _transfer(pdu=9).send(b"x")
    with pytest.raises(LocalProtocolError):
        _transfer(pdu=10).send(bytes(70_000))
    with pytest.raises(InvalidValueError):
        _transfer(window=WINDOW_MAX + 1)


@settings(max_examples=200)
@given(
    message=st.binary(min_size=1, max_size=600),
    window=st.integers(1, 63),
    pdu=st.integers(10, 60),
    seed=st.integers(0, 2**32),
    loss=st.floats(0, 0.4),
)
def test_a_lossy_channel_delivers_the_message_once_and_whole(
    message: bytes, window: int, pdu: int, seed: int, loss: float
) -> None:
    rng = Random(seed)
    sender, receiver = _transfer(window=1, pdu=pdu), _transfer(window=window)
    arrived: list[bytes] = []
    on_the_way = list(sender.send(message))
    for _ in range(100 * len(message)):
        blocks = [one for one in _read(on_the_way) if rng.random() >= loss]
        steps = [receiver.receive(block) for block in blocks]
        arrived += [step.apdu for step in steps if step.apdu is not None]
        if arrived:
            break
        back = _read([one for step in steps for one in step.to_send if rng.random() >= loss])
        on_the_way = [one for block in back for one in sender.receive(block).to_send]
        on_the_way = on_the_way or list(sender.repeat())
    assert arrived == [message]


@settings(max_examples=200)
@given(
    st.lists(
        st.builds(
            GeneralBlock,
            last=st.booleans(),
            streaming=st.booleans(),
            window=st.integers(0, 63),
            number=st.integers(0, 6),
            acknowledged=st.integers(0, 6),
            octets=st.binary(max_size=3),
        ),
        max_size=30,
    )
)
def test_blocks_of_any_kind_in_any_order_are_taken_or_refused(blocks: list[GeneralBlock]) -> None:
    side = _transfer()
    side.send(bytes(40))
    refused = 0
    for block in blocks:
        try:
            assert sum(map(len, side.receive(block).to_send)) <= 63 * 20
        except RemoteProtocolError:
            refused += 1
    assert refused <= len(blocks)
