"""The records of loads: how far each came, what was rejected. Row numbers, fields and rules; never values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import col, func, select

from pdms.db import member_alone
from pdms.errors import Conflict, NotFound
from pdms.ingest.kind import Stored
from pdms.ingest.readers import Rejected
from pdms.ingest.tables import LoadTable, RejectedRowTable
from pdms.policy.definitions import Source
from pdms.taxonomy import Scope
from pdms.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Load:
    """A load that is about to go on."""

    load_id: str
    """`<32 hex digits>-<run>`."""
    source: str
    batch_rows: int
    next_batch: int
    resumed: bool
    read: int = 0
    position: bytes | None = field(default=None, repr=False)
    """Sealed."""


@dataclass(frozen=True, slots=True)
class LoadInfo:
    """One load, as recorded."""

    load_id: str
    source: str
    kind: str
    rows: int
    read: int
    created: int
    updated: int
    unchanged: int
    accepted: int
    rejected: int
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class LoadTotals:
    """A load and its rejections counted by rule."""

    info: LoadInfo
    by_rule: Mapping[str, int]


def begin_load(uow: UnitOfWork, source: Source, *, content: str, rows: int, size: int) -> Load:
    """Return the unfinished load of this content, or begin a new run of it."""
    member_alone(uow.session.connection(), [bytes.fromhex(content)])  # the same file at once: one load, not two
    runs = uow.session.exec(select(LoadTable).where(col(LoadTable.load_id).startswith(f"{content}-"))).all()
    for run in runs:
        if run.finished_at is None:
            return Load(run.load_id, run.source, run.batch_rows, run.next_batch, True, run.read, run.position)
    row = LoadTable(
        load_id=f"{content}-{len(runs) + 1}",
        source=source.name,
        kind=source.kind,
        batch_rows=size,
        rows=rows,
        next_batch=0,
        started_at=uow.now,
    )
    uow.session.add(row)
    uow.session.flush()
    return Load(row.load_id, source.name, size, 0, resumed=False)


def check_turn(uow: UnitOfWork, load_id: str, *, number: int) -> None:
    """Take the write lock and see that this batch is the next one.

    :raises Conflict: LOAD_RUNNING: another run of the same load stored it meanwhile.
    """
    row = _row(uow, load_id)
    if row.next_batch != number or row.finished_at is not None:
        raise Conflict("load: another run over the same file goes on at this moment", code="LOAD_RUNNING")


def add_batch(
    uow: UnitOfWork, load_id: str, *, number: int, read: int, stored: Stored, position: bytes | None = None
) -> None:
    """Record a batch in the unit that stores it. :param position: where a table's reading goes on, sealed."""
    row = _row(uow, load_id)
    row.next_batch = number + 1
    row.position = position
    row.read += read
    row.created += stored.created
    row.updated += stored.updated
    row.unchanged += stored.unchanged
    row.accepted += stored.accepted
    row.rejected += len(stored.rejected)
    uow.session.add(row)
    uow.session.flush()
    if stored.rejected:
        uow.session.connection().exec_driver_sql(
            "INSERT INTO ingest_rejected (load_id, row, field, rule) VALUES (?, ?, ?, ?)",
            [(load_id, one.row, one.field, one.rule) for one in stored.rejected],
        )


def finish_load(uow: UnitOfWork, load_id: str) -> dict[str, int]:
    """Mark a load as finished; return its counts."""
    row = _row(uow, load_id)
    row.finished_at = uow.now
    uow.session.add(row)
    uow.session.flush()
    return {
        "read": row.read,
        "accepted": row.accepted,
        "rejected": row.rejected,
        "created": row.created,
        "updated": row.updated,
    }


def loads(uow: UnitOfWork, *, limit: int = 100) -> tuple[LoadInfo, ...]:
    """Return the latest loads, newest first; one without `finished_at` was interrupted."""
    uow.require(Scope.INGEST, Scope.COMPLIANCE)
    rows = uow.session.exec(
        select(LoadTable).order_by(col(LoadTable.started_at).desc(), col(LoadTable.load_id)).limit(limit)
    )
    return tuple(_info(row) for row in rows)


def runs_of(uow: UnitOfWork, content: str) -> tuple[LoadInfo, ...]:
    """Return the runs over one content, in the order in which they began."""
    uow.require(Scope.INGEST, Scope.COMPLIANCE)
    rows = uow.session.exec(select(LoadTable).where(col(LoadTable.load_id).startswith(f"{content}-"))).all()
    return tuple(_info(row) for row in sorted(rows, key=lambda row: int(row.load_id.rpartition("-")[2])))


def rejected(uow: UnitOfWork, *, load_id: str, after: int = 0, limit: int = 1000) -> tuple[Rejected, ...]:
    """Return rejected rows of a load in order of row, those after row `after`."""
    uow.require(Scope.INGEST, Scope.COMPLIANCE)
    rows = uow.session.exec(
        select(RejectedRowTable)
        .where(RejectedRowTable.load_id == load_id, RejectedRowTable.row > after)
        .order_by(col(RejectedRowTable.row))
        .limit(limit)
    )
    return tuple(Rejected(row.row, row.field, row.rule) for row in rows)


def rules_of(uow: UnitOfWork, load_id: str) -> LoadTotals:
    """Return a load with its rejections by rule, most frequent first. :raises NotFound: no such load."""
    row = uow.session.get(LoadTable, load_id)
    if row is None:
        raise NotFound("load: none of that id")
    counted = uow.session.exec(
        select(RejectedRowTable.rule, func.count())
        .where(RejectedRowTable.load_id == load_id)
        .group_by(RejectedRowTable.rule)
        .order_by(func.count().desc(), RejectedRowTable.rule)
    )
    return LoadTotals(_info(row), dict(counted.all()))


def _row(uow: UnitOfWork, load_id: str) -> LoadTable:
    row = uow.session.get(LoadTable, load_id, with_for_update=True)
    if row is None:
        raise NotFound("load: none of that id")
    return row


def _info(row: LoadTable) -> LoadInfo:
    return LoadInfo(
        row.load_id, row.source, row.kind, row.rows, row.read, row.created, row.updated, row.unchanged,
        row.accepted, row.rejected, row.started_at, row.finished_at,
    )  # fmt: skip
