"""Rows of a home that is not opened: from its files, or from the schemas of its PostgreSQL database."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any


def ask(home: Path, part: str, statement: str, values: tuple[object, ...] = (), *, url: str | None = None) -> list[Any]:
    """Return what a SELECT (with `?` marks) finds in one part. :param url: of PostgreSQL; None: files."""
    if url is None:
        with closing(sqlite3.connect(home / f"{part}.db")) as database:
            return database.execute(statement, values).fetchall()
    import psycopg

    with psycopg.connect(url, autocommit=True, options=f"-c search_path=pdms_{part}") as connection:
        return connection.execute(statement.replace("?", "%s"), values).fetchall()


def tables(home: Path, part: str, *, url: str | None = None) -> dict[str, int]:
    """Return how many rows each table of a part has."""
    found = (
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        if url is None
        else f"SELECT tablename FROM pg_tables WHERE schemaname = 'pdms_{part}'"
    )
    names = sorted(name for (name,) in ask(home, part, found, url=url))
    return {name: ask(home, part, f'SELECT count(*) FROM "{name}"', url=url)[0][0] for name in names}


def columns(home: Path, part: str, *, url: str | None = None) -> list[Any]:
    """Return what a part's tables look like."""
    if url is None:
        return ask(home, part, "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY sql")
    seen = (
        "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns WHERE table_schema = ?"
    )
    return ask(home, part, f"{seen} ORDER BY 1, 2", (f"pdms_{part}",), url=url)


def values(home: Path, *, url: str | None = None) -> bytes:
    """Return every value of every row of a home."""
    found: list[bytes] = []
    for part in ("vault", "keys", "held", "anon"):
        for name in tables(home, part, url=url):
            for row in ask(home, part, f'SELECT * FROM "{name}"', url=url):
                found += [bytes(one) if isinstance(one, bytes | memoryview) else str(one).encode() for one in row]
    return b"\n".join(found)
