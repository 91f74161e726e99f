"""Errors as problem documents (RFC 9457); here, and only here, an error gets an HTTP status."""

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from quince.model.errors import InvalidValueError, QuinceError
from quince.portal_api.errors import AccessDeniedError, NotAuthenticatedError

MEDIA_TYPE = "application/problem+json"

_STATUS: dict[type[QuinceError], HTTPStatus] = {
    NotAuthenticatedError: HTTPStatus.UNAUTHORIZED,
    AccessDeniedError: HTTPStatus.FORBIDDEN,
    InvalidValueError: HTTPStatus.UNPROCESSABLE_ENTITY,
}


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every error of ours, and every malformed request, with a problem document."""
    for error in _STATUS:
        app.add_exception_handler(error, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_request)


def _refuse(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, QuinceError):
        raise error
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, NotAuthenticatedError) else None
    return _problem(_STATUS[type(error)], error.code, str(error), headers)


def _refuse_request(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    return _problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, InvalidValueError.code, f"{field}: {first['msg']}"
    )


def _problem(
    status: HTTPStatus, code: str, detail: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    body = {"type": "about:blank", "title": status.phrase, "status": int(status)}
    return JSONResponse(
        body | {"code": code, "detail": detail},
        status_code=status,
        headers=headers,
        media_type=MEDIA_TYPE,
    )
