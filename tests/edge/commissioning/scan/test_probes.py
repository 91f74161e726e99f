"""An answer is a whole frame that verifies: noise, echoes and others' answers are none."""

from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from quince.edge.commissioning.scan.plan import Family, Probe, Scope, Setting, plan
from quince.edge.commissioning.scan.probes import ask_dlms, ask_modbus, listen, sign_on
from quince.edge.commissioning.scan.serial_line import dlms_line
from quince.edge.errors import ReadTimeoutError
from quince.protocols.crc import crc_modbus


class Scripted:
    """A line that says these pieces, and then nothing any more."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)

    async def read(self, _deadline_s):
        if not self.pieces:
            raise ReadTimeoutError("nothing")
        return self.pieces.pop(0)

    async def write(self, data):
        pass

    async def set_line(self, baud, *, seven_bits=None, echoes=None):
        pass

    async def aclose(self):
        pass


def framed(*octets):
    return bytes(octets) + crc_modbus(bytes(octets)).to_bytes(2, "little")


def test_the_check_is_that_of_the_standards_example():
    assert framed(0x02, 0x07)[2:] == b"\x41\x12"


@pytest.mark.parametrize(
    "answer", [framed(7, 3, 2, 0, 1), b"\0\xff" + framed(7, 3, 2, 0, 1), framed(7, 0x83, 2)]
)
async def test_an_answer_is_found_behind_noise_and_a_refusal_is_one(answer):
    line = Scripted(answer[:3], answer[3:])
    assert await ask_modbus(line, 7, 1.0, rtu=True) is not None


@pytest.mark.parametrize(
    "answer",
    [
        framed(8, 3, 2, 0, 1),  # another's
        framed(7, 3, 0, 0, 0, 1),  # our own echo
        framed(7, 3, 2, 0, 1)[:-1] + b"\0",
        framed(7, 0x83, 0x0B),
    ],
)
async def test_what_is_none_is_none(answer):
    assert await ask_modbus(Scripted(answer), 7, 1.0, rtu=True) is None


@pytest.mark.parametrize(
    ("answer", "is_one"),
    [
        ("0007000000050703020001", True),
        ("000700000003078302", True),
        ("00070000000307830b", False),
        ("0008000000050703020001", False),
        ("0007000000060710000000", False),
    ],
)
async def test_an_answer_over_tcp_bears_the_questions_number(answer, is_one):
    found = await ask_modbus(Scripted(bytes.fromhex(answer)), 7, 1.0, rtu=False)
    assert (found is not None) == is_one


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6))
@settings(max_examples=100, deadline=None)
async def test_hostile_octets_are_nobody(pieces):
    line = dlms_line("serial:/dev/ttyUSB0", 17, 4)
    assert await ask_dlms(Scripted(*pieces), line, Random(1), 1.0) is None
    wrapper = dlms_line("tcp://10.0.0.5:4059", 0, 1)
    assert await ask_dlms(Scripted(*pieces), wrapper, Random(1), 1.0) is None
    assert await sign_on(Scripted(*pieces), 1.0) is None
    assert await listen(Scripted(*pieces), 1.0) is None


# -- the plan ----------------------------------------------------------------------------


def test_a_plan_goes_deeper_where_somebody_answered_and_nowhere_else():
    answered: set[Probe] = set()
    walked = []
    for probe in plan(Scope(families=(Family.MODBUS,), modbus=range(1, 6)), answered):
        walked.append(probe)
        answered |= {probe} & {Probe(Family.MODBUS, Setting(9600, "E"), 2)}
    assert [(str(one.setting), one.address) for one in walked] == [
        *[("9600 8N1", number) for number in (1, 2, 3)],
        *[("9600 8E1", number) for number in (1, 2, 3)],
        *[("9600 8E1", number) for number in (4, 5)],
    ]


def test_no_other_protocol_is_tried_behind_an_answer():
    answered: set[Probe] = set()
    families = []
    for probe in plan(Scope(), answered):
        families.append(probe.family)
        answered |= {probe} & {Probe(Family.SIGN_ON, Setting(300, seven_bits=True))}
    assert set(families) == {Family.LISTEN, Family.SIGN_ON}


def test_a_lower_address_above_seven_bits_is_written_in_four_octets_alone():
    scope = Scope(families=(Family.HDLC,), hdlc=range(127, 129), baud=9600)
    octets = [(one.address, one.octets) for one in plan(scope, ()) if one.address]
    assert octets == [(127, 2), (127, 4), (128, 4)]
