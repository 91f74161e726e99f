"""Databases of an earlier version."""

import stat
from contextlib import closing

from quince.headend.identity.rules import Principal, Role, token_digest
from quince.headend.platform.sqlite import open_connection
from quince.headend.wiring import open_identity, prepare_database


async def test_columns_that_came_later_are_added_and_what_was_there_stays(tmp_path):
    path = tmp_path / "old.sqlite"
    with closing(open_connection(path)) as connection:
        connection.execute(
            "create table access_token(digest blob not null primary key,"
            " tenant_id integer not null, role varchar not null, customer_id varchar)"
        )
        connection.execute(
            "insert into access_token values (?, 1, 'staff', null)", (token_digest("quince_x"),)
        )
    prepare_database(path)
    prepare_database(path)
    async with open_identity(path) as identity:
        assert await identity.authenticate("quince_x") == Principal(tenant_id=1, role=Role.STAFF)


def test_a_new_database_is_its_owners_alone(tmp_path):
    prepare_database(tmp_path / "new.sqlite")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {0o600}
