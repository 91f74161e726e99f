from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, strategies as st

from quince.headend.ingest.rules import (
    ContactReport,
    Judgement,
    Letter,
    Refusal,
    Refused,
    TwinReport,
    Uplink,
    Verdict,
    judge,
    read_message,
)
from quince.model.interval import IntervalSeries
from quince.protocols.gateway.messages import Content, Envelope
from quince.protocols.gateway.topics import Lane

UP = "quince/v1/north/gw-1/up/"


@pytest.mark.parametrize(
    ("upto", "seq", "oldest_seq", "verdict", "upto_after", "hole"),
    [
        (0, 1, 1, Verdict.ACCEPT, 1, None),
        (4, 5, 1, Verdict.ACCEPT, 5, None),
        (4, 4, 1, Verdict.DUPLICATE, 4, None),
        (4, 2, 2, Verdict.DUPLICATE, 4, None),
        (4, 6, 1, Verdict.GAP, 4, None),
        (4, 6, 5, Verdict.GAP, 4, None),
        (4, 9, 9, Verdict.ACCEPT, 9, (5, 8)),
        (4, 9, 8, Verdict.GAP, 7, (5, 7)),
        (0, 3, 3, Verdict.ACCEPT, 3, (1, 2)),
    ],
)
def test_a_message_is_judged_by_its_place(
    upto: int,
    seq: int,
    oldest_seq: int,
    verdict: Verdict,
    upto_after: int,
    hole: tuple[int, int] | None,
) -> None:
    envelope = Envelope(
        epoch=1,
        lane=Lane.LIVE,
        seq=seq,
        oldest_seq=oldest_seq,
        sent_utc=datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert judge(upto, envelope) == Judgement(verdict=verdict, upto=upto_after, hole=hole)


@given(
    topic=st.sampled_from([UP + "iv", UP + "ev", UP + "st", UP + "tw", "x/y"]), payload=st.binary()
)
def test_no_octets_make_reading_fail(topic: str, payload: bytes) -> None:
    assert isinstance(read_message(topic, payload), Letter)


def refusal(topic: str, payload: bytes) -> Refusal:
    letter = read_message(topic, payload)
    assert isinstance(letter, Refused)
    return letter.refusal


def test_a_topic_of_another_system_is_refused() -> None:
    assert refusal("other/v1/north/gw-1/up/iv", b"") is Refusal.NOT_OUR_TOPIC


@pytest.mark.parametrize(
    "payload",
    [
        b"offline",
        b"[]",
        b'{"state": "asleep"}',
        b'{"state": "online", "x": "' + b"x" * 5000 + b'"}',
    ],
)
def test_a_state_that_is_none_is_refused(payload: bytes) -> None:
    assert refusal(UP + "st", payload) is Refusal.NOT_A_MESSAGE


def test_a_state_may_say_more_than_we_read() -> None:
    letter = read_message(UP + "st", b'{"state": "online", "epoch": 7}')
    assert isinstance(letter, ContactReport)
    assert letter.online


def test_content_nobody_can_read_keeps_its_place_in_the_lane(gateway: Any) -> None:
    unreadable = b"\x52\x04\x1d\x01\x00\x00"  # a block that ends too early
    letter = read_message(UP + "iv", gateway.send(b"\x52\x02\x20\x3c").payload)  # a step of 60 s
    assert isinstance(letter, Uplink)
    assert letter.envelope.seq == 1
    assert isinstance(letter.content, Refused)
    assert letter.content.refusal is Refusal.CONTENT_UNREADABLE
    assert refusal(UP + "iv", unreadable) is Refusal.NOT_A_MESSAGE


@pytest.mark.parametrize("meter_id", ["", "m" * 65])
def test_a_meter_without_a_proper_name_makes_the_content_unreadable(
    gateway: Any, series: Callable[..., IntervalSeries], meter_id: str
) -> None:
    message = gateway.send(Content(series=(series("2026-03-08", 5, meter_id=meter_id),)))
    letter = read_message(message.topic, message.payload)
    assert isinstance(letter, Uplink)
    assert isinstance(letter.content, Refused)


def test_a_twin_is_any_json_object() -> None:
    twin = read_message(UP + "tw", b'{"version": "1.2", "meters": [1, {"a": null}]}')
    assert isinstance(twin, TwinReport)
    assert twin.document == '{"version":"1.2","meters":[1,{"a":null}]}'


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{",
        b'"x"',
        b'{"a":' * 800,
        b'{"a":"' + b"x" * 4_096 + b'"}',
        b'{"a":"\\ud800"}',
    ],
    ids=["nothing", "list", "cut", "text", "deep", "large", "half a character"],
)
def test_what_is_no_small_json_object_is_no_twin(payload: bytes) -> None:
    refused = read_message(UP + "tw", payload)
    assert isinstance(refused, Refused)
    assert refused.refusal is Refusal.NOT_A_MESSAGE
