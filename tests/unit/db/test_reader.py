"""Single SELECTs on a kept connection: threads, forks, other writers, damage."""

import multiprocessing
import threading
from pathlib import Path

import pytest

from pdms.db import Reader, begin, checkpoint_and_vacuum, fetch_here, open_engine
from pdms.errors import IntegrityBroken


@pytest.fixture
def engine(tmp_path: Path):
    made = open_engine(tmp_path / "some.db")
    with begin(made) as session:
        session.connection().exec_driver_sql("CREATE TABLE one (n INTEGER)")
    yield made
    made.dispose()


def add(engine, number: int) -> None:
    with begin(engine) as session:
        session.connection().exec_driver_sql("INSERT INTO one VALUES (?)", (number,))


def test_it_sees_each_commit_and_stands_in_nobodys_way(engine):
    reader = Reader(engine)
    for number in range(5):
        add(engine, number)
        assert reader.fetch("SELECT count(*), max(n) FROM one") == [(number + 1, number)]
    assert reader.fetch("SELECT n FROM one WHERE n > ? ORDER BY n", (2,)) == [(3,), (4,)]
    checkpoint_and_vacuum(engine)  # refuses where a reader holds the log


def test_more_threads_than_the_pool_has_places(engine):
    reader, found = Reader(engine), []
    add(engine, 1)
    gate = threading.Barrier(50)

    def ask() -> None:
        found.append(reader.fetch("SELECT n FROM one"))
        gate.wait(60)  # all keep theirs at once
        found.append(reader.fetch("SELECT n FROM one"))

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == [[(1,)]] * 100


def test_a_forked_process_opens_its_own(engine):
    reader = Reader(engine)
    add(engine, 1)
    assert reader.fetch("SELECT n FROM one") == [(1,)]
    own = reader._mine.raw

    def ask(answers) -> None:
        found = reader.fetch("SELECT n FROM one")
        answers.put((found, reader._mine.raw is own))

    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=ask, args=(answers,))
    child.start()
    assert answers.get(timeout=30) == ([(1,)], False)
    child.join()
    assert reader.fetch("SELECT n FROM one") == [(1,)]


def test_what_is_damaged_is_told_as_such(tmp_path):
    path = tmp_path / "broken.db"
    path.write_bytes(b"not a database at all, but long enough to be read as one" * 100)
    with pytest.raises(IntegrityBroken):
        Reader(open_engine(path)).fetch("SELECT 1 FROM one")


def test_within_a_transaction_its_own_changes_are_read(engine):
    with begin(engine) as session:
        connection = session.connection()
        connection.exec_driver_sql("INSERT INTO one VALUES (7)")
        assert fetch_here(connection, "SELECT n FROM one WHERE n = ?", (7,)) == [(7,)]
    with begin(engine) as session, pytest.raises(IntegrityBroken):
        fetch_here(session.connection(), "SELECT n FROM other")


def test_the_same_on_a_server(postgres):
    pytest.importorskip("psycopg")
    from pdms.db.postgres import open_postgres

    engine = open_postgres(postgres, schema="pdms_keys")
    reader, found = Reader(engine), []
    ask = "SELECT count(*) FROM member_key WHERE key_version = ?"
    assert reader.fetch(ask, (1,)) == [(0,)]
    assert reader.fetch("SELECT ?::bytea", (b"\x00\xff",)) == [(b"\x00\xff",)]
    with pytest.raises(IntegrityBroken):
        reader.fetch("SELECT 1 FROM nothing_of_that_name")
    assert reader.fetch(ask, (1,)) == [(0,)]  # an error leaves no transaction behind
    threads = [threading.Thread(target=lambda: found.append(reader.fetch(ask, (1,)))) for _ in range(20)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == [[(0,)]] * 20
    with begin(engine, read_only=True) as session:
        connection = session.connection()
        assert fetch_here(connection, ask, (1,)) == fetch_here(connection, ask, (2,)) == [(0,)]
    with begin(engine, read_only=True) as session, pytest.raises(IntegrityBroken):
        fetch_here(session.connection(), "SELECT 1 FROM nothing_of_that_name")
    with begin(engine, read_only=True) as session:
        assert fetch_here(session.connection(), ask, (1,)) == [(0,)]
    engine.dispose()
