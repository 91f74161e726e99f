"""The head-end's own door, knocked at: who is believed, how much is heard, what a refusal means.

Law: what passes makes gateways and opens meters, so it is HTTPS wherever it is not this machine.

The agent imports this only when it knocks: the client takes ten megabytes, once a year.
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from quince.edge.errors import HeadendRefusedError, HeadendUnreachableError, TokenRefusedError
from quince.model.errors import CodecError, InvalidValueError
from quince.protocols.visits.documents import Document, read_document

ANSWER_S_MAX = 30.0  # without an octet: a mobile network in a cellar
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_REASON_CHARS_MAX = 500
_WHO_ASKS = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
_LATER = (httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS)


@asynccontextmanager
async def open_client(
    url: str, *, ca_file: Path | None, token: str | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """Open the door at `url`; InvalidValueError if that would not be safe."""
    _require_safe(url)
    async with httpx.AsyncClient(
        base_url=url,
        headers={} if token is None else {"Authorization": f"Bearer {token}"},
        timeout=ANSWER_S_MAX,
        verify=_trust(ca_file),
        trust_env=False,  # the configuration says the way; a stray proxy must not
    ) as client:
        yield client


async def ask(
    client: httpx.AsyncClient, method: str, path: str, *, bytes_max: int, **asked: Any
) -> Document:
    """Return the document that is answered; `asked` as httpx has it.

    HeadendUnreachableError: ask again later. TokenRefusedError, HeadendRefusedError: do not.
    """
    try:
        async with client.stream(method, path, **asked) as answer:
            octets = await _body(answer, bytes_max)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise unreachable(error) from error
    if answer.is_success:
        return _document(octets)
    raise refusal(answer.status_code, octets)


def unreachable(error: Exception) -> HeadendUnreachableError:
    """Return what a line that broke means."""
    return HeadendUnreachableError(f"{type(error).__name__}: {error}")


def refusal(status: int, octets: bytes) -> HeadendRefusedError | HeadendUnreachableError:
    """Return what an answer that is no success means."""
    try:
        reason = str(read_document(octets).get("detail", ""))
    except CodecError:
        reason = ""
    said = f"{status} {reason}".strip()[:_REASON_CHARS_MAX]
    if status in _WHO_ASKS:
        return TokenRefusedError(said)
    if status in _LATER or httpx.codes.is_server_error(status):
        return HeadendUnreachableError(said)
    return HeadendRefusedError(said)


def _require_safe(url: str) -> None:
    try:
        where = urlsplit(url)
    except ValueError as error:
        raise InvalidValueError("url", url, f"expected https://…: {error}") from error
    if where.scheme != "https" and where.hostname not in _LOOPBACK:
        raise InvalidValueError("url", url, "https: what passes there opens meters")


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise InvalidValueError("ca_file", str(ca_file), str(error)) from error


async def _body(answer: httpx.Response, bytes_max: int) -> bytes:
    octets = bytearray()
    async for part in answer.aiter_bytes():
        octets += part
        if len(octets) > bytes_max:
            raise HeadendRefusedError(f"an answer of more than {bytes_max} octets")
    return bytes(octets)


def _document(octets: bytes) -> Document:
    try:
        return read_document(octets)
    except CodecError as error:
        raise HeadendRefusedError(f"the answer makes no sense: {error}") from error
