import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from quince.model.errors import CodecError, InvalidValueError
from quince.model.event import EventKind, GatewayEvent, GatewayEventKind, MeterEvent
from quince.model.interval import ENERGY_MAX, IntervalSeries, RegisterReading
from quince.model.obis import ACTIVE_IMPORT_INTERVAL, ACTIVE_IMPORT_REGISTER
from quince.model.quality import Quality
from quince.protocols.gateway.messages import (
    MESSAGE_BYTES_MAX,
    RESULT_BODY_BYTES_MAX,
    CommandResult,
    Content,
    Envelope,
    Stage,
    Watermark,
    decode_ack,
    decode_uplink,
    encode_ack,
    encode_content,
    encode_uplink,
)
from quince.protocols.gateway.topics import (
    GatewayAddress,
    Lane,
    Way,
    cell_filters,
    parse_up,
    way_of,
)
from quince.protocols.gateway.uplink_pb2 import Block, Event, Reading, Uplink

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
ENVELOPE = Envelope(epoch=2**64 - 1, lane=Lane.LIVE, seq=7, oldest_seq=3, sent_utc=NOON)

slots = st.lists(
    st.one_of(
        st.just((None, Quality.MISSING)),
        st.tuples(
            st.integers(0, ENERGY_MAX),
            st.sampled_from([Quality.GOOD, Quality.CLOCK_DOUBTFUL, Quality.RESET]),
        ),
    ),
    min_size=1,
    max_size=100,
)


def series_of(pairs):
    return IntervalSeries(
        meter_id="M1",
        obis=ACTIVE_IMPORT_INTERVAL,
        start_utc=NOON,
        values=tuple(value for value, _ in pairs),
        quality=tuple(flags for _, flags in pairs),
    )


@given(slots)
def test_a_series_survives_the_wire(pairs):
    content = Content(series=(series_of(pairs),))
    assert decode_uplink(encode_uplink(ENVELOPE, encode_content(content))) == (ENVELOPE, content)


def test_readings_and_events_survive_the_wire():
    content = Content(
        readings=(
            RegisterReading(meter_id="M1", obis=ACTIVE_IMPORT_REGISTER, at_utc=NOON, value=2**40),
        ),
        events=(
            MeterEvent(
                meter_id="M1",
                kind=EventKind.LAST_GASP,
                at_utc=NOON + timedelta(milliseconds=1),
                received_utc=NOON + timedelta(seconds=1),
                detail="push",
            ),
        ),
    )
    assert decode_uplink(encode_uplink(ENVELOPE, encode_content(content)))[1] == content


def test_a_day_of_one_channel_costs_less_than_three_octets_an_interval():
    pairs = [(400 + 3 * i, Quality.GOOD) for i in range(96)]
    assert len(encode_content(Content(series=(series_of(pairs),)))) < 3 * 96


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_octets_from_outside_raise_codec_error_or_are_a_message(payload):
    try:
        envelope, _ = decode_uplink(payload)
    except CodecError:
        return
    assert envelope.seq >= 1


def test_a_cut_message_is_refused_or_shorter_never_other():
    whole = encode_uplink(
        ENVELOPE, encode_content(Content(series=(series_of([(5, Quality.GOOD)]),)))
    )
    for length in range(len(whole)):
        try:
            _, content = decode_uplink(whole[:length])
        except CodecError:
            continue
        assert content == Content()


def wrap(**parts):
    head = Uplink(epoch=1, lane=2, seq=1, oldest_seq=1, sent_ms=0)
    head.MergeFrom(Uplink(**parts))
    return head.SerializeToString()


GOOD_BLOCK: dict[str, Any] = {
    "meter": ["M1"],
    "channel": [int.from_bytes(bytes(ACTIVE_IMPORT_INTERVAL))],
    "start_s": 900,
    "step_s": 900,
    "count": 2,
    "value": [1, 1],
}


def test_the_good_block_is_good():
    _, content = decode_uplink(wrap(block=[Block(**GOOD_BLOCK)]))
    assert content.series[0].values == (1, 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"step_s": 600},
        {"count": 3},
        {"count": 0, "value": []},
        {"start_s": 901},
        {"start_s": -900},
        {"start_s": 2**62},
        {"value": [1, -2]},
        {"value": [2**31, 0]},
        {"channel": [2**48]},
        {"flag_at": [0], "flag": []},
        {"flag_at": [2], "flag": [1]},
        {"flag_at": [0], "flag": [256]},
    ],
)
def test_an_inconsistent_block_is_refused(changes):
    with pytest.raises(CodecError):
        decode_uplink(wrap(block=[Block(**GOOD_BLOCK | changes)]))


