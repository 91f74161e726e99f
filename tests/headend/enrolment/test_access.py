"""What a real Mosquitto, configured as in production, lets each identity do, and what not."""

import asyncio
import random
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509 import load_pem_x509_certificate

from quince.headend.enrolment.authority import create_authority, write_revocation_list
from quince.headend.enrolment.dynamic_security import DynamicSecurity
from quince.headend.enrolment.rules import gateway_grant, headend_grant
from quince.headend.errors import BrokerControlError
from quince.headend.platform.mqtt import MqttLink, TlsFiles
from quince.protocols.gateway.topics import GatewayAddress

NOT_AUTHORISED = 135
NOBODY_LISTENS = 16
HEADEND = "quince-headend-north"
CONTROL = "quince-control"
OWN, OTHER = "quince/v1/north/gw-1", "quince/v1/north/gw-2"

YES, NO = (0, 1, NOBODY_LISTENS), (NOT_AUTHORISED,)

MATRIX = [
    ("gw-1", "publish", f"{OWN}/up/iv", YES),
    ("gw-1", "publish", f"{OWN}/up/st", YES),
    ("gw-1", "publish", f"{OTHER}/up/iv", NO),
    ("gw-1", "publish", f"{OWN}/down/cmd", NO),
    ("gw-1", "publish", f"{OTHER}/down/cmd", NO),
    ("gw-1", "publish", "quince/v1/south/gw-1/up/iv", NO),
    ("gw-1", "publish", "$SYS/broker/uptime", NO),
    ("gw-1", "publish", "$CONTROL/dynamic-security/v1", NO),
    ("gw-1", "publish", "anything", NO),
    ("gw-1", "subscribe", f"{OWN}/down/cmd", YES),
    ("gw-1", "subscribe", f"{OWN}/down/#", YES),
    ("gw-1", "subscribe", f"{OWN}/up/#", NO),
    ("gw-1", "subscribe", f"{OTHER}/down/cmd", NO),
    ("gw-1", "subscribe", f"{OTHER}/up/iv", NO),
    ("gw-1", "subscribe", "quince/v1/north/+/down/#", NO),
    ("gw-1", "subscribe", "+/v1/north/gw-1/down/#", NO),
    ("gw-1", "subscribe", "quince/#", NO),
    ("gw-1", "subscribe", "#", NO),
    ("gw-1", "subscribe", "$SYS/#", NO),
    ("gw-1", "subscribe", "$CONTROL/dynamic-security/v1/response", NO),
    ("gw-1", "subscribe", "$share/ingest/quince/v1/north/+/up/#", NO),
    ("gw-1", "subscribe", f"$share/own/{OWN}/down/#", NO),
    ("gw-2", "publish", f"{OTHER}/up/iv", YES),
    ("gw-2", "publish", f"{OWN}/up/iv", NO),
    (HEADEND, "publish", f"{OWN}/down/ack", YES),
    (HEADEND, "publish", f"{OTHER}/down/cmd", YES),
    (HEADEND, "publish", f"{OWN}/up/iv", NO),
    (HEADEND, "publish", "quince/v1/south/gw-1/down/cmd", NO),
    (HEADEND, "publish", "$CONTROL/dynamic-security/v1", NO),
    (HEADEND, "subscribe", "quince/v1/north/+/up/iv", YES),
    (HEADEND, "subscribe", "quince/v1/north/+/up/#", YES),
    (HEADEND, "subscribe", "quince/v1/south/+/up/iv", NO),
    (HEADEND, "subscribe", "quince/v1/+/+/up/iv", NO),
    (HEADEND, "subscribe", "quince/v1/north/+/down/#", NO),
    (HEADEND, "subscribe", "$share/ingest/quince/v1/north/+/up/#", NO),
    (HEADEND, "subscribe", "$SYS/#", NO),
    (CONTROL, "subscribe", "$CONTROL/dynamic-security/v1/response", YES),
    (CONTROL, "publish", f"{OWN}/up/iv", NO),
    (CONTROL, "publish", f"{OWN}/down/cmd", NO),
    (CONTROL, "subscribe", "quince/v1/north/+/up/#", NO),
    ("gw-3", "publish", "quince/v1/north/gw-3/up/iv", NO),
    ("gw-3", "subscribe", "quince/v1/north/gw-3/down/#", NO),
]


def authorizer(broker: Any) -> DynamicSecurity:
    tls = TlsFiles(
        ca=broker.folder / "ca.crt",
        cert=broker.folder / f"{CONTROL}.crt",
        key=broker.folder / f"{CONTROL}.key",
    )
    link = MqttLink(host="localhost", port=broker.port, client_id=CONTROL, tls=tls)
    return DynamicSecurity(link, random.Random(7))


def grants(*names: str) -> list[Any]:
    return [gateway_grant(GatewayAddress(cell="north", gateway=name)) for name in names]


@pytest.fixture(scope="module")
def broker(new_broker: Callable[[], Any]) -> Any:
    """gw-1 and gw-2 are gateways; gw-3 has a certificate and no role."""
    one = new_broker()
    for name in ("gw-1", "gw-2", "gw-3", "gw-4"):
        one.sign_client(name)
    asyncio.run(authorizer(one).apply(grants("gw-1", "gw-2"), []))
    return one


