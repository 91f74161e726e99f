"""What all our doors do alike: a body is read within bounds, an error is a problem document."""

from collections.abc import Mapping
from functools import partial
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from quince.model.errors import CodecError, InvalidValueError, QuinceError

MEDIA_TYPE = "application/problem+json"


async def read_body(request: Request, *, bytes_max: int) -> bytes:
    """Return the request's body; CodecError as soon as it is too long."""
    octets = bytearray()
    async for part in request.stream():
        octets += part
        if len(octets) > bytes_max:
            raise CodecError(f"more than {bytes_max} octets")
    return bytes(octets)


def add_problem_handlers(app: FastAPI, statuses: Mapping[type[QuinceError], HTTPStatus]) -> None:
    """Answer these errors, and every malformed request, with a problem document (RFC 9457)."""
    for kind, status in statuses.items():
        app.add_exception_handler(kind, partial(_refuse, status))
    app.add_exception_handler(RequestValidationError, _refuse_request)


def problem(
    status: HTTPStatus, code: str, detail: str, *, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return a problem document."""
    body = {"type": "about:blank", "title": status.phrase, "status": int(status)}
    return JSONResponse(
        body | {"code": code, "detail": detail},
        status_code=status,
        headers=headers,
        media_type=MEDIA_TYPE,
    )


def _refuse(status: HTTPStatus, _request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, QuinceError):
        raise error
    challenge = {"WWW-Authenticate": "Bearer"} if status is HTTPStatus.UNAUTHORIZED else None
    return problem(status, error.code, str(error), headers=challenge)


def _refuse_request(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    # Not what was sent: it may hold a token.
    field = ".".join(str(part) for part in first["loc"])
    detail = f"{field}: {first['msg']}"
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, InvalidValueError.code, detail)
