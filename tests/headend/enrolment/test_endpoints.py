"""The room at the door: documents in, documents out, and refusals with stable codes."""

import base64
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography.x509 import load_pem_x509_certificate

from quince.headend.enrolment.attempts import REFUSALS_MAX
from quince.headend.enrolment.endpoints import enrolment_router
from quince.headend.enrolment.rules import Owner
from quince.headend.field.app import create_field_app
from quince.protocols.gateway.enrolment import Enrolled, read_enrolled
from quince.protocols.gateway.topics import GatewayAddress

OWNER = Owner(tenant_id=1, address=GatewayAddress(cell="north", gateway="gw-1"))


@pytest.fixture
async def door(office: Any) -> AsyncIterator[httpx.AsyncClient]:
    app = create_field_app([enrolment_router(office.enrolment)])
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
        yield client


@pytest.fixture
async def token(office: Any) -> str:
    issued: str = await office.enrolment.issue_token(OWNER, timedelta(days=1))
    return issued


async def test_a_device_enrols_and_renews(
    door: httpx.AsyncClient, token: str, clock: Any, new_device: Callable[[], Any]
) -> None:
    old, new = new_device(), new_device()
    answer = await door.post("/v1/gateways/enrol", json={"token": token, "csr": old.csr()})
    assert answer.status_code == 200
    enrolled = read_enrolled(answer.json())
    assert enrolled.address == OWNER.address
    clock.now += timedelta(days=240)
    csr, proof = old.renewal(new)
    serial = serial_of(enrolled)
    body = {"serial": serial, "csr": csr, "signature": base64.b64encode(proof).decode()}
    answer = await door.post("/v1/gateways/renew", json=body)
    assert answer.status_code == 200
    assert read_enrolled(answer.json()).certificate != enrolled.certificate


async def test_a_token_that_is_no_good_is_refused_with_a_problem_document(
    door: httpx.AsyncClient, new_device: Callable[[], Any]
) -> None:
    body = {"token": "quince_x", "csr": new_device().csr()}
    answer = await door.post("/v1/gateways/enrol", json=body)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["code"]) == (403, "enrolment_refused")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "codec_error"),
        (b"[]", 422, "codec_error"),
        (b'{"token": "secret"}', 422, "codec_error"),
        (b'{"token": "secret", "csr": "x", "name": "gw-2"}', 422, "codec_error"),
        (b'{"token": "secret", "csr": "x"}', 422, "invalid_value"),
        (b" " * 16_385, 422, "codec_error"),
        (b"[" * 10_000, 422, "codec_error"),
    ],
)
async def test_a_body_that_says_nothing_is_refused_without_repeating_it(
    door: httpx.AsyncClient, body: bytes, status: int, code: str
) -> None:
    answer = await door.post("/v1/gateways/enrol", content=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "secret" not in answer.text


async def test_a_signature_that_is_not_base64_is_refused(
    door: httpx.AsyncClient, new_device: Callable[[], Any]
) -> None:
    body = {"serial": "ab", "csr": new_device().csr(), "signature": "é"}
    answer = await door.post("/v1/gateways/renew", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_value")


async def test_a_forged_proof_is_refused(
    door: httpx.AsyncClient, token: str, new_device: Callable[[], Any]
) -> None:
    device = new_device()
    answer = await door.post("/v1/gateways/enrol", json={"token": token, "csr": device.csr()})
    serial = serial_of(read_enrolled(answer.json()))
    body = {"serial": serial, "csr": device.csr(), "signature": "AAAA"}
    answer = await door.post("/v1/gateways/renew", json=body)
    assert (answer.status_code, answer.json()["code"]) == (403, "signature_refused")


async def test_who_guesses_too_often_waits(
    door: httpx.AsyncClient, token: str, new_device: Callable[[], Any]
) -> None:
    for _ in range(REFUSALS_MAX):
        answer = await door.post("/v1/gateways/enrol", content=b"{}")
        assert answer.status_code == 422
    body = {"token": token, "csr": new_device().csr()}
    answer = await door.post("/v1/gateways/enrol", json=body)
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_attempts")


async def test_another_way_than_the_rooms_is_a_problem_too(door: httpx.AsyncClient) -> None:
    answer = await door.get("/v1/gateways/enrol")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


def serial_of(enrolled: Enrolled) -> str:
    return f"{load_pem_x509_certificate(enrolled.certificate.encode()).serial_number:x}"
