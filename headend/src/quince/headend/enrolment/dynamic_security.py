"""Mosquitto's dynamic security, told over MQTT what each identity may do.

What was learned from 2.0.11: disabling a client does not stop one that comes with a certificate,
deleting it does; there are no patterns with the user's name, so each gateway has a role of its own;
changing a role or a client throws its session out, so nothing is changed that is right already.
"""

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from quince.headend.enrolment.rules import CONTROL_TOPIC, Grant, Rule, Way
from quince.headend.errors import BrokerControlError
from quince.headend.platform.mqtt import MqttBroker, MqttLink, open_broker
from quince.model.errors import CodecError
from quince.model.rng import Rng

COMMANDS_AT_ONCE_MAX = 50  # beyond a few hundred Mosquitto stands still for gateways meanwhile
ANSWER_S_MAX = 20.0
ANSWER_BYTES_MAX = 262_144  # fifty roles with a handful of rules are 30 kB
_RESPONSE_TOPIC = f"{CONTROL_TOPIC}/response"
# In these words Mosquitto says that what shall go is not there.
_GONE = ("Client not found", "Role not found")

Command = dict[str, Any]
_ItemT = TypeVar("_ItemT")


class DynamicSecurity:
    """An Authorizer on a link whose identity holds the control grant.

    It connects for each change alone, so that a command line and a running head-end, which are one
    identity, do not throw each other out for good.
    """

    def __init__(self, link: MqttLink, rng: Rng) -> None:
        self._link = link
        self._rng = rng

    async def apply(self, grants: Sequence[Grant], withdrawn: Sequence[str]) -> None:
        """Let these do exactly this, and those nothing; BrokerControlError if it cannot be told."""
        try:
            async with (
                asyncio.timeout(ANSWER_S_MAX),
                open_broker(self._link, [_RESPONSE_TOPIC]) as broker,
            ):
                await self._apply(broker, grants, withdrawn)
        except (TimeoutError, OSError, CodecError) as error:
            reason = str(error) or f"no answer in {ANSWER_S_MAX:.0f} s"
            raise BrokerControlError(f"{self._link.host}: {reason}") from error

    async def _apply(
        self, broker: MqttBroker, grants: Sequence[Grant], withdrawn: Sequence[str]
    ) -> None:
        found = await self._ask(broker, [one for grant in grants for one in questions(grant.name)])
        changes = [
            command
            for grant, (role, client) in zip(grants, _pairs(found), strict=True)
            for command in changes_for(grant, role, client)
        ]
        for answer in await self._ask(broker, changes):
            _require_done(answer)
        removals = [one for name in withdrawn for one in removals_of(name)]
        for answer in await self._ask(broker, removals):
            _require_done(answer, _GONE)

    async def _ask(self, broker: MqttBroker, commands: Sequence[Command]) -> list[Command]:
        answers: list[Command] = []
        for batch in _batches(commands, COMMANDS_AT_ONCE_MAX):
            mark = self._rng.randbytes(8).hex()
            marked = [
                {**command, "correlationData": f"{mark}-{place}"}
                for place, command in enumerate(batch)
            ]
            await broker.publish(CONTROL_TOPIC, json.dumps({"commands": marked}).encode())
            answers += await _answers(broker, mark, len(batch))
        return answers


async def _answers(broker: MqttBroker, mark: str, count: int) -> list[Command]:
    """Return the answers to the commands with this mark, in their order; others' are let go."""
    places = [f"{mark}-{place}" for place in range(count)]
    found: dict[object, Command] = {}
    while not found.keys() >= set(places):
        for delivery in await broker.take(COMMANDS_AT_ONCE_MAX):
            delivery.ack()
            answers = read_answers(delivery.payload)
            found |= {
                answer["correlationData"]: answer
                for answer in answers
                if answer.get("correlationData") in places
            }
    return [found[place] for place in places]


def first_configuration(grants: Iterable[Grant]) -> str:
    """Return what Mosquitto's dynamic security file is to hold before anything was ever told."""
    grants = tuple(grants)
    defaults = {way.value: False for way in (Way.PUBLISH, Way.RECEIVE)}
    return json.dumps(
        {
            "defaultACLAccess": {**defaults, "subscribe": False, "unsubscribe": True},
            "clients": [{"username": grant.name, "roles": _roles(grant)} for grant in grants],
            "groups": [],
            "roles": [{"rolename": grant.name, "acls": _acls(grant)} for grant in grants],
        },
        indent=2,
    )


def questions(name: str) -> list[Command]:
    """Return what to ask about an identity before it is changed."""
    return [
        {"command": "getRole", "rolename": name},
        {"command": "getClient", "username": name},
    ]


def changes_for(grant: Grant, role: Command, client: Command) -> list[Command]:
    """Return what makes an identity so, given what the broker answered about it; often nothing."""
    changes: list[Command] = []
    if _rules_of(role) != grant.rules:
        command = "createRole" if "error" in role else "modifyRole"
        changes.append({"command": command, "rolename": grant.name, "acls": _acls(grant)})
    if _role_names_of(client) != [grant.name]:
        command = "createClient" if "error" in client else "modifyClient"
        changes.append({"command": command, "username": grant.name, "roles": _roles(grant)})
    return changes


def removals_of(name: str) -> list[Command]:
    """Return what takes an identity everything, and throws it out."""
    return [
        {"command": "deleteClient", "username": name},
        {"command": "deleteRole", "rolename": name},
    ]


def read_answers(payload: bytes) -> list[Command]:
    """Return the answers in a message; CodecError if it holds none."""
    if len(payload) > ANSWER_BYTES_MAX:
        raise CodecError(f"answers of {len(payload)} octets; at most {ANSWER_BYTES_MAX}")
    try:
        answers = json.loads(payload)["responses"]
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise CodecError(f"not the answers of dynamic security: {error}") from error
    if not isinstance(answers, list) or not all(isinstance(one, dict) for one in answers):
        raise CodecError("answers of dynamic security that are none")
    return answers


def _require_done(answer: Mapping[str, Any], allowed: Sequence[str] = ()) -> None:
    error = answer.get("error")
    if error is not None and error not in allowed:
        raise BrokerControlError(f"{answer.get('command')}: {error}")


def _acls(grant: Grant) -> list[Command]:
    return [
        {"acltype": rule.way.value, "topic": rule.topic, "priority": 0, "allow": True}
        for rule in sorted(grant.rules)
    ]


def _roles(grant: Grant) -> list[Command]:
    return [{"rolename": grant.name, "priority": -1}]


def _rules_of(answer: Command) -> frozenset[Rule] | None:
    """Return what a role allows; None if there is none, or if it says what no grant can say."""
    try:
        acls = answer["data"]["role"]["acls"]
        if not all(acl["allow"] for acl in acls):
            return None
        return frozenset(Rule(way=Way(acl["acltype"]), topic=acl["topic"]) for acl in acls)
    except (LookupError, TypeError, ValueError):
        return None


def _role_names_of(answer: Command) -> list[str] | None:
    try:
        return [role["rolename"] for role in answer["data"]["client"]["roles"]]
    except (LookupError, TypeError):
        return None


def _pairs(items: Sequence[_ItemT]) -> Iterator[tuple[_ItemT, _ItemT]]:
    return zip(items[::2], items[1::2], strict=True)


def _batches(items: Sequence[_ItemT], size: int) -> Iterator[list[_ItemT]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
