"""Was an old table taken over rightly? It is read again, and compared with what the vault holds; counts come out.

Guarantees: the same reader, mapping and normalisation as the take-over, so that alike means alike under one rule; the
vault's values are opened under a Permit of the purpose named, decided anew for the members of each page; no value, row
number or member is in the result. It changes nothing: what differs is caught up by running the take-over again.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pdms.audit.catalogue import EventKind
from pdms.audit.events import Outcome as EventOutcome
from pdms.db.outside import open_outside
from pdms.errors import InvalidInput
from pdms.gate import service as gate
from pdms.ingest.kind import column_name, no_repeats
from pdms.ingest.load import BATCH_ROWS, Progress, content_id, source_of
from pdms.ingest.mapping import FIELD, KEY_MEMBER, Batch, Binding, bind
from pdms.ingest.members import REFUSED
from pdms.ingest.readers import RawBatch
from pdms.ingest.seen import KeysSeen
from pdms.ingest.table_reader import TableReader, describe
from pdms.taxonomy import Scope
from pdms.unit_of_work import UnitFactory, UnitOfWork
from pdms.vault import service as vault

ACCURACY: Final = "accuracy"
"""Purpose of the starter policy under which values are compared (PIPL-8)."""


@dataclass(frozen=True, slots=True)
class Verification:
    """Rows of the old table by what the vault says of them; each row is counted once in the first block."""

    source: str
    system: str
    purpose: str
    content: str
    """Names table, source and policy without telling them: the loads of this table begin with it."""
    rows: int
    equal: int
    corrected: int
    """Alike but for what members had corrected in pdms since."""
    differing: int
    missing: int
    """Not held: new in the old system since, or never taken over."""
    rejected: Mapping[str, int]
    """Rule → rows that the take-over does not accept, erased members among them."""
    not_compared: int
    """Held, but the gate refuses to open them (restricted, for instance)."""
    broken: int
    """Held, but their values do not open."""

    by_field: Mapping[str, int]
    """Field → rows that differ in it."""
    refused_for: Mapping[str, int]
    """Reason of the gate → members not compared."""
    held_elsewhere: int
    """Living members of this system that no accepted row speaks of: deleted in the old system, or from other files."""
    table_rows: int
    """Rows of the table when the pass ended."""
    event_id: str

    @property
    def clean(self) -> bool:
        """Tell whether nothing differs, is missing or broken."""
        return not (self.differing or self.missing or self.broken)


def verify_table(
    units: UnitFactory,
    *,
    source: str,
    address: str,
    table: str,
    password: str | None = None,
    purpose: str = ACCURACY,
    batch_rows: int = BATCH_ROWS,
    progress: Progress | None = None,
) -> Verification:
    """Compare an old members table with the vault. Arguments as in `ingest_table`.

    :raises NotFound: no such source or table. :raises InvalidInput: not a source of members; the table cannot be read.
    :raises Denied: the policy does not allow the comparison under `purpose`.
    """
    if batch_rows < 1:
        raise InvalidInput("batch_rows: at least 1")
    with units() as uow:
        uow.require(Scope.INGEST)
        definition = source_of(uow, source)
        if definition.kind != "members":
            raise InvalidInput(f"source {source}: only tables of members are verified", code="WRONG_KIND")
        described = describe(open_outside(address, password=password), table)
        binding = bind(uow.policy, definition, described.columns, now=uow.now, what="table")
        reader = TableReader(described, [one.column for one in binding.bound if one.column])
        content = content_id(uow, described.content, source)
        total = reader.count()
    work = _Pass(binding, purpose)
    read = 0
    for raw in reader.batches(size=batch_rows):
        with units() as uow:
            work.page(uow, raw)
        read += raw.read
        if progress is not None:
            progress(read, total)
    with units() as uow:
        return work.done(uow, content=content, rows=read, table_rows=reader.count())


class _Pass:
    """One pass over a table."""

    def __init__(self, binding: Binding, purpose: str) -> None:
        self._binding, self._source, self._purpose = binding, binding.source, purpose
        self._key = column_name(binding.source, KEY_MEMBER)
        self._seen = KeysSeen()
        self._counts: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._fields: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()

    def page(self, uow: UnitOfWork, raw: RawBatch) -> None:
        """Compare one page; its Permit is committed with the unit."""
        batch = self._binding.apply(raw)
        batch = no_repeats(batch, self._seen, batch.values[KEY_MEMBER], self._source, KEY_MEMBER)
        self._rejected.update(one.rule for one in batch.rejected)
        members = _members(batch)
        found = vault.standing(uow, members, system=self._source.system)
        self._rejected.update(REFUSED[one] for one in found.refused.values())
        self._counts["living"] += len(found.living)
        self._counts["missing"] += len(batch) - len(found.living) - len(found.refused)
        if not found.living:
            return
        permit, decided = gate.compare_permit(
            uow, purpose=self._purpose, fields=tuple(members.fields), among=list(found.living.values())
        )
        self._reasons.update(decided.excluded)
        self._counts["not_compared"] += len(found.living) - len(decided.member_ids)
        result = vault.compare_batch(uow, permit, members, found, permitted=set(decided.member_ids))
        self._fields.update(result.by_field)
        for name in ("equal", "corrected", "differing", "broken"):
            self._counts[name] += getattr(result, name)

    def done(self, uow: UnitOfWork, *, content: str, rows: int, table_rows: int) -> Verification:
        """Record the outcome and return it."""
        counts = self._counts
        elsewhere = max(0, vault.count_of(uow, system=self._source.system) - counts["living"])
        numbers = {name: counts[name] for name in ("equal", "corrected", "differing", "missing", "broken")}
        numbers |= {"rows": rows, "rejected": self._rejected.total(), "not_compared": counts["not_compared"]}
        clean = not (counts["differing"] or counts["missing"] or counts["broken"])
        event_id = uow.record(
            EventKind.INGEST_VERIFIED,
            purpose=self._purpose,
            outcome=EventOutcome.DONE if clean else EventOutcome.PARTIAL,
            refs={"load": content, "source": self._source.name},
            numbers=numbers | {"held_elsewhere": elsewhere},
        )
        return Verification(
            source=self._source.name,
            system=self._source.system,
            purpose=self._purpose,
            content=content,
            rows=rows,
            equal=counts["equal"],
            corrected=counts["corrected"],
            differing=counts["differing"],
            missing=counts["missing"],
            rejected=dict(self._rejected.most_common()),
            not_compared=counts["not_compared"],
            broken=counts["broken"],
            by_field=dict(self._fields.most_common()),
            refused_for=dict(self._reasons.most_common()),
            held_elsewhere=elsewhere,
            table_rows=table_rows,
            event_id=event_id,
        )


def _members(batch: Batch) -> vault.MemberBatch:
    columns = {t.removeprefix(FIELD): column for t, column in batch.values.items() if t.startswith(FIELD)}
    registered: Sequence[object] | None = batch.values.get("registered_at")
    return vault.MemberBatch(batch.values[KEY_MEMBER], columns, registered)  # type: ignore[arg-type]  # instants, as `values` made them
