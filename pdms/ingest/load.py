"""Loading one file or one existing table, batch by batch.

Guarantees: everything that would refuse the source whole is found before anything is stored. Each batch is one unit:
its members or consents, its progress, its rejected rows and its events commit together; facts go before, under the name
of load and batch, so that a batch that is run again replaces what a killed run left. A load that was killed goes on
where it stood when the same source comes again; a finished one runs anew and finds nothing to change. No file name, no
value and no address of a database is kept or logged.
"""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pdms.audit.catalogue import EventKind
from pdms.audit.events import Outcome as EventOutcome
from pdms.crypto import BlindIndex, Unprintable, derive, open_blob, seal_blob
from pdms.db.outside import open_outside
from pdms.errors import InvalidInput, NotFound
from pdms.facts import service as facts
from pdms.facts.names import FactTable
from pdms.ingest import progress as records
from pdms.ingest.commerce import Events, Interactions, Orders
from pdms.ingest.consents import Consents
from pdms.ingest.inspect import inspect
from pdms.ingest.kind import Declined, Kind
from pdms.ingest.mapping import Batch, Binding, bind
from pdms.ingest.members import Members
from pdms.ingest.order_lines import OrderLines
from pdms.ingest.progress import Load
from pdms.ingest.readers import RawBatch, Rejected, batches
from pdms.ingest.report import check_outside, write_rejected
from pdms.ingest.table_reader import TableReader, describe
from pdms.policy.definitions import Source
from pdms.settings import Home
from pdms.taxonomy import Scope
from pdms.unit_of_work import UnitFactory, UnitOfWork

BATCH_ROWS: Final = 40_000
"""Records of one unit. Once indexes are large a batch writes most of their pages anew, however few rows it brings; one
still larger takes more memory and keeps other writers of an SQLite file waiting for longer than some seconds."""
MERGE_AT: Final = 32
"""Unmerged parts of a fact table after which a load merges them."""
SHOWN: Final = 1000
"""Rejections that a report lists; the rest is read page by page."""

Progress = Callable[[int, int], None]
"""Called with rows done and rows of the file."""

