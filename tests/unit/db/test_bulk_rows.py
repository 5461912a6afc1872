"""Bulk rows: what goes in by columns or by rows comes out again, on both databases, and all of it or nothing."""

import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from pdms.db import Same, insert_columns, insert_rows, one_of, open_engine, stored_day, stored_instant
from pdms.db.parts import Part
from pdms.db.postgres import open_postgres

TABLE = "CREATE TEMP TABLE t (n int4, big int8, id bytea UNIQUE, word text, born date, at timestamp)"


@pytest.fixture(params=["sqlite", "postgres"])
def connection(request, tmp_path) -> Iterator[Connection]:
    if request.param == "sqlite":
        engine = open_engine(tmp_path / "t.db")
    else:
        engine = open_postgres(request.getfixturevalue("postgres"), schema=Part.VAULT.schema)
    with engine.begin() as made:
        made.exec_driver_sql(TABLE)
        yield made
    engine.dispose()


def stored(connection: Connection) -> list[tuple[object, ...]]:
    found = connection.exec_driver_sql("SELECT n, big, id, word, born, at FROM t ORDER BY n").all()
    return [(*row[:4], stored_day(row[4]), stored_instant(row[5])) for row in found]


@pytest.mark.parametrize("count", [1, 2, 70_000])
def test_columns_come_out_as_they_went_in(connection, count):
    numbers = list(range(-1, count - 1))
    instant = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=8)))
    words = ["", "王秀英", "tab\tnewline\nquote'\"\\", "?%s%%"]
    days = ["1900-01-01", None, "2031-02-28", "0001-01-01"]
    columns = [
        ("n", "int4", numbers),
        ("big", "int8", [number << 40 for number in numbers]),
        ("id", "bytea", [b"\x00\xff" + number.to_bytes(4, "big", signed=True) for number in numbers]),
        ("word", "text", [words[number % 4] for number in numbers]),
        ("born", "date", [days[number % 4] for number in numbers]),
        ("at", "timestamp", Same(instant)),
    ]
    insert_columns(connection, "t", columns)
    assert stored(connection) == [
        (n, big, id_, word, stored_day(day), instant.astimezone(UTC))
        for n, big, id_, word, day in zip(*(values for _, _, values in columns[:5]), strict=True)
    ]


def test_one_value_may_be_none_for_all(connection):
    insert_columns(connection, "t", [("n", "int4", [1, 2]), ("id", "bytea", Same(None)), ("word", "text", Same("x"))])
    assert connection.exec_driver_sql("SELECT n, id, word FROM t ORDER BY n").all() == [(1, None, "x"), (2, None, "x")]


def test_columns_of_unlike_length_are_refused(connection):
    with pytest.raises(ValueError, match="unlike"):
        insert_columns(connection, "t", [("n", "int4", [1, 2]), ("id", "bytea", [b"a"])])


def test_rows_come_out_as_they_went_in(connection):
    insert_rows(connection, "t", (("n", "int4"), ("id", "bytea"), ("word", "text")), [(1, b"a", "甲"), (2, None, None)])
    found = connection.exec_driver_sql("SELECT n, id, word FROM t ORDER BY n").all()
    assert found == [(1, b"a", "甲"), (2, None, None)]


def test_a_doubled_row_is_refused_without_its_values(connection):
    doubled = [("n", "int4", [1, 2]), ("id", "bytea", [b"a-secret", b"a-secret"])]
    with pytest.raises(IntegrityError) as broken:
        insert_columns(connection, "t", doubled)
    told = "".join(traceback.format_exception(broken.value))
    assert "a-secret" not in told
    assert b"a-secret".hex() not in told
    connection.rollback()


def test_one_of_many(connection):
    ids = [number.to_bytes(16, "big") for number in range(500)]
    insert_columns(connection, "t", [("n", "int4", range(500)), ("id", "bytea", ids)])
    wanted = [ids[7], ids[300], b"\x00" * 15 + b"?", b"%" * 16]
    condition, bound = one_of(connection, wanted, width=16)
    found = connection.exec_driver_sql(f"SELECT n FROM t WHERE id {condition} ORDER BY n", bound).scalars().all()
    assert found == [7, 63, 300]


@pytest.mark.parametrize("count", [3, 32, 100])
def test_rows_that_are_there_are_passed_over_and_not_counted(connection, count):
    def rows(word):
        ids = [bytes((one,)) for one in range(count)]
        return [("n", "int4", range(count)), ("id", "bytea", ids), ("word", "text", Same(word))]

    if connection.dialect.name != "sqlite":
        with pytest.raises(ValueError, match="COPY"):
            insert_columns(connection, "t", rows("late"), unless="id")
        return
    insert_columns(connection, "t", [("id", "bytea", [b"\x00", b"\x02"]), ("word", "text", Same("first"))])
    assert insert_columns(connection, "t", rows("late"), unless="id") == count - 2
    found = connection.exec_driver_sql("SELECT word, count(*) FROM t GROUP BY word ORDER BY word").all()
    assert found == [("first", 2), ("late", count - 2)]
    with pytest.raises(IntegrityError):
        insert_columns(connection, "t", rows("again"))