@pytest.mark.parametrize(
    "parts",
    [
        {"lane": 9},
        {"oldest_seq": 2},
        {"seq": 2**63},
        {"sent_ms": -1},
        {"event": [Event(meter="M1", kind="meteor", at_ms=0, received_ms=0)]},
        {"reading": [Reading(meter="M1", channel=1, at_s=0, value=2**63)]},
    ],
)
def test_an_envelope_or_part_that_cannot_be_is_refused(parts):
    with pytest.raises(CodecError):
        decode_uplink(wrap(**parts))


def test_a_giant_message_is_refused_unparsed():
    with pytest.raises(CodecError, match="at most"):
        decode_uplink(bytes(MESSAGE_BYTES_MAX + 1))


def test_an_acknowledgement_survives_the_wire():
    mark = Watermark(epoch=2**63, lane=Lane.EVENTS, upto=12)
    assert decode_ack(encode_ack(mark)) == mark


@pytest.mark.parametrize("payload", [b"\xff", b"\x10\x09"])
def test_a_broken_acknowledgement_is_refused(payload):
    with pytest.raises(CodecError):
        decode_ack(payload)


def test_topics_name_cell_gateway_and_way():
    address = GatewayAddress(cell="sv-1", gateway="gw-1")
    assert address.up(Way.EVENTS) == "quince/v1/sv-1/gw-1/up/ev"
    assert address.ack == "quince/v1/sv-1/gw-1/down/ack"
    assert parse_up(address.up(Way.STATE)) == (address, Way.STATE)
    assert "quince/v1/sv-1/+/up/iv" in cell_filters("sv-1")
    assert [way_of(lane) for lane in Lane] == [
        Way.EVENTS,
        Way.RESULTS,
        Way.INTERVALS,
        Way.INTERVALS,
    ]


def test_a_gateway_hears_and_says_under_its_own_name_alone():
    address = GatewayAddress(cell="sv-1", gateway="gw-1")
    assert address.command == "quince/v1/sv-1/gw-1/down/cmd"
    assert address.configuration == "quince/v1/sv-1/gw-1/down/cfg"
    assert address.all_up == "quince/v1/sv-1/gw-1/up/#"
    assert address.all_down == "quince/v1/sv-1/gw-1/down/#"


@pytest.mark.parametrize(
    "topic",
    [
        "quince/v1/c/g/down/ack",
        "quince/v1/c/g/up/zz",
        "quince/v2/c/g/up/iv",
        "x",
        "quince/v1/+/g/up/iv",
    ],
)
def test_a_topic_that_is_not_upward_is_refused(topic):
    with pytest.raises(InvalidValueError):
        parse_up(topic)


def test_the_compiled_contract_is_the_written_one(tmp_path):
    source = Path(__file__).parents[3] / "protocols/src"
    contract = "quince/protocols/gateway/uplink"
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{source}", f"--python_out={tmp_path}"]
    subprocess.run([*command, str(source / f"{contract}.proto")], check=True)
    compiled = (tmp_path / f"{contract}_pb2.py").read_text()
    assert compiled == (source / f"{contract}_pb2.py").read_text()


def test_how_far_a_command_is_and_what_happened_to_the_gateway_arrive_as_they_were_said():
    done = CommandResult(
        command_id=bytes(16),
        stage=Stage.DONE,
        at_utc=NOON,
        media="application/json",
        body=b"{}",
    )
    on_its_way = CommandResult(
        command_id=bytes(16), stage=Stage.PROGRESS, at_utc=NOON, parts_done=3, parts=9
    )
    refused = CommandResult(
        command_id=bytes(16), stage=Stage.REFUSED, at_utc=NOON, code="expired", detail="too late"
    )
    stepped = GatewayEvent(kind=GatewayEventKind.CLOCK_STEPPED, at_utc=NOON, detail="3600 s")
    content = Content(results=(on_its_way, done, refused), gateway_events=(stepped,))
    _, arrived = decode_uplink(encode_uplink(ENVELOPE, encode_content(content)))
    assert arrived == content


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"command_id": b"x"}, "command_id"),
        ({"parts_done": 2, "parts": 1}, "parts_done"),
        ({"body": bytes(RESULT_BODY_BYTES_MAX + 1)}, "body"),
    ],
)
def test_a_result_that_cannot_be_is_refused_by_its_field(change, field):
    with pytest.raises(InvalidValueError, match=field):
        CommandResult(
            **({"command_id": bytes(16), "stage": Stage.ACCEPTED, "at_utc": NOON} | change)
        )


def test_the_last_three_stages_end_a_command():
    assert [stage.is_final for stage in Stage] == [False, False, True, True, True]
