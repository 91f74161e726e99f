"""The room where devices become gateways, and gateways stay such."""

import asyncio
import base64
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from quince.headend.enrolment.attempts import Attempts
from quince.headend.enrolment.rules import CSR_CHARS_MAX
from quince.headend.enrolment.service import Enrolment
from quince.headend.identity.rules import TOKEN_CHARS_MAX
from quince.headend.platform.http import read_body
from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.gateway.enrolment import enrolled_document

BODY_BYTES_MAX = 16_384  # the longest request, with some room
_SIGNATURE_CHARS_MAX = 128  # 72 octets in base64

BodyT = TypeVar("BodyT", bound="_Strict")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    csr: str = Field(max_length=CSR_CHARS_MAX)


class EnrolBody(_Strict):
    """A one-time token, and a request for a certificate (PEM) for the device's own key."""

    token: str = Field(max_length=TOKEN_CHARS_MAX)


class RenewBody(_Strict):
    """The old certificate's serial number (hexadecimal) and its key's signature (base64)."""

    serial: str = Field(max_length=64, pattern=r"^[0-9a-f]+$")
    signature: str = Field(max_length=_SIGNATURE_CHARS_MAX)

    @property
    def proof(self) -> bytes:
        """The signature's octets."""
        try:
            return base64.b64decode(self.signature, validate=True)
        except ValueError as error:
            raise InvalidValueError("signature", self.signature, "expected base64") from error


def enrolment_router(enrolment: Enrolment) -> APIRouter:
    """Return the room; it asks for no bearer token: what is brought is its own proof."""
    router = APIRouter(prefix="/v1/gateways")
    attempts = Attempts()

    @router.post("/enrol")
    async def enrol(request: Request) -> dict[str, Any]:
        with attempts.attempt(_peer(request), _now_s()):
            asked = _read(EnrolBody, await read_body(request, bytes_max=BODY_BYTES_MAX))
            return enrolled_document(await enrolment.enrol(asked.token, asked.csr))

    @router.post("/renew")
    async def renew(request: Request) -> dict[str, Any]:
        with attempts.attempt(_peer(request), _now_s()):
            asked = _read(RenewBody, await read_body(request, bytes_max=BODY_BYTES_MAX))
            enrolled = await enrolment.renew(asked.serial, asked.csr, asked.proof)
            return enrolled_document(enrolled)

    return router


def _read(kind: type[BodyT], octets: bytes) -> BodyT:
    try:
        return kind.model_validate_json(octets)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]  # it may hold the token
        field = ".".join(str(part) for part in first["loc"]) or "body"
        raise CodecError(f"{field}: {first['msg']}") from None


def _peer(request: Request) -> str:
    return request.client.host if request.client else ""


def _now_s() -> float:
    """The event loop's monotonic time: no wall-clock jump lets anyone in."""
    return asyncio.get_running_loop().time()
