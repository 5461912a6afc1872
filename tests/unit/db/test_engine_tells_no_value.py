"""A statement that fails on SQLite names itself, never its values: not in the error, its causes, nor any log."""

import io
import logging
import traceback

import pytest
from sqlalchemy.exc import DBAPIError, StatementError

import pdms.ingest.tables
import pdms.vault.tables  # noqa: F401
from pdms.db import begin, open_engine
from pdms.db.bases import MainTable
from pdms.ingest.tables import RejectedRowTable

CANARY = "13800138000-canary"


@pytest.fixture
def engine(tmp_path):
    made = open_engine(tmp_path / "vault.db")
    MainTable.metadata.create_all(made)
    yield made
    made.dispose()


@pytest.fixture
def logged():
    stream, watched = io.StringIO(), logging.getLogger("sqlalchemy")
    level, listener = watched.level, logging.StreamHandler(stream)
    watched.setLevel(logging.DEBUG)
    watched.addHandler(listener)
    yield stream
    watched.removeHandler(listener)
    watched.setLevel(level)


def by_driver(session):
    for _ in range(2):
        session.connection().exec_driver_sql(
            "INSERT INTO ingest_rejected (load_id, row, field, rule) VALUES (?, 1, ?, 'x')", (CANARY, CANARY)
        )


def in_bulk(session):
    session.connection().exec_driver_sql(
        "INSERT INTO ingest_rejected (load_id, row, field, rule) VALUES (?, ?, ?, ?)", [(CANARY, 1, CANARY, "x")] * 2
    )


def by_rows(session):
    for _ in range(2):
        session.add(RejectedRowTable(load_id=CANARY, row=1, field=CANARY, rule="x"))
        session.flush()
        session.expunge_all()


def empty_value(session):
    session.connection().exec_driver_sql(
        "INSERT INTO ingest_rejected (load_id, row, field, rule) VALUES (?, 1, ?, NULL)", (CANARY, CANARY)
    )


def wrong_type(session):
    session.connection().exec_driver_sql(
        "INSERT INTO ingest_rejected (load_id, row, field, rule) VALUES (?, 1, ?, 'x')", (CANARY, {CANARY: CANARY})
    )


def too_few(session):
    session.connection().exec_driver_sql("INSERT INTO ingest_rejected VALUES (?, 1, ?, ?)", (CANARY, CANARY))


@pytest.mark.parametrize("work", [by_driver, in_bulk, by_rows, empty_value, wrong_type, too_few])
def test_no_value_of_a_failed_statement_is_told(engine, logged, work):
    with pytest.raises((DBAPIError, StatementError)) as caught, begin(engine) as session:
        work(session)
    told = "".join(traceback.format_exception(caught.value))
    chain = caught.value
    while chain is not None:
        told += repr(chain) + repr(chain.args)
        chain = chain.__cause__ or chain.__context__
    assert "sqlite3." in told
    assert "INSERT" in logged.getvalue()
    assert CANARY not in told + logged.getvalue()


def test_the_search_above_would_find_it(tmp_path):
    """Without hidden parameters SQLAlchemy tells them."""
    from sqlalchemy import create_engine

    engine = create_engine(f"sqlite:///{tmp_path / 'plain.db'}")
    with pytest.raises(DBAPIError, match=CANARY), engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO nowhere VALUES (?)", (CANARY,))
    engine.dispose()
