"""Storing members in bulk: new ones are minted and sealed, changed ones sealed anew, unchanged ones left alone.

Guarantees: keys are durable before the rows that need them; a row that says what it said last time writes nothing; a
field that a source does not speak of is kept; a correction outlives the old value of its source (PIPL-46); an erased
member does not come back by an old file (only by a registration later than the erasure).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from operator import itemgetter
from typing import Final, TypeVar

import msgspec
from sqlalchemy import Connection

from pdms.audit.catalogue import EventKind
from pdms.crypto import packed_set_digest
from pdms.db import Lock, alone, beside, one_of
from pdms.errors import IntegrityBroken, InvalidInput
from pdms.taxonomy import ID_BYTES, MemberId, MemberStatus, Pseudonym, Scope
from pdms.unit_of_work import UnitOfWork
from pdms.vault import suppressions
from pdms.vault.index_rotation import adopt_old
from pdms.vault.rows import CHUNK, lock_members, read_sealed
from pdms.vault.sealing import EXTERNAL, REGISTERED, FieldCodes, Indexes, open_member
from pdms.vault.writing import NewMembers, claim, create_members, release, write_member

_EXISTING = (
    "SELECT e.digest, m.row_no, m.member_id, m.pseudonym, m.status, s.source_digest"
    " FROM external_index e JOIN member m ON m.row_no = e.row_no JOIN sealed_member s ON s.row_no = m.row_no"
    " WHERE e.digest {}"
)

_TURNS: Final = 8
"""Questions until a row is known or entered: the second finds whom the first did not ask for; more would need others to
enter and to erase the same person in turns, meanwhile."""

T = TypeVar("T")
_encode_row = msgspec.msgpack.Encoder().encode


class Outcome(StrEnum):
    """What became of one row."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    SUPPRESSED = "suppressed"
    """Belongs to an erased member."""
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class MemberRow:
    """One member as a source tells of them. A field left out is not spoken of; "" says that it is empty."""

    external_id: str = field(repr=False)
    fields: Mapping[str, str] = field(repr=False)
    registered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MemberBatch:
    """Members by column, all lists of one length; values normalised, "" where empty."""

    external_ids: Sequence[str] = field(repr=False)
    fields: Mapping[str, Sequence[str]] = field(repr=False)
    registered_at: Sequence[datetime | None] | None = None


@dataclass(frozen=True, slots=True)
class UpsertResult:
    """What became of a batch; the lists follow its rows, ids are None where a row was refused."""

    outcomes: list[Outcome]
    member_ids: list[MemberId | None]
    pseudonyms: list[Pseudonym | None]
    merged: Mapping[int, Mapping[str, str]] = field(repr=False)
    """For updated rows: all fields as they stand now (other sources and corrections included)."""

    def count(self, outcome: Outcome) -> int:
        """Return how many rows ended so."""
        return self.outcomes.count(outcome)

    @property
    def created(self) -> int:
        """Members stored for the first time."""
        return self.count(Outcome.CREATED)

    @property
    def updated(self) -> int:
        """Members changed."""
        return self.count(Outcome.UPDATED)

    @property
    def unchanged(self) -> int:
        """Members already stored as the row says."""
        return self.count(Outcome.UNCHANGED)


@dataclass(frozen=True, slots=True)
class _Existing:
    row_no: int
    member_id: MemberId
    pseudonym: Pseudonym
    status: str
    source_digest: bytes


def upsert_members(uow: UnitOfWork, rows: Sequence[MemberRow], *, system: str) -> UpsertResult:
    """Store members given as rows; rows must speak of the same fields. For bulk work use `upsert_batch`.

    :raises InvalidInput: rows of different fields, a repeated or empty external id, a field the policy does not know.
    """
    names = list(rows[0].fields) if rows else []
    if any(row.fields.keys() != set(names) for row in rows):
        raise InvalidInput("members: the rows of one batch speak of the same fields", code="MIXED_FIELDS")
    batch = MemberBatch(
        [row.external_id for row in rows],
        {name: [row.fields[name] for row in rows] for name in names},
        [row.registered_at for row in rows],
    )
    return upsert_batch(uow, batch, system=system)


