"""Single look-ups on PostgreSQL: outside of a transaction and within one, after an error, after a lost connection."""

import multiprocessing
import threading
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from pdms.db import fetch
from pdms.db.parts import Part
from pdms.db.postgres import open_postgres
from pdms.db.session import Reader, fetch_here
from pdms.errors import Conflict, IntegrityBroken

KINDS = "SELECT ?::bytea, ?::text, ?::int4, ?::int8, NULL::bytea, -1::int2, 'x'::varchar WHERE 1 = ?"
VALUES = (b"\x00\xff?%s", "王?", 2**31 - 1, -(2**62), 1)
ROW = (b"\x00\xff?%s", "王?", 2**31 - 1, -(2**62), None, -1, "x")


@pytest.fixture
def engine(postgres: str) -> Iterator[Engine]:
    made = open_postgres(postgres, schema=Part.VAULT.schema)
    yield made
    made.dispose()


def test_outside_of_a_transaction(engine):
    reader = Reader(engine)
    for _ in range(3):
        assert fetch(engine, KINDS, VALUES) == [ROW]
        assert reader.fetch(KINDS, VALUES) == [ROW]
    assert fetch(engine, KINDS, (*VALUES[:4], 2)) == []


def test_within_a_transaction_it_sees_what_that_one_wrote(engine):
    count = "SELECT actor, reveals FROM reveal_count WHERE reveals > ?"
    with engine.begin() as connection:
        assert fetch_here(connection, count, (0,)) == []  # the first statement begins the transaction
        connection.exec_driver_sql("INSERT INTO reveal_count (actor, hour, reveals) VALUES ('a', 'h', 3)")
        assert fetch_here(connection, count, (0,)) == [("a", 3)]
        assert fetch(engine, count, (0,)) == []
        connection.rollback()
    assert fetch(engine, count, (0,)) == []


def test_errors_are_those_of_an_engine_and_the_next_statement_runs(engine):
    with pytest.raises(IntegrityBroken):
        fetch(engine, "SELECT 1 FROM no_such_table")
    with pytest.raises(Exception, match="SQLSTATE 22012") as broken:
        fetch(engine, "SELECT 1 / ?::int4", (0,))
    assert "zero" not in str(broken.value)
    assert fetch(engine, "SELECT 1 / ?::int4", (1,)) == [(1,)]


def test_a_lost_connection_is_told_and_replaced(engine, postgres_server):
    [(name, backend)] = fetch(engine, "SELECT current_database(), pg_backend_pid()")
    still = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {backend} AND datname = '{name}'"
    postgres_server.run(f"SELECT pg_terminate_backend({backend})")
    while postgres_server.run(still) != [(0,)]:
        pass
    with pytest.raises(Conflict) as told:
        fetch(engine, "SELECT 1")
    assert told.value.code == "DATABASE_UNREACHABLE"
    assert fetch(engine, "SELECT 1") == [(1,)]


def backends(server, name):
    return server.run(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'")[0][0]


def test_a_reader_keeps_its_connections_until_the_engine_is_disposed_of(engine, postgres_server):
    reader, gate, found = Reader(engine), threading.Barrier(12), []

    def ask():
        gate.wait()
        found.append(reader.fetch("SELECT current_database(), pg_backend_pid(), pg_sleep(0.2)::text")[0])

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    name, pids = found[0][0], {row[1] for row in found}
    assert len(pids) > 1  # nobody waits for another's connection
    assert reader.fetch("SELECT pg_backend_pid()")[0][0] in pids
    assert 0 < backends(postgres_server, name) <= 8
    engine.dispose()
    assert gone(postgres_server, f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'")
    assert reader.fetch("SELECT 1") == [(1,)]


def test_a_reader_that_lost_the_server_says_so_and_asks_anew(engine, postgres_server):
    reader = Reader(engine)
    [(backend,)] = reader.fetch("SELECT pg_backend_pid()")
    postgres_server.run(f"SELECT pg_terminate_backend({backend})")
    assert gone(postgres_server, f"SELECT count(*) FROM pg_stat_activity WHERE pid = {backend}")
    with pytest.raises(Conflict) as told:
        reader.fetch("SELECT 1")
    assert told.value.code == "DATABASE_UNREACHABLE"
    assert reader.fetch("SELECT 1") == [(1,)]


def test_a_process_that_was_forked_asks_over_a_connection_of_its_own(engine):
    reader = Reader(engine)
    mine = reader.fetch("SELECT pg_backend_pid()")
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=lambda: answers.put(reader.fetch("SELECT pg_backend_pid()")))
    child.start()
    child.join(30)
    assert child.exitcode == 0
    assert answers.get() != mine
    assert reader.fetch("SELECT pg_backend_pid()") == mine


def gone(server, still):
    end = time.monotonic() + 20
    while server.run(still) != [(0,)]:
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
