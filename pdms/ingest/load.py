"""Loading one file, batch by batch.

Guarantees: everything that would refuse the file whole is found before anything is stored. Each batch is one unit: its
members or consents, its progress, its rejected rows and its events commit together; facts go before, under the name of
load and batch, so that a batch that is run again replaces what a killed run left. A load that was killed goes on where
it stood when the same file comes again; a finished one runs anew and finds nothing to change. No file name and no value
is kept or logged.
"""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pdms.audit.catalogue import EventKind
from pdms.audit.events import Outcome as EventOutcome
from pdms.crypto import BlindIndex, derive
from pdms.errors import InvalidInput, NotFound
from pdms.facts import service as facts
from pdms.facts.names import FactTable
from pdms.ingest import progress as records
from pdms.ingest.commerce import Events, Interactions, Orders
from pdms.ingest.consents import Consents
from pdms.ingest.inspect import Inspection, inspect
from pdms.ingest.kind import Kind
from pdms.ingest.mapping import Batch, Binding, bind
from pdms.ingest.members import Members
from pdms.ingest.order_lines import OrderLines
from pdms.ingest.progress import Load
from pdms.ingest.readers import Rejected, batches
from pdms.ingest.report import check_outside, write_rejected
from pdms.policy.definitions import Source
from pdms.settings import Home
from pdms.taxonomy import Scope
from pdms.unit_of_work import UnitFactory, UnitOfWork

BATCH_ROWS: Final = 20_000
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
) -> IngestReport:
    """Load a file of a source.

    :param source: name of a definition in `policies/sources/`. :param batch_rows: records of one unit.
    :param rejected_rows: where to write the rejected rows whole (mode 0600); outside the home, not existing yet.
    :raises NotFound: no such file or source. :raises InvalidInput: the file is refused whole; nothing was stored.
    :raises Conflict: the file changes, or another run loads it at this moment.
    """
    if batch_rows < 1:
        raise InvalidInput("batch_rows: at least 1")
    with units() as uow:
        uow.require(Scope.INGEST)
        definition = uow.policy.sources.get(source)
        if definition is None:
            raise NotFound(f"source {source}: the policy has none of that name")
        if rejected_rows is not None:
            check_outside(rejected_rows, uow.home)
        home = uow.home
        found = inspect(path)
        binding = bind(uow.policy, definition, found.columns, now=uow.now)
        load = records.begin_load(
            uow, definition, content=_content_id(uow, found, source), rows=found.rows, size=batch_rows
        )
        if not load.resumed:
            uow.record(EventKind.INGEST_STARTED, refs=_refs(load), numbers={"rows": found.rows})
    done = _store_all(units, path, found, binding, load, progress)
    _merge_parts(home, done.tables)
    report = _report(units, load)
    if rejected_rows is not None:
        with units() as uow:
            write_rejected(rejected_rows, path, found, rows=_all_rejected(uow, load.load_id))
    return report


def _merge_parts(home: Home, tables: Sequence[FactTable]) -> None:
    """Merge what loads left once it is many files: a merge costs as much for one part as for fifty."""
    full = [table for table in tables if len(list((home.facts / table / "incoming").glob("*.parquet"))) >= MERGE_AT]
    if full:
        facts.compact(home, tables=full)


def _content_id(uow: UnitOfWork, found: Inspection, source: str) -> str:
    """Return the keyed digest of content, source and policy, 32 hex digits."""
    index = BlindIndex(derive(uow.keys.system_key("row-digest"), "ingest:load-id"))
    return index.digest(found.digest + source.encode() + b"\0" + uow.policy.digest.encode())[:16].hex()


def _store_all(
    units: UnitFactory, path: Path, found: Inspection, binding: Binding, load: Load, progress: Progress | None
) -> Kind:
    kind = KINDS[binding.source.kind](binding.source, load.load_id)
    count, read = 0, 0
    reading = batches(path, found, batch_rows=load.batch_rows)
    while True:
        with _collector_resting():
            raw = next(reading, None)
            if raw is None:
                break
            _store(units, kind, binding.apply(raw), load)
        count, read = raw.number + 1, read + raw.read
        if progress is not None:
            progress(read, found.rows)
    with units() as uow:
        records.check_turn(uow, load.load_id, number=count)
        kind.finish(uow, count)
        totals = records.finish_load(uow, load.load_id)
        uow.record(EventKind.INGEST_FINISHED, refs=_refs(load), numbers=totals)
    return kind


def _store(units: UnitFactory, kind: Kind, batch: Batch, load: Load) -> None:
    """Store one batch in a unit of its own, or pass what an earlier run stored."""
    with units() as uow:
        write = batch.number >= load.next_batch
        if write:
            records.check_turn(uow, load.load_id, number=batch.number)
        stored = kind.store(uow, batch, write=write)
        if write:
            records.add_batch(uow, load.load_id, number=batch.number, read=batch.read, stored=stored)
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
