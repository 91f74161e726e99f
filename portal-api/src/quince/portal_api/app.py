"""The application: three small rooms behind one door."""

from fastapi import FastAPI

from quince.portal_api.accounts import endpoints as accounts
from quince.portal_api.bills import endpoints as bills
from quince.portal_api.door import Door
from quince.portal_api.problems import add_problem_handlers
from quince.portal_api.usage import endpoints as usage


def create_app(door: Door) -> FastAPI:
    """Return the application on an open door."""
    app = FastAPI(title="Quince portal", docs_url=None, redoc_url=None)
    app.state.door = door
    for room in (accounts, usage, bills):
        app.include_router(room.router)
    add_problem_handlers(app)
    return app
