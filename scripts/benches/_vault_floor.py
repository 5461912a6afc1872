"""What the driver alone takes for the rows of the vault (`vault.py`): read back as stored, and put into like tables.

SQLite: plain `executemany`, a row a statement, into empty tables of the same definition, in two files opened alike, in
the order in which pdms wrote them, committed once each. PostgreSQL: the bytes of a binary COPY of each table, put into
an empty table like it in one COPY, so that nothing is made of rows in Python at all. A look-up: its two statements on
the same files, by digests that were computed before; nothing is opened.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pdms.bootstrap.app import App
from pdms.db import begin, open_engine
from pdms.db.bases import KeysTable, MainTable
from pdms.keystore.store import _SELECT_BOTH as KEY_ASKED
from pdms.unit_of_work import UnitOfWork
from pdms.vault.looking import _FOUND as MEMBER_ASKED
from pdms.vault.sealing import Indexes

TABLES = ("external_index", "member", "sealed_member", "blind_index")
KEYS = "member_key"


def in_files(app: App, folder: Path, rows: int, timed: Callable[[Callable[[], Any]], float]) -> float:
    """Return CPU microseconds a member; of the `rows` members who were stored last, into tables that hold as many."""
    main, keys = open_engine(folder / "same-vault.db"), open_engine(folder / "same-keys.db")
    MainTable.metadata.create_all(main, tables=[MainTable.metadata.tables[name] for name in TABLES])
    KeysTable.metadata.create_all(keys, tables=[KeysTable.metadata.tables[KEYS]])
    with begin(app.main, read_only=True) as session:
        run = session.connection().exec_driver_sql
        last = run("SELECT max(row_no) FROM member").scalar_one()
        halves = []
        for first in (last - 2 * rows + 1, last - rows + 1):
            part = (first, first + rows - 1)
            ids = [row[0] for row in run("SELECT member_id FROM member WHERE row_no BETWEEN ? AND ?", part)]
            found = {
                name: [
                    tuple(row) for row in run(f"SELECT * FROM {name} WHERE row_no BETWEEN ? AND ? ORDER BY 1, 2", part)
                ]
                for name in TABLES
            }
            halves.append((found, ids))
    with begin(app.keys.engine, read_only=True) as session:
        run = session.connection().exec_driver_sql
        wrapped = {row[0]: tuple(row) for row in run(f"SELECT * FROM {KEYS}")}

    def store(found: dict[str, list[tuple[Any, ...]]], own: list[tuple[Any, ...]]) -> None:
        places = [main.raw_connection(), keys.raw_connection()]
        try:
            cursors = [place.cursor() for place in places]
            for cursor in cursors:
                cursor.execute("BEGIN IMMEDIATE")
            for cursor, name, some in [(cursors[1], KEYS, own), *((cursors[0], n, found[n]) for n in TABLES)]:
                cursor.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(some[0]))})", some)
            for cursor in reversed(cursors):
                cursor.execute("COMMIT")
        finally:
            for place in places:
                place.close()

    used = 0.0
    for found, ids in halves:  # the first half warms up and is there when the second comes
        own = sorted(wrapped[one] for one in ids)
        used = timed(lambda: store(found, own))  # noqa: B023
    main.dispose()
    keys.dispose()
    return used / rows * 1e6


@contextmanager
def look_up_in_files(app: App, uow: UnitOfWork, phones: Sequence[str]) -> Iterator[Callable[[str], Any]]:
    """Give what asks both databases for one of these phones, as the driver has it."""
    indexes = Indexes(uow.keys, uow.policy)
    code, digests = indexes.code_of["phone"], dict(zip(phones, indexes.digests("phone", phones), strict=True))
    main, keys = app.main.raw_connection(), app.keys.engine.raw_connection()
    ask, ask_keys = main.driver_connection.execute, keys.driver_connection.execute  # type: ignore[union-attr] # they are open
    ask("BEGIN")  # as a unit does

    def look_up(phone: str) -> Any:
        ((member_id, *_),) = ask(MEMBER_ASKED, (code, digests[phone])).fetchall()
        return ask_keys(KEY_ASKED, (member_id,)).fetchall()

    try:
        yield look_up
    finally:
        ask("ROLLBACK")
        main.close()
        keys.close()


def in_postgres(server: Any, timed: Callable[[Callable[[], Any]], float]) -> float:
    """Return CPU microseconds a member, client and server; of all members there are."""
    import psycopg

    with psycopg.connect(server.url) as link:
        places = [*(f"pdms_vault.{name}" for name in TABLES), f"pdms_keys.{KEYS}"]
        stored: dict[str, bytes] = {}
        for place in places:
            link.execute(f"CREATE TABLE like_{place.partition('.')[2]} (LIKE {place} INCLUDING INDEXES)")
            with link.cursor().copy(f"COPY {place} TO STDOUT (FORMAT BINARY)") as copy:
                stored[place] = b"".join(bytes(piece) for piece in copy)
        found = link.execute("SELECT count(*) FROM pdms_vault.member").fetchone()
        link.commit()

        def store() -> None:
            for place, body in stored.items():
                statement = f"COPY like_{place.partition('.')[2]} FROM STDIN (FORMAT BINARY)"
                with link.cursor().copy(statement) as copy:
                    for at in range(0, len(body), 1 << 20):
                        copy.write(body[at : at + (1 << 20)])
                link.commit()

        return timed(store) / (found[0] if found else 1) * 1e6
