"""What Mosquitto is told, from what it answers."""

import json

import pytest
from hypothesis import given, settings, strategies as st

from quince.headend.enrolment.dynamic_security import (
    changes_for,
    first_configuration,
    read_answers,
)
from quince.headend.enrolment.rules import control_grant, gateway_grant
from quince.model.errors import CodecError
from quince.protocols.gateway.topics import GatewayAddress

GRANT = gateway_grant(GatewayAddress(cell="north", gateway="gw-1"))
ACLS = [
    {"acltype": way, "topic": f"quince/v1/north/gw-1/{part}/#", "priority": 0, "allow": True}
    for way, part in (
        ("publishClientReceive", "down"),
        ("publishClientSend", "up"),
        ("subscribePattern", "down"),
    )
]
ROLES = [{"rolename": "gw-1", "priority": -1}]
NO_ROLE = {"command": "getRole", "error": "Role not found"}
NO_CLIENT = {"command": "getClient", "error": "Client not found"}
ROLE = {"command": "getRole", "data": {"role": {"rolename": "gw-1", "acls": ACLS}}}
CLIENT = {"command": "getClient", "data": {"client": {"username": "gw-1", "roles": ROLES}}}


def test_who_is_unknown_is_made() -> None:
    assert changes_for(GRANT, NO_ROLE, NO_CLIENT) == [
        {"command": "createRole", "rolename": "gw-1", "acls": ACLS},
        {"command": "createClient", "username": "gw-1", "roles": ROLES},
    ]


def test_who_has_what_is_granted_is_left_in_peace() -> None:
    assert changes_for(GRANT, ROLE, CLIENT) == []


@pytest.mark.parametrize(
    "acls",
    [
        ACLS[:2],
        [*ACLS, {"acltype": "subscribePattern", "topic": "#", "allow": True}],
        [{**ACLS[0], "allow": False}, *ACLS[1:]],
        [*ACLS, {"acltype": "subscribeLiteral", "topic": "x", "allow": True}],
    ],
)
def test_a_role_that_says_anything_else_is_made_as_it_should_be(acls: list[object]) -> None:
    role = {"command": "getRole", "data": {"role": {"rolename": "gw-1", "acls": acls}}}
    assert changes_for(GRANT, role, CLIENT) == [
        {"command": "modifyRole", "rolename": "gw-1", "acls": ACLS}
    ]


def test_a_client_with_a_role_too_many_loses_it() -> None:
    roles = [*ROLES, {"rolename": "admin"}]
    client = {"command": "getClient", "data": {"client": {"username": "gw-1", "roles": roles}}}
    assert changes_for(GRANT, ROLE, client) == [
        {"command": "modifyClient", "username": "gw-1", "roles": ROLES}
    ]


def test_the_first_file_refuses_what_it_does_not_grant() -> None:
    first = json.loads(first_configuration([control_grant()]))
    assert first["defaultACLAccess"] == {
        "publishClientSend": False,
        "publishClientReceive": False,
        "subscribe": False,
        "unsubscribe": True,
    }
    assert first["clients"] == [
        {"username": "quince-control", "roles": [{"rolename": "quince-control", "priority": -1}]}
    ]


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"[]", b'{"responses": 1}', b'{"responses": [1]}', b"\xff", b"[" * 100_000],
)
def test_what_is_no_answer_is_refused(payload: bytes) -> None:
    with pytest.raises(CodecError):
        read_answers(payload)


def test_an_answer_beyond_all_measure_is_refused_unread() -> None:
    with pytest.raises(CodecError, match="at most"):
        read_answers(b" " * 262_145)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None)
@given(role=st.dictionaries(st.sampled_from(["data", "error"]), JSON), acls=JSON)
def test_whatever_a_broker_answers_the_grant_is_what_it_is_told(
    role: dict[str, object], acls: object
) -> None:
    odd = {"data": {"role": {"acls": acls}, "client": {"roles": acls}}}
    for answer in (role, odd):
        for command in changes_for(GRANT, answer, answer):
            assert command.get("acls", ACLS) == ACLS
            assert command.get("roles", ROLES) == ROLES


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_answers_are_documents_or_a_codec_error(payload: bytes) -> None:
    try:
        answers = read_answers(payload)
    except CodecError:
        return
    assert all(isinstance(one, dict) for one in answers)
