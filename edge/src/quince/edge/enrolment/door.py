"""The head-end's door, as a device knocks at it: what it asks for, and what it is told.

Law: a one-time token makes anyone this gateway, so it goes by HTTPS wherever it leaves the machine.
"""

import base64
import json
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from quince.edge.enrolment.identity import signing_request
from quince.edge.errors import (
    HeadendRefusedError,
    HeadendUnreachableError,
    TokenRefusedError,
)
from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.gateway.enrolment import (
    ANSWER_BYTES_MAX,
    Enrolled,
    read_enrolled,
    sign_renewal,
)

ANSWER_S_MAX = 30.0  # a mobile network in a cellar
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_REASON_CHARS_MAX = 500
_OK, _FORBIDDEN, _SERVER_ERRORS = 200, 403, 500
_LATER = (408, 429)

Document = dict[str, Any]


def enrolment_body(token: str, key: ec.EllipticCurvePrivateKey) -> Document:
    """Return what makes the holder of `key` the token's gateway."""
    request = signing_request(key)
    return {"token": token, "csr": request.public_bytes(Encoding.PEM).decode()}


def renewal_body(
    serial: str, old_key: ec.EllipticCurvePrivateKey, key: ec.EllipticCurvePrivateKey
) -> Document:
    """Return what has `key` certified in the place of the old certificate's."""
    request = signing_request(key)
    proof = sign_renewal(request.public_bytes(Encoding.DER), old_key)
    return {
        "serial": serial,
        "csr": request.public_bytes(Encoding.PEM).decode(),
        "signature": base64.b64encode(proof).decode(),
    }


async def knock(url: str, path: str, body: Document, *, ca_file: Path | None) -> Enrolled:
    """Ask, and return what is given.

    HeadendUnreachableError: ask again later. TokenRefusedError, HeadendRefusedError: do not.
    """
    import httpx  # noqa: PLC0415 - ten megabytes that a gateway needs once a year

    trust = _trust(url, ca_file)
    octets = bytearray()
    try:
        async with (
            httpx.AsyncClient(
                base_url=url, verify=trust, timeout=ANSWER_S_MAX, trust_env=False
            ) as client,
            client.stream("POST", path, json=body) as answer,
        ):
            async for part in answer.aiter_bytes():
                octets += part
                if len(octets) > ANSWER_BYTES_MAX:
                    raise HeadendRefusedError(f"an answer of more than {ANSWER_BYTES_MAX} octets")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise HeadendUnreachableError(str(error) or type(error).__name__) from error
    return _given(answer.status_code, bytes(octets))


def _trust(url: str, ca_file: Path | None) -> ssl.SSLContext:
    where = urlsplit(url)
    if where.scheme != "https" and where.hostname not in _LOOPBACK:
        raise InvalidValueError("url", url, "https: what is asked there is worth a gateway")
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise InvalidValueError("ca_file", str(ca_file), str(error)) from error


def _given(status: int, octets: bytes) -> Enrolled:
    try:
        document = json.loads(octets)
    except (ValueError, RecursionError):
        document = None
    if status != _OK:
        raise _refusal(status, document)
    try:
        return read_enrolled(document)
    except CodecError as error:
        raise HeadendRefusedError(str(error)) from error


def _refusal(status: int, document: Any) -> HeadendRefusedError | HeadendUnreachableError:
    detail = document.get("detail", "") if isinstance(document, dict) else ""
    said = f"{status} {detail}".strip()[:_REASON_CHARS_MAX]
    if status in _LATER or status >= _SERVER_ERRORS:
        return HeadendUnreachableError(said)
    return TokenRefusedError(said) if status == _FORBIDDEN else HeadendRefusedError(said)
