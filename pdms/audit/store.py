"""Reading and writing the log's rows in bulk, by SQL that SQLite and PostgreSQL both understand.

Guarantee: nothing here commits, and nothing here decides; each function is one statement or a loop over one. Statements
go straight to the driver, since SQLAlchemy's own processing of parameters would cost more than the whole tree.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, cast

from sqlalchemy import Connection, CursorResult
from sqlmodel import Session

from pdms.audit.merkle import NodeReader
from pdms.audit.tables import ERA_BITS
from pdms.audit.tiles import TileKey, node_reader, tiles_for
from pdms.db import Lock, alone, beside, fetch_here, insert_rows, on_postgres
from pdms.errors import IntegrityBroken

READ_ROWS = 4096
NO_END = 1 << 62
_TILES_A_QUERY = 64
_INSERT = "INSERT INTO audit_event (event_id, kind, at, member_id, purpose, leaf, leaf_salt, body) VALUES "
_MARKS = "(?, ?, ?, ?, ?, ?, ?, ?)"
_ROWS_A_STATEMENT = 64
"""On SQLite: starting a statement costs as much as a third of storing a row."""
_MEMBER = "member_id = ?"
_MEMBER_BY_ERA = (
    "seq IN (WITH RECURSIVE era(number) AS (SELECT 0 UNION ALL SELECT number + 1 FROM era"
    f" WHERE number < (SELECT MAX(seq) >> {ERA_BITS} FROM audit_event))"
    f" SELECT e.seq FROM era CROSS JOIN audit_event e WHERE e.seq >> {ERA_BITS} = era.number AND e.member_id = ?)"
)
_COPY_FROM = 8
"""Events from which a bulk path pays."""
_EVENT = (
    ("event_id", "bytea"), ("kind", "text"), ("at", "int8"), ("member_id", "bytea"), ("purpose", "text"),
    ("leaf", "bytea"), ("leaf_salt", "bytea"), ("body", "bytea"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive rows that are consecutive leaves."""

    first_leaf: int
    first_seq: int
    length: int


@dataclass(frozen=True, slots=True)
class Runs:
    """All runs; finds a row's leaf. `size` is the number of leaves."""

    by_seq: tuple[Run, ...]
    size: int

    def leaf_of(self, seq: int) -> int | None:
        """Return the leaf index of a row, None where the tree does not know it yet."""
        at = bisect_right(self.by_seq, seq, key=lambda run: run.first_seq) - 1
        if at < 0 or seq >= self.by_seq[at].first_seq + self.by_seq[at].length:
            return None
        return self.by_seq[at].first_leaf + seq - self.by_seq[at].first_seq

    def by_leaf(self) -> list[Run]:
        """Return the runs in the order of the leaves."""
        return sorted(self.by_seq, key=lambda run: run.first_leaf)

    def outside(self) -> Iterator[tuple[int, int | None]]:
        """Yield the row ranges `[first, end)` that no run covers; the last has no end.

        The gaps are rows of transactions that were open while later ones were sequenced (PostgreSQL), or never were.
        """
        after = 0
        for run in self.by_seq:
            if run.first_seq > after + 1:
                yield after + 1, run.first_seq
            after = run.first_seq + run.length - 1
        yield after + 1, None


def sql(session: Session, statement: str, parameters: Any = ()) -> CursorResult[Any]:
    """Run a statement with `?` marks; a list of tuples runs it once for each."""
    connection: Connection = session.connection()
    return connection.exec_driver_sql(statement, parameters)


def rows(session: Session, statement: str, parameters: Any = ()) -> list[tuple[Any, ...]]:
    """Run a query with `?` marks and return all its rows; who reads much asks for it in batches."""
    return fetch_here(session.connection(), statement, parameters)


def of_member(session: Session, member_id: bytes) -> tuple[str, tuple[bytes]]:
    """Return the condition that an event concerns a member, and what to bind; on SQLite it asks each era's index."""
    return (_MEMBER if on_postgres(session.connection()) else _MEMBER_BY_ERA), (member_id,)


def lock(session: Session) -> None:
    """Become the only sequencer until the transaction ends.

    The session must not have read before: SQLite begins with the write lock, or takes it by this first write.
    """
    connection = session.connection()
    if on_postgres(connection):
        alone(connection, Lock.SEQUENCER)
    else:
        sql(session, "DELETE FROM audit_tile WHERE level < 0")


