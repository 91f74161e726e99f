"""The application: three small rooms behind one door."""

from http import HTTPStatus

from fastapi import FastAPI

from quince.headend.errors import AccessDeniedError, NotAuthenticatedError
from quince.headend.platform.http import add_problem_handlers
from quince.model.errors import InvalidValueError, QuinceError
from quince.portal_api.accounts import endpoints as accounts
from quince.portal_api.bills import endpoints as bills
from quince.portal_api.door import Door
from quince.portal_api.usage import endpoints as usage

# Here, and only here, an error gets an HTTP status.
_STATUS: dict[type[QuinceError], HTTPStatus] = {
    NotAuthenticatedError: HTTPStatus.UNAUTHORIZED,
    AccessDeniedError: HTTPStatus.FORBIDDEN,
    InvalidValueError: HTTPStatus.UNPROCESSABLE_ENTITY,
}


def create_app(door: Door) -> FastAPI:
    """Return the application on an open door."""
    app = FastAPI(title="Quince portal", docs_url=None, redoc_url=None)
    app.state.door = door
    for room in (accounts, usage, bills):
        app.include_router(room.router)
    add_problem_handlers(app, _STATUS)
    return app