@pytest.mark.parametrize(("who", "verb", "topic", "reasons"), MATRIX)
def test_everyone_may_do_what_is_theirs_and_nothing_else(
    broker: Any, who: str, verb: str, topic: str, reasons: tuple[int, ...]
) -> None:
    with broker.connect(who) as client:
        reason = getattr(client, verb)(topic)
    assert reason in reasons


def test_a_gateway_that_wishes_to_hear_all_hears_nothing_of_another(broker: Any) -> None:
    with broker.connect("gw-1") as spy, broker.connect(HEADEND) as headend:
        spy.subscribe("#")
        spy.subscribe(f"{OWN}/down/#")
        headend.publish(f"{OTHER}/down/cmd", b"for gw-2")
        headend.publish(f"{OWN}/down/cmd", b"for gw-1")
        assert spy.hear().endswith(b"for gw-1")


def test_a_user_name_that_is_claimed_is_not_believed(broker: Any) -> None:
    with broker.connect("gw-1", username=HEADEND) as client:
        assert client.publish(f"{OTHER}/down/cmd") == NOT_AUTHORISED
        assert client.publish(f"{OWN}/up/iv") in (0, NOBODY_LISTENS)


def test_a_gateway_cannot_take_the_head_ends_session(broker: Any) -> None:
    with broker.connect(HEADEND) as headend:
        with broker.connect("gw-1", client_id=HEADEND) as client:
            client.ping()
        headend.ping()


def test_who_has_no_certificate_is_not_let_in(broker: Any) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        broker.connect(None)


def test_a_name_certified_by_another_authority_is_not_let_in(broker: Any, tmp_path: Path) -> None:
    foreign = create_authority(tmp_path, "test authority", now_utc=broker.now_utc)
    broker.sign_client("stranger", foreign)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        broker.connect("stranger")


def test_a_servers_certificate_makes_nobody_a_client(broker: Any) -> None:
    broker.sign_server("server", ["gw-1"])
    with pytest.raises((ssl.SSLError, ConnectionError)):
        broker.connect("server")


def test_a_granted_role_is_changed_only_where_it_differs(broker: Any) -> None:
    with broker.connect("gw-1") as client:
        asyncio.run(authorizer(broker).apply(grants("gw-1"), []))
        client.ping()


def test_a_role_that_someone_widened_is_narrowed_again(broker: Any) -> None:
    wide = headend_grant("north")
    gateway = grants("gw-2")[0]
    widened = type(gateway)(name="gw-2", rules=wide.rules)
    asyncio.run(authorizer(broker).apply([widened], []))
    with broker.connect("gw-2") as client:
        assert client.publish(f"{OWN}/down/cmd") in (0, NOBODY_LISTENS)
    asyncio.run(authorizer(broker).apply([gateway], []))
    with broker.connect("gw-2") as client:
        assert client.publish(f"{OWN}/down/cmd") == NOT_AUTHORISED
        assert client.publish(f"{OTHER}/up/iv") in (0, NOBODY_LISTENS)


def test_a_hundred_gateways_are_granted_in_batches(broker: Any) -> None:
    names = [f"many-{number}" for number in range(60)]
    asyncio.run(authorizer(broker).apply(grants(*names), []))
    broker.sign_client("many-59")
    with broker.connect("many-59") as client:
        topic = "quince/v1/north/many-59/up/iv"
        assert client.publish(topic) in (0, NOBODY_LISTENS)
    asyncio.run(authorizer(broker).apply([], names))


def test_a_revoked_gateway_is_thrown_out_and_not_let_in_again(broker: Any) -> None:
    asyncio.run(authorizer(broker).apply(grants("gw-4"), []))
    with broker.connect("gw-4") as live:
        certificate = load_pem_x509_certificate((broker.folder / "gw-4.crt").read_bytes())
        taken_back = [(f"{certificate.serial_number:x}", broker.now_utc)]
        octets = broker.authority.revocation_list(taken_back, now_utc=broker.now_utc)
        write_revocation_list(broker.folder / "ca", octets)
        broker.reload()
        live.ping()  # the list alone does not end a session
        asyncio.run(authorizer(broker).apply([], ["gw-4"]))
        with pytest.raises((ssl.SSLError, ConnectionError)):
            live.ping()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        broker.connect("gw-4")
    with broker.connect("gw-1") as other:
        other.ping()


def test_what_was_withdrawn_already_may_be_withdrawn_again(broker: Any) -> None:
    asyncio.run(authorizer(broker).apply([], ["nobody"]))


def test_who_has_no_control_is_not_obeyed(broker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quince.headend.enrolment.dynamic_security.ANSWER_S_MAX", 1.0)
    tls = TlsFiles(
        ca=broker.folder / "ca.crt",
        cert=broker.folder / "gw-1.crt",
        key=broker.folder / "gw-1.key",
    )
    link = MqttLink(host="localhost", port=broker.port, client_id="gw-1", tls=tls)
    with pytest.raises(BrokerControlError, match="no answer"):
        asyncio.run(DynamicSecurity(link, random.Random(7)).apply(grants("gw-3"), []))