def insert_events(session: Session, rows: list[tuple[Any, ...]]) -> None:
    """Add rows (event_id, kind, at, member_id, purpose, leaf, leaf_salt, body)."""
    connection = session.connection()
    beside(connection, Lock.NUMBERS)
    if on_postgres(connection) and len(rows) >= _COPY_FROM:
        insert_rows(connection, "audit_event", _EVENT, rows)
        return
    whole = 0 if on_postgres(connection) else len(rows) - len(rows) % _ROWS_A_STATEMENT
    if whole:
        flat = [tuple(chain.from_iterable(rows[n : n + _ROWS_A_STATEMENT])) for n in range(0, whole, _ROWS_A_STATEMENT)]
        sql(session, _INSERT + ", ".join([_MARKS] * _ROWS_A_STATEMENT), flat)
    if whole < len(rows):
        sql(session, _INSERT + _MARKS, rows[whole:])


def read_runs(session: Session) -> Runs:
    """Return all runs; on SQLite there is one, however long the log."""
    found = rows(session, "SELECT first_leaf, first_seq, length FROM audit_run ORDER BY first_seq")
    runs = tuple(Run(*numbers) for numbers in found)
    return Runs(runs, sum(run.length for run in runs))


def add_run(session: Session, *, first_leaf: int, first_seq: int, length: int) -> None:
    """Note that rows became leaves, by lengthening the run before where they follow on from it."""
    lengthened = sql(
        session,
        "UPDATE audit_run SET length = length + ? WHERE first_leaf + length = ? AND first_seq + length = ?",
        (length, first_leaf, first_seq),
    )
    if lengthened.rowcount == 0:
        sql(
            session,
            "INSERT INTO audit_run (first_leaf, first_seq, length) VALUES (?, ?, ?)",
            (first_leaf, first_seq, length),
        )


def leaves_between(session: Session, first: int, end: int | None) -> Iterator[list[tuple[int, bytes]]]:
    """Yield batches of (seq, leaf digest) of the rows `[first, end)` in order."""
    while True:
        batch = rows(
            session,
            "SELECT seq, leaf FROM audit_event WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT ?",
            (first, NO_END if end is None else end, READ_ROWS),
        )
        if not batch:
            return
        yield cast("list[tuple[int, bytes]]", batch)
        if len(batch) < READ_ROWS:
            return
        first = batch[-1][0] + 1


def write_tiles(session: Session, tiles: dict[TileKey, bytes]) -> None:
    """Store tiles, over those they replace."""
    sql(
        session,
        "INSERT INTO audit_tile (level, position, digests) VALUES (?, ?, ?)"
        " ON CONFLICT (level, position) DO UPDATE SET digests = excluded.digests",
        [(level, position, digests) for (level, position), digests in tiles.items()],
    )


def read_tiles(session: Session, keys: Iterable[TileKey]) -> dict[TileKey, bytes]:
    """Return the stored ones among `keys`."""
    wanted = list(keys)
    found: dict[TileKey, bytes] = {}
    for start in range(0, len(wanted), _TILES_A_QUERY):
        part = wanted[start : start + _TILES_A_QUERY]
        # OR, not a list of row values: SQLite then scans the whole table instead of its key.
        where = " OR ".join(["level = ? AND position = ?"] * len(part))
        stored = rows(
            session,
            f"SELECT level, position, digests FROM audit_tile WHERE {where}",
            tuple([number for key in part for number in key]),
        )
        found.update({(level, position): digests for level, position, digests in stored})
    return found


def nodes_over(session: Session, ranges: Sequence[tuple[int, int]]) -> NodeReader:
    """Return a reader of the digests that `ranges` of leaves need, all fetched by one query.

    :raises IntegrityBroken: TILE_MISSING, on reading, where the stored tree has a hole.
    """
    tiles = read_tiles(session, tiles_for(ranges))

    def tile(key: TileKey) -> bytes:
        try:
            return tiles[key]
        except KeyError:
            raise IntegrityBroken("audit tree: a tile is missing", code="TILE_MISSING") from None

    return node_reader(tile)
