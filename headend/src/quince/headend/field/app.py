"""The application behind the door: rooms that others furnish, and one way to refuse.

Each room says itself who may enter and how much it reads of a body.
"""

from collections.abc import Sequence
from functools import partial
from http import HTTPStatus

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from quince.headend.errors import (
    EnrolmentRefusedError,
    NoSuchImageError,
    ReportRefusedError,
    StoreBusyError,
    TooManyAttemptsError,
    UnknownGatewayError,
    UnknownOrderError,
)
from quince.model.errors import CodecError, InvalidValueError, QuinceError
from quince.protocols.gateway.errors import SignatureError

MEDIA_TYPE = "application/problem+json"

_STATUS: dict[type[QuinceError], HTTPStatus] = {
    CodecError: HTTPStatus.UNPROCESSABLE_ENTITY,
    EnrolmentRefusedError: HTTPStatus.FORBIDDEN,
    InvalidValueError: HTTPStatus.UNPROCESSABLE_ENTITY,
    NoSuchImageError: HTTPStatus.NOT_FOUND,
    ReportRefusedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    SignatureError: HTTPStatus.FORBIDDEN,
    StoreBusyError: HTTPStatus.SERVICE_UNAVAILABLE,
    TooManyAttemptsError: HTTPStatus.TOO_MANY_REQUESTS,
    UnknownGatewayError: HTTPStatus.NOT_FOUND,
    UnknownOrderError: HTTPStatus.NOT_FOUND,
}


def create_field_app(routers: Sequence[APIRouter]) -> FastAPI:
    """Return the door with these rooms; every refusal is a problem document (RFC 9457)."""
    app = FastAPI(title="Quince field", docs_url=None, redoc_url=None, openapi_url=None)
    for router in routers:
        app.include_router(router)
    for error in _STATUS:
        app.add_exception_handler(error, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_request)
    for status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        app.add_exception_handler(status, partial(_refuse_route, status))
    return app


def _refuse(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, QuinceError):
        raise error
    kind = next(kind for kind in type(error).__mro__ if kind in _STATUS)
    return _problem(_STATUS[kind], error.code, str(error))


def _refuse_request(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    # Not what was sent: it may hold a token.
    field = ".".join(str(part) for part in first["loc"])
    detail = f"{field}: {first['msg']}"
    return _problem(HTTPStatus.UNPROCESSABLE_ENTITY, InvalidValueError.code, detail)


def _refuse_route(status: HTTPStatus, _request: Request, _error: Exception) -> JSONResponse:
    detail = "there is no such way in"
    return _problem(status, status.phrase.lower().replace(" ", "_"), detail)


def _problem(status: HTTPStatus, code: str, detail: str) -> JSONResponse:
    body = {"type": "about:blank", "title": status.phrase, "status": int(status)}
    return JSONResponse(
        body | {"code": code, "detail": detail}, status_code=status, media_type=MEDIA_TYPE
    )
