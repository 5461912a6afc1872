"""A lock of the whole database on PostgreSQL: one holder, and free again however its block ended."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from pdms.db import Lock, held_by_one
from pdms.db.parts import Part
from pdms.db.postgres import open_postgres


@pytest.fixture
def engine(postgres: str) -> Iterator[Engine]:
    made = open_postgres(postgres, schema=Part.VAULT.schema)
    yield made
    made.dispose()


def test_a_second_holder_is_told_and_the_first_keeps_it(engine):
    with held_by_one(engine, Lock.SENDING) as still:
        with held_by_one(engine, Lock.SENDING) as other:
            assert other is None
        assert still is not None
        assert still()


def fails_within(engine: Engine) -> None:
    with held_by_one(engine, Lock.SENDING) as still:
        assert still is not None
        raise RuntimeError


def test_after_an_error_in_the_block_the_lock_is_free_at_once(engine):
    # asked over a connection that is open already: the server ends a session a moment after its connection is closed
    with engine.connect() as watcher:
        for _ in range(200):
            with pytest.raises(RuntimeError):
                fails_within(engine)
            held = watcher.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted")
            assert held.scalar() == 0
