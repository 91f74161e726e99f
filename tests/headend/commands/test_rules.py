"""The course of a command, whatever its gateway says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce

from hypothesis import given, strategies as st

from quince.headend.commands.rules import (
    PAUSES_S,
    KeptCommand,
    Person,
    State,
    after_result,
    danger_of,
    is_armed,
    parameters_of,
)
from quince.model.meter_key import MeterKey
from quince.protocols.gateway.commands import (
    ArmSupply,
    ChangeKey,
    Command,
    ConfirmSupply,
    ReadNow,
    ReadProfile,
    TransferFirmware,
)
from quince.protocols.gateway.messages import CommandResult, Stage
from quince.protocols.gateway.topics import GatewayAddress

NOW_UTC = datetime(2026, 3, 8, 12, tzinfo=UTC)
KEPT = KeptCommand(
    tenant_id=1,
    command=Command(
        command_id=bytes(16),
        address=GatewayAddress(cell="north", gateway="gw-1"),
        meter_id="m-1",
        issued_utc=NOW_UTC,
        not_after_utc=NOW_UTC + timedelta(minutes=10),
        operation=ReadNow(),
    ),
    state=State.PUBLISHED,
    requested_by=Person(name="Ana"),
    reason="ticket 7",
    requested_utc=NOW_UTC,
)
RESULTS = st.builds(
    CommandResult,
    command_id=st.just(bytes(16)),
    stage=st.sampled_from(Stage),
    at_utc=st.just(NOW_UTC),
    parts_done=st.integers(0, 9),
    parts=st.just(9),
    code=st.text(max_size=3),
)
OURS = st.sampled_from(
    [
        KEPT,
        KEPT.cleared(NOW_UTC),
        KEPT.ended(State.EXPIRED, NOW_UTC, code="not_accepted"),
        KEPT.ended(State.CANCELLED, NOW_UTC, code="superseded"),
    ]
)


@given(before=OURS, results=st.lists(RESULTS, min_size=1))
def test_the_first_last_word_is_the_end_and_progress_never_goes_back(before, results):
    course = [before]
    for result in results:
        course.append(after_result(course[-1], result))
    told = [one for one in course if one.state.is_told]
    assert told == told[:1] * len(told)
    assert [one.parts_done for one in course] == sorted(one.parts_done for one in course)
    finals = [result.stage.name.lower() for result in results if result.stage.is_final]
    assert course[-1].state == next(iter(finals), State.ACCEPTED)


@given(before=OURS, results=st.lists(RESULTS, min_size=1))
def test_hearing_everything_twice_changes_nothing(before, results):
    once = reduce(after_result, results, before)
    assert reduce(after_result, results, once) == once


def test_pauses_grow_to_the_longest_and_stay_there():
    course = [KEPT.cleared(NOW_UTC)]
    for _ in range(len(PAUSES_S) + 2):
        course.append(course[-1].published(NOW_UTC))
    pauses = [
        (one.next_publication_utc - NOW_UTC).total_seconds()
        for one in course[1:]
        if one.next_publication_utc is not None
    ]
    assert pauses == [15, 30, 60, 120, 300, 900, 900, 900]


def test_a_confirmation_is_dangerous_unless_it_is_known_to_restore():
    assert danger_of(ConfirmSupply(armed_by=bytes(16))) is not None
    assert danger_of(ConfirmSupply(armed_by=bytes(16)), turns_on=True) is None


def test_parameters_are_plain_and_without_what_is_sealed():
    span = ReadProfile(start_utc=NOW_UTC, end_utc=NOW_UTC + timedelta(hours=1))
    image = TransferFirmware(identifier="v2", url="u", sha256=b"\xab" * 32, size=9)
    assert parameters_of(ChangeKey(key=MeterKey.MASTER, sealed=b"x")) == {"key": "master"}
    assert parameters_of(span)["start_utc"] == "2026-03-08T12:00:00+00:00"
    assert parameters_of(image)["sha256"] == "ab" * 32


def test_a_gateway_that_armed_in_the_year_9999_breaks_nothing():
    arm = replace(KEPT, command=replace(KEPT.command, operation=ArmSupply(on=False)))
    late_utc = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    said = CommandResult(command_id=bytes(16), stage=Stage.DONE, at_utc=late_utc)
    confirmation = replace(KEPT.command, operation=ConfirmSupply(armed_by=bytes(16)))
    assert is_armed(after_result(arm, said), confirmation, NOW_UTC)