KINDS: Final[Mapping[str, Callable[[Source, str], Kind]]] = {
    "members": Members,
    "orders": Orders,
    "order_lines": OrderLines,
    "events": Events,
    "interactions": Interactions,
    "consents": Consents,
}


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What became of a file. `created`, `updated` and `unchanged` count members."""

    load_id: str
    source: str
    kind: str
    resumed: bool
    """A killed run had begun it."""
    read: int
    accepted: int
    rejected: int
    created: int
    updated: int
    unchanged: int
    by_rule: Mapping[str, int]
    rejections: tuple[Rejected, ...]
    """The first of them."""


def ingest(
    units: UnitFactory,
    *,
    source: str,
    path: Path,
    batch_rows: int = BATCH_ROWS,
    progress: Progress | None = None,
    rejected_rows: Path | None = None,
    declined: Declined | None = None,
) -> IngestReport:
    """Load a file of a source.

    :param source: name of a definition in `policies/sources/`. :param batch_rows: records of one unit.
    :param declined: what follows from each no in a file of consents, which `rights.ingest` gives; without it such a
        batch is refused.
    :param rejected_rows: where to write the rejected rows whole (mode 0600); outside the home, not existing yet.
    :raises NotFound: no such file or source. :raises InvalidInput: the file is refused whole; nothing was stored.
    :raises Conflict: the file changes, or another run loads it at this moment.
    """
    if batch_rows < 1:
        raise InvalidInput("batch_rows: at least 1")
    with units() as uow:
        uow.require(Scope.INGEST)
        definition = source_of(uow, source)
        if rejected_rows is not None:
            check_outside(rejected_rows, uow.home)
        found = inspect(path)
        binding = bind(uow.policy, definition, found.columns, now=uow.now)
        load = _begin(uow, definition, content=found.digest, rows=found.rows, size=batch_rows)
    reading = batches(path, found, batch_rows=load.batch_rows)
    report = _run(units, reading, binding, load, rows=found.rows, progress=progress, declined=declined)
    if rejected_rows is not None:
        with units() as uow:
            write_rejected(rejected_rows, path, found, rows=_all_rejected(uow, load.load_id))
    return report


def ingest_table(
    units: UnitFactory,
    *,
    source: str,
    address: str,
    table: str,
    password: str | None = None,
    batch_rows: int = BATCH_ROWS,
    progress: Progress | None = None,
    declined: Declined | None = None,
) -> IngestReport:
    """Take over a table of an existing database. Run again, it takes only what changed meanwhile.

    :param address: SQLAlchemy URL. :param table: `NAME` or `SCHEMA.NAME`; it needs a key.
    :param password: of the account; the URL holds none. :param declined: as `ingest`.
    :raises NotFound: no such source, file or table. :raises InvalidInput: the table is refused whole, nothing was
        stored; or the database failed on the way, and the next run goes on. :raises Conflict: another run loads it.
    """
    if batch_rows < 1:
        raise InvalidInput("batch_rows: at least 1")
    with units() as uow:
        uow.require(Scope.INGEST)
        definition = source_of(uow, source)
        described = describe(open_outside(address, password=password), table)
        binding = bind(uow.policy, definition, described.columns, now=uow.now, what="table")
        reader = TableReader(described, [one.column for one in binding.bound if one.column])
        rows = reader.count()
        load = _begin(uow, definition, content=described.content, rows=rows, size=batch_rows)
        places = Places(uow.keys.system_key("row-digest"), load.load_id)
    stored = places.opened(load.position) if load.position is not None else None
    reading = reader.batches(size=load.batch_rows, first=load.next_batch, read=load.read, stored=stored)
    return _run(units, reading, binding, load, rows=rows, progress=progress, places=places, declined=declined)


def source_of(uow: UnitOfWork, name: str) -> Source:
    """Return a source definition. :raises NotFound: the policy has none of that name."""
    definition = uow.policy.sources.get(name)
    if definition is None:
        raise NotFound(f"source {name}: the policy has none of that name")
    return definition


class Places(Unprintable):
    """Seals where a table's reading stands: the key of a row may be a person's own number."""

    def __init__(self, key: bytes, load_id: str) -> None:
        self._key, self._context = derive(key, "ingest:position"), load_id.encode()

    def sealed(self, position: bytes) -> bytes:
        """Return a position as it is stored."""
        return seal_blob(self._key, position, context=self._context)

    def opened(self, stored: bytes) -> bytes:
        """Return a stored position. :raises IntegrityBroken: it was altered, or belongs to another load."""
        return open_blob(self._key, stored, context=self._context)


def _begin(uow: UnitOfWork, source: Source, *, content: bytes, rows: int, size: int) -> Load:
    load = records.begin_load(uow, source, content=content_id(uow, content, source.name), rows=rows, size=size)
    if not load.resumed:
        uow.record(EventKind.INGEST_STARTED, refs=_refs(load), numbers={"rows": rows})
    return load


def _run(
    units: UnitFactory,
    reading: Iterator[RawBatch],
    binding: Binding,
    load: Load,
    *,
    rows: int,
    progress: Progress | None,
    places: Places | None = None,
    declined: Declined | None,
) -> IngestReport:
    kind = KINDS[binding.source.kind](binding.source, load.load_id)
    _store_all(units, reading, binding, load, kind, rows=rows, progress=progress, places=places, declined=declined)
    with units() as uow:
        home = uow.home
    _merge_parts(home, kind.tables)
    return _report(units, load)


def _merge_parts(home: Home, tables: Sequence[FactTable]) -> None:
    """Merge what loads left once it is many files: a merge costs as much for one part as for fifty."""
    full = [table for table in tables if len(list((home.facts / table / "incoming").glob("*.parquet"))) >= MERGE_AT]
    if full:
        facts.compact(home, tables=full)


def content_id(uow: UnitOfWork, content: bytes, source: str) -> str:
    """Return the keyed digest of content, source and policy, 32 hex digits."""
    index = BlindIndex(derive(uow.keys.system_key("row-digest"), "ingest:load-id"))
    return index.digest(content + source.encode() + b"\0" + uow.policy.digest.encode())[:16].hex()


def _store_all(
    units: UnitFactory,
    reading: Iterator[RawBatch],
    binding: Binding,
    load: Load,
    kind: Kind,
    *,
    rows: int,
    progress: Progress | None,
    places: Places | None,
    declined: Declined | None,
) -> None:
    # A file is read again from its beginning, a table only looked through (batches numbered −1).
    count = load.next_batch if places is not None else 0
    read = load.read if places is not None else 0
    while True:
        with _collector_resting():
            raw = next(reading, None)
            if raw is None:
                break
            position = places.sealed(raw.position) if places is not None else None
            _store(units, kind, binding.apply(raw), load, position, declined)
        if raw.number < 0:
            continue
        count, read = raw.number + 1, read + raw.read
        if progress is not None:
            progress(read, rows)
    with units() as uow:
        records.check_turn(uow, load.load_id, number=count)
        kind.finish(uow, count)
        totals = records.finish_load(uow, load.load_id)
        uow.record(EventKind.INGEST_FINISHED, refs=_refs(load), numbers=totals)


def _store(
    units: UnitFactory, kind: Kind, batch: Batch, load: Load, position: bytes | None, declined: Declined | None
) -> None:
    """Store one batch in a unit of its own, or pass what an earlier run stored."""
    with units() as uow:
        write = batch.number >= load.next_batch
        if write and isinstance(kind, Consents):
            uow.lock_anon_first()
        if write:
            records.check_turn(uow, load.load_id, number=batch.number)
        stored = kind.store(uow, batch, write=write)
        if stored.declined:
            if declined is None:
                raise TypeError("declined: what follows from a no is needed for a file of consents")
            declined(uow, stored.declined)
        if write:
            records.add_batch(uow, load.load_id, number=batch.number, read=batch.read, stored=stored, position=position)
            uow.record(
                EventKind.INGEST_BATCH,
                outcome=EventOutcome.PARTIAL if stored.rejected else EventOutcome.DONE,
                refs=_refs(load),
                numbers={"batch": batch.number, "accepted": stored.accepted, "rejected": len(stored.rejected)},
            )


@contextmanager
def _collector_resting() -> Iterator[None]:
    """Let the cycle collector rest while a batch is worked on.

    A batch is hundreds of thousands of short-lived tuples and no cycle; walking over them costs a fifth of a load.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _refs(load: Load) -> dict[str, str]:
    return {"load": load.load_id.partition("-")[0], "source": load.source}


def _report(units: UnitFactory, load: Load) -> IngestReport:
    with units() as uow:
        totals = records.rules_of(uow, load.load_id)
        listed = records.rejected(uow, load_id=load.load_id, limit=SHOWN)
    info = totals.info
    return IngestReport(
        load_id=load.load_id,
        source=info.source,
        kind=info.kind,
        resumed=load.resumed,
        read=info.read,
        accepted=info.accepted,
        rejected=info.rejected,
        created=info.created,
        updated=info.updated,
        unchanged=info.unchanged,
        by_rule=totals.by_rule,
        rejections=listed,
    )


def _all_rejected(uow: UnitOfWork, load_id: str) -> Iterator[Rejected]:
    after = 0
    while page := records.rejected(uow, load_id=load_id, after=after, limit=10_000):
        yield from page
        after = page[-1].row
