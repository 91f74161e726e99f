"""The application behind the door: rooms that others furnish, and one way to refuse.

Each room says itself who may enter and how much it reads of a body.
"""

from collections.abc import Sequence
from functools import partial
from http import HTTPStatus

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse

from quince.headend.errors import (
    AccessDeniedError,
    EnrolmentRefusedError,
    NoSuchImageError,
    NotAuthenticatedError,
    ReportRefusedError,
    StoreBusyError,
    TooManyAttemptsError,
    UnknownGatewayError,
    UnknownOrderError,
)
from quince.headend.platform.http import add_problem_handlers, problem
from quince.model.errors import CodecError, InvalidValueError, QuinceError
from quince.protocols.gateway.errors import SignatureError

_STATUS: dict[type[QuinceError], HTTPStatus] = {
    AccessDeniedError: HTTPStatus.FORBIDDEN,
    CodecError: HTTPStatus.UNPROCESSABLE_ENTITY,
    EnrolmentRefusedError: HTTPStatus.FORBIDDEN,
    InvalidValueError: HTTPStatus.UNPROCESSABLE_ENTITY,
    NoSuchImageError: HTTPStatus.NOT_FOUND,
    NotAuthenticatedError: HTTPStatus.UNAUTHORIZED,
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
    add_problem_handlers(app, _STATUS)
    for status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        app.add_exception_handler(status, partial(_refuse_route, status))
    return app


def _refuse_route(status: HTTPStatus, _request: Request, error: Exception) -> JSONResponse:
    code = status.phrase.lower().replace(" ", "_")
    headers = getattr(error, "headers", None)  # of a way that is another method's: Allow
    return problem(status, code, "there is no such way in", headers=headers)
