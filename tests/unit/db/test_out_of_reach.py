"""A PostgreSQL that cannot be reached: every way of asking it ends in an error of ours that names no host."""

import pytest

from pdms.db import begin, fetch
from pdms.db.postgres import open_postgres
from pdms.db.session import Reader
from pdms.errors import Conflict

HOST = "/nonexistent/canary-host"


@pytest.fixture
def engine():
    made = open_postgres(f"host={HOST} dbname=shop user=canary-user password=canary-secret", schema="pdms_vault")
    yield made
    made.dispose()


def by_session(engine):
    with begin(engine) as session:
        session.connection()


@pytest.mark.parametrize(
    "ask",
    [
        lambda engine: fetch(engine, "SELECT 1"),
        lambda engine: Reader(engine).fetch("SELECT 1"),
        by_session,
    ],
    ids=["fetch", "reader", "session"],
)
def test_it_is_told_as_unreachable(engine, ask):
    with pytest.raises(Conflict) as caught:
        ask(engine)
    assert caught.value.code == "DATABASE_UNREACHABLE"
    told = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert not any("canary" in repr(one) for one in told)
