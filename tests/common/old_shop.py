"""The members table of a shop's old system, in plain text, in SQLite or a real PostgreSQL."""

import itertools
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common.postgres import Server

_numbers = itertools.count(1)
COLUMNS = ("会员编号", "姓名", "手机", "邮箱", "生日", "性别", "地址", "注册时间", "备注")


def old_member(number: int, **changes: Any) -> dict[str, Any]:
    """One row; numbers sort as texts do."""
    return {
        "会员编号": f"m{number:06d}", "姓名": f"王{chr(0x4E00 + number % 5000)}", "手机": f"138{number:08d}",
        "邮箱": f"m{number}@shop.example", "生日": "1990-03-07", "性别": "女", "地址": "浙江省杭州市西湖区1号",
        "注册时间": "2024-04-15 10:00:00", "备注": "不得入库的话",
    } | changes  # fmt: skip


class OldShop:
    """An old database: `url` as pdms is given it, and statements on it."""

    def __init__(self, url: str, connect: Any, *, mark: str, kind: str) -> None:
        self.url, self._connect, self._mark, self.kind = url, connect, mark, kind

    def run(self, statement: str, values: Sequence[Sequence[Any]] = ()) -> list[Any]:
        """Run one statement, once for each row of `values` if any; `?` marks a value."""
        connection = self._connect()
        try:
            cursor = connection.cursor()
            if values:
                cursor.executemany(statement.replace("?", self._mark), values)
            else:
                cursor.execute(statement)
            rows = list(cursor.fetchall()) if cursor.description else []
            connection.commit()
            return rows
        finally:
            connection.close()

    def make(self, *, key: str | None = "会员编号", table: str = "members", columns: Sequence[str] = COLUMNS) -> None:
        """Make the table. :param key: its primary key."""
        types = {"生日": "date", "注册时间": "timestamp"} if self.kind == "postgresql" else {}
        parts = [f'"{one}" {types.get(one, "text")}' for one in columns]
        self.run(f"CREATE TABLE {table} ({', '.join(parts)}{f', PRIMARY KEY ({key})' if key else ''})")

    def put(self, *rows: dict[str, Any], table: str = "members") -> None:
        """Insert rows of the same columns."""
        names = ", ".join(f'"{one}"' for one in rows[0])
        marks = ", ".join("?" * len(rows[0]))
        self.run(f"INSERT INTO {table} ({names}) VALUES ({marks})", [tuple(row.values()) for row in rows])


def old_sqlite(folder: Path) -> OldShop:
    """An old shop in an SQLite file of its own."""
    path = folder / "old.db"
    sqlite3.connect(path).close()
    return OldShop(f"sqlite:///{path}", lambda: sqlite3.connect(path), mark="?", kind="sqlite")


@contextmanager
def old_postgres(server: Server, *, options: str = "") -> Iterator[OldShop]:
    """An old shop in a database of its own on the tests' PostgreSQL server."""
    import psycopg

    name = f"old{next(_numbers)}"
    server.run(f"CREATE DATABASE {name} {options}")
    try:
        yield OldShop(
            f"postgresql://postgres@/{name}?host={server.folder}",
            lambda: psycopg.connect(f"{server.url(name)} client_encoding=utf8"),
            mark="%s",
            kind="postgresql",
        )
    finally:
        server.run(f"DROP DATABASE {name} WITH (FORCE)")