def upsert_batch(uow: UnitOfWork, batch: MemberBatch, *, system: str) -> UpsertResult:
    """Store a batch of members within the unit's transaction; the keys of new ones are committed before.

    :param system: namespace of the external ids.
    :raises InvalidInput: a repeated or empty external id, columns of unlike length, a field the policy does not know.
    """
    uow.require(Scope.INGEST)
    size = len(batch.external_ids)
    _check(uow, batch)
    if not size:
        return UpsertResult([], [], [], {})
    columns = dict(batch.fields)
    if batch.registered_at is not None and any(batch.registered_at):
        columns[REGISTERED] = registered_texts(batch.registered_at)
    work = Upsert(uow, system, list(batch.external_ids), columns, batch.registered_at)
    return work.run()


def registered_texts(instants: Sequence[datetime | None]) -> list[str]:
    """Return instants of registration as they are sealed."""
    texts = {at: at.astimezone(UTC).isoformat() if at else "" for at in set(instants)}
    return [texts[at] for at in instants]


def _check(uow: UnitOfWork, batch: MemberBatch) -> None:
    size = len(batch.external_ids)
    if any(len(column) != size for column in batch.fields.values()):
        raise InvalidInput("members: columns of unlike length", code="UNLIKE_LENGTHS")
    for name in batch.fields:
        if name not in uow.policy.fields:
            raise InvalidInput(f"members: the policy knows no field {name}", code="UNKNOWN_FIELD")
    if len(set(batch.external_ids)) != size:
        raise InvalidInput("members: an external id occurs twice in one batch", code="DUPLICATE_KEY")
    if not all(batch.external_ids):
        raise InvalidInput("members: an external id is empty", code="MISSING_KEY")


def _pick(values: Sequence[T], at: Sequence[int]) -> Sequence[T]:
    """Return the values at these places, at the speed of one call."""
    return itemgetter(*at)(values) if len(at) > 1 else [values[one] for one in at]


class Upsert:
    """One batch on its way into the vault."""

    def __init__(
        self,
        uow: UnitOfWork,
        system: str,
        external_ids: list[str],
        columns: dict[str, Sequence[str]],
        registered_at: Sequence[datetime | None] | None,
    ) -> None:
        size = len(external_ids)
        self.uow, self.system, self.external_ids, self.columns = uow, system, external_ids, columns
        self.registered_at = registered_at
        self.connection: Connection = uow.session.connection()
        self.codes = FieldCodes(uow.policy)
        beside(self.connection, Lock.REINDEX)
        uow.keys.refresh()
        self.indexes = Indexes(uow.keys, uow.policy)
        if self.indexes.several(EXTERNAL):
            alone(self.connection, Lock.ADOPTING)
        else:
            beside(self.connection, Lock.ADOPTING)
        adopt_old(uow, self.indexes, system=system, external_ids=external_ids)
        self.digests = self.indexes.external(system, external_ids)
        # The order in which rows are asked for, entered and numbered: none that the source knows, along the leaves.
        self.order = sorted(range(size), key=self.digests.__getitem__)
        # What a row says, as bytes: names once, so that two sources with other fields never look alike.
        head = _encode_row(list(columns))
        rows: Iterable[tuple[str, ...]] = zip(*columns.values(), strict=True) if columns else [()] * size
        self.said = [head + _encode_row(row) for row in rows]
        self.outcomes: list[Outcome] = [Outcome.UNCHANGED] * size
        self.member_ids: list[MemberId | None] = [None] * size
        self.pseudonyms: list[Pseudonym | None] = [None] * size
        self.merged: dict[int, Mapping[str, str]] = {}
        self.passed: set[int] = set()
        """New rows that a suppression speaks of and a later registration lets pass."""

    def run(self) -> UpsertResult:
        changed: list[int] = []
        numbers: dict[bytes, int] = {}
        fresh: list[int] = []
        waiting: Sequence[int] = self.order
        # Of a file of new members the first chunk tells: a claim passes over whoever is known in spite of it.
        existing = self.existing([self.digests[at] for at in waiting[:CHUNK]])
        for turn in range(_TURNS):
            if turn or existing:
                existing |= self.existing([self.digests[at] for at in waiting[0 if turn else CHUNK :]])
            unknown, more = self._told_apart(waiting, existing)
            changed += more
            claimed = claim(self.connection, [self.digests[at] for at in unknown]) if unknown else {}
            numbers |= claimed
            whole = len(claimed) == len(unknown)
            fresh += unknown if whole else [at for at in unknown if self.digests[at] in claimed]
            # Not asked for, or somebody else entered them meanwhile (PostgreSQL): now they are known.
            waiting = [] if whole else [at for at in unknown if self.digests[at] not in claimed]
            if not waiting:
                break
        else:
            raise IntegrityBroken("index: an external id leads to nobody", code="INDEX_MOVED")
        # Asked after the claim: from here on no erasure of the same external id can still be under way unseen.
        suppressed = self.suppressed(fresh)
        if suppressed:
            release(self.connection, [self.digests[at] for at in suppressed])
        for at in suppressed:
            self.outcomes[at] = Outcome.SUPPRESSED
        self._create([at for at in fresh if at not in suppressed], numbers)
        self._update([(at, existing[self.digests[at]]) for at in changed])
        for outcome, kind in (
            (Outcome.CREATED, EventKind.MEMBER_CREATED),
            (Outcome.UPDATED, EventKind.MEMBER_UPDATED),
        ):
            self._record(kind, [at for at, got in enumerate(self.outcomes) if got is outcome])
        self._record(EventKind.SUPPRESSION_LIFTED, sorted(self.passed))
        return UpsertResult(self.outcomes, self.member_ids, self.pseudonyms, self.merged)

    def _told_apart(self, rows: Sequence[int], existing: Mapping[bytes, _Existing]) -> tuple[list[int], list[int]]:
        """Return the rows nobody knows and those that say something new; the others' outcome is settled."""
        if not existing:
            return list(rows), []
        unknown, changed = [], []
        for at in rows:
            known = existing.get(self.digests[at])
            if known is None:
                unknown.append(at)
            elif known.status == MemberStatus.ERASED:
                self.outcomes[at] = Outcome.SUPPRESSED
            elif known.status == MemberStatus.DISABLED:
                self.outcomes[at] = Outcome.DISABLED
            else:
                self.member_ids[at], self.pseudonyms[at] = known.member_id, known.pseudonym
                if known.source_digest != self.indexes.row(known.member_id, self.said[at]):
                    changed.append(at)
        return unknown, changed

    def _record(self, kind: EventKind, rows: Sequence[int]) -> None:
        if ids := [one for at in rows if (one := self.member_ids[at])]:
            digest = packed_set_digest(
                self.uow.keys.system_key("audit-digest"), b"".join(sorted(ids)), width=ID_BYTES
            )  # fmt: skip
            self.uow.record(kind, numbers={"members": len(ids)}, digest=digest.hex())

    def existing(self, digests: Sequence[bytes]) -> dict[bytes, _Existing]:
        """Return what is held under these digests of external ids."""
        found: dict[bytes, _Existing] = {}
        for at in range(0, len(digests), CHUNK):
            part = tuple(digests[at : at + CHUNK])
            condition, bound = one_of(self.connection, part, width=32)
            for row in self.connection.exec_driver_sql(_EXISTING.format(condition), bound).all():
                found[row[0]] = _Existing(*row[1:])
        return found

    def suppressed(self, fresh: Sequence[int]) -> set[int]:
        """Return the new rows that speak of an erased member and show no later registration."""
        if not fresh or suppressions.least_depth(self.connection) is None:
            return set()
        fresh = sorted(fresh)
        names = {kind: name for kind, name in self.indexes.field_of.items() if name in self.columns}
        columns: dict[str, tuple[list[int], list[str]]] = {}
        for kind, column in [(EXTERNAL, self.external_ids), *((k, self.columns[n]) for k, n in names.items())]:
            present = [at for at in fresh if column[at]]
            columns[kind] = (present, [column[at] for at in present])
        found = suppressions.known(self.connection, self.indexes, columns, system=self.system)
        stopped = {at for at, since in found if not self._registered_after(at, since)}
        self.passed = {at for at, _ in found} - stopped
        return stopped

    def _registered_after(self, at: int, since: datetime) -> bool:
        registered = self.registered_at[at] if self.registered_at is not None else None
        return registered is not None and registered > since

    def _create(self, rows: Sequence[int], numbers: Mapping[bytes, int]) -> None:
        if not rows:
            return
        digests = self.digests
        columns = {EXTERNAL: self.external_ids, **self.columns}
        picked = {name: _pick(column, rows) for name, column in columns.items()}
        keyed = _pick(digests, rows)
        new = NewMembers(self.system, picked, keyed, [numbers[digest] for digest in keyed], _pick(self.said, rows))
        ids, tokens = create_members(self.uow, self.codes, self.indexes, new)
        for at, one, token in zip(rows, ids, tokens, strict=True):
            self.outcomes[at] = Outcome.CREATED
            self.member_ids[at], self.pseudonyms[at] = one, token

    def _update(self, rows: Sequence[tuple[int, _Existing]]) -> None:
        if not rows:
            return
        living = lock_members(self.connection, [known.row_no for _, known in rows])
        deks = self.uow.keys.deks([known.member_id for _, known in rows])
        stored = read_sealed(self.connection, {known.row_no: known.member_id for _, known in rows})
        for at, known in rows:
            dek = deks.get(known.member_id)
            status = living.get(known.row_no, MemberStatus.ERASED)
            if dek is None or status != MemberStatus.ACTIVE:  # a moment ago: its erasure is under way
                self.outcomes[at] = Outcome.DISABLED if status == MemberStatus.DISABLED else Outcome.SUPPRESSED
                self.member_ids[at] = self.pseudonyms[at] = None
                continue
            before = stored[known.row_no]
            held = self.codes.named(open_member(dek, before.sealed))
            told = {name: column[at] for name, column in self.columns.items()}
            corrections = dict(before.corrections)
            merged = held | self._keep_corrections(known.member_id, told, corrections)
            merged = {name: value for name, value in merged.items() if value}
            source_digest = self.indexes.row(known.member_id, self.said[at])
            if merged == held and corrections == before.corrections:
                # Said by another source, or in other words: the same member. Only remember how it was said.
                self.connection.exec_driver_sql(
                    "UPDATE sealed_member SET source_digest = ? WHERE row_no = ?", (source_digest, known.row_no)
                )
                continue
            write_member(
                self.uow, self.codes, self.indexes, dek, before, merged,
                source_digest=source_digest, corrections=corrections,
            )  # fmt: skip
            self.outcomes[at] = Outcome.UPDATED
            self.merged[at] = merged

    def _keep_corrections(
        self, member_id: MemberId, told: dict[str, str], corrections: dict[bytes, bytes]
    ) -> dict[str, str]:
        """Drop from `told` what repeats a corrected value's predecessor; a new value ends its correction."""
        for code, replaced in list(corrections.items()):
            name = self.codes.name(code)
            if name not in told:
                continue
            if self.indexes.row(member_id, code + told[name].encode()) == replaced:
                del told[name]
            else:
                del corrections[code]
        return told
