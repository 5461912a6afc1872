"""Storing members in bulk: new ones are minted and sealed, changed ones sealed anew, unchanged ones left alone.

Guarantees: keys are durable before the rows that need them; a row that says what it said last time writes nothing; a
field that a source does not speak of is kept; a correction outlives the old value of its source (PIPL-46); an erased
member does not come back by an old file (only by a registration later than the erasure). The work is by column, since
per-row objects would cost more than the cryptography.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum

import msgspec
from sqlalchemy import Connection

from pdms.audit.catalogue import EventKind
from pdms.clock import SHANGHAI
from pdms.crypto import seal_fields, set_digest
from pdms.errors import InvalidInput
from pdms.taxonomy import ID_BYTES, MemberId, MemberStatus, Pseudonym, Scope
from pdms.unit_of_work import UnitOfWork
from pdms.vault.age import BIRTH_DATE, ID_NUMBER, PASSED, birth_text, latest_birth, passed_before, turning_dates
from pdms.vault.sealing import (
    EXTERNAL,
    EXTERNAL_CODE,
    REGISTERED,
    FieldCodes,
    Indexes,
    SealedMember,
    decode_digests,
    encode_map,
    open_member,
    seal_member,
)

CHUNK = 1000
"""Values bound in one statement: one prepared statement serves all full chunks."""

INSERT_MEMBER = "INSERT INTO member VALUES (?,?,?,?,?,?,?,?,?,?)"
INSERT_SEALED = "INSERT INTO sealed_member VALUES (?,?,?,?,?,?,?)"
INSERT_EXTERNAL = "INSERT INTO external_index (digest, row_no) VALUES (?, ?)"
INSERT_INDEX = "INSERT INTO blind_index (kind, digest, row_no) VALUES (?, ?, ?)"
DELETE_INDEX = "DELETE FROM blind_index WHERE kind = ? AND digest = ? AND row_no = ?"
_EXISTING = (
    "SELECT e.digest, m.row_no, m.member_id, m.pseudonym, m.status, s.source_digest"
    " FROM external_index e JOIN member m ON m.row_no = e.row_no JOIN sealed_member s ON s.row_no = m.row_no"
    " WHERE e.digest IN ({})"
)

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

    external_id: str
    fields: Mapping[str, str]
    registered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MemberBatch:
    """Members by column, all lists of one length; values normalised, "" where empty."""

    external_ids: Sequence[str]
    fields: Mapping[str, Sequence[str]]
    registered_at: Sequence[datetime | None] | None = None


@dataclass(frozen=True, slots=True)
class UpsertResult:
    """What became of a batch; the lists follow its rows, ids are None where a row was refused."""

    outcomes: list[Outcome]
    member_ids: list[MemberId | None]
    pseudonyms: list[Pseudonym | None]
    merged: Mapping[int, Mapping[str, str]]
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
        columns[REGISTERED] = [at.astimezone(UTC).isoformat() if at else "" for at in batch.registered_at]
    work = _Batch(uow, system, list(batch.external_ids), columns, batch.registered_at)
    return work.run()


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


class _Batch:
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
        self.indexes = Indexes(uow.keys, uow.policy)
        self.today = uow.now.astimezone(SHANGHAI).date()
        self.now = sqlite_instant(uow.now)
        self.digests = self.indexes.external(system, external_ids)
        # What a row says, as bytes: names once, so that two sources with other fields never look alike.
        head = _encode_row(list(columns))
        rows: Iterable[tuple[str, ...]] = zip(*columns.values(), strict=True) if columns else [()] * size
        self.said = [head + _encode_row(row) for row in rows]
        self.outcomes: list[Outcome] = [Outcome.UNCHANGED] * size
        self.member_ids: list[MemberId | None] = [None] * size
        self.pseudonyms: list[Pseudonym | None] = [None] * size
        self.merged: dict[int, Mapping[str, str]] = {}

    def run(self) -> UpsertResult:
        existing = self._existing()
        fresh, changed = [], []
        for at, digest in enumerate(self.digests):
            known = existing.get(digest)
            if known is None:
                fresh.append(at)
            elif known.status == MemberStatus.ERASED:
                self.outcomes[at] = Outcome.SUPPRESSED
            elif known.status == MemberStatus.DISABLED:
                self.outcomes[at] = Outcome.DISABLED
            else:
                self.member_ids[at], self.pseudonyms[at] = known.member_id, known.pseudonym
                if known.source_digest != self.indexes.row(known.member_id, self.said[at]):
                    changed.append(at)
        suppressed = self._suppressed(fresh)
        for at in suppressed:
            self.outcomes[at] = Outcome.SUPPRESSED
        self._create([at for at in fresh if at not in suppressed])
        self._update([(at, existing[self.digests[at]]) for at in changed])
        for outcome, kind in (
            (Outcome.CREATED, EventKind.MEMBER_CREATED),
            (Outcome.UPDATED, EventKind.MEMBER_UPDATED),
        ):
            self._record(outcome, kind)
        return UpsertResult(self.outcomes, self.member_ids, self.pseudonyms, self.merged)

    def _record(self, outcome: Outcome, kind: EventKind) -> None:
        ids = [one for one, got in zip(self.member_ids, self.outcomes, strict=True) if got is outcome and one]
        if ids:
            digest = set_digest(self.uow.keys.system_key("audit-digest"), ids)
            self.uow.record(kind, numbers={"members": len(ids)}, digest=digest.hex())

    def _existing(self) -> dict[bytes, _Existing]:
        found: dict[bytes, _Existing] = {}
        ordered = sorted(self.digests)
        for at in range(0, len(ordered), CHUNK):
            part = tuple(ordered[at : at + CHUNK])
            for row in self.connection.exec_driver_sql(_EXISTING.format(marks(len(part))), part).all():
                found[row[0]] = _Existing(*row[1:])
        return found

    def _suppressed(self, fresh: Sequence[int]) -> set[int]:
        """Return the new rows that speak of an erased member and show no later registration."""
        if not fresh or not self.connection.exec_driver_sql("SELECT 1 FROM suppression LIMIT 1").first():
            return set()
        known_by: dict[bytes, list[int]] = {}
        names = {kind: name for kind, name in self.indexes.field_of.items() if name in self.columns}
        for kind, column in [(EXTERNAL, self.external_ids), *((k, self.columns[n]) for k, n in names.items())]:
            present = [at for at in fresh if column[at]]
            for at, digest in zip(
                present,
                self.indexes.suppressions(kind, [column[at] for at in present], system=self.system),
                strict=True,
            ):
                known_by.setdefault(digest, []).append(at)
        refused: set[int] = set()
        ordered = sorted(known_by)
        for start in range(0, len(ordered), CHUNK):
            part = tuple(ordered[start : start + CHUNK])
            sql = f"SELECT digest, since FROM suppression WHERE digest IN ({marks(len(part))})"
            for digest, since in self.connection.exec_driver_sql(sql, part):
                refused.update(at for at in known_by[digest] if not self._registered_after(at, since))
        return refused

    def _registered_after(self, at: int, since: str) -> bool:
        registered = self.registered_at[at] if self.registered_at is not None else None
        return registered is not None and sqlite_instant(registered) > since

    def _create(self, rows: Sequence[int]) -> None:
        if not rows:
            return
        count = len(rows)
        block = os.urandom(2 * ID_BYTES * count)
        ids = [MemberId(block[at : at + ID_BYTES]) for at in range(0, ID_BYTES * count, ID_BYTES)]
        tokens = [Pseudonym(block[at : at + ID_BYTES]) for at in range(ID_BYTES * count, len(block), ID_BYTES)]
        deks = self.uow.keys.mint(ids)
        row_digest = self.indexes.rows().digest_many([one + self.said[at] for one, at in zip(ids, rows, strict=True)])
        first = (self.connection.exec_driver_sql("SELECT max(row_no) FROM member").scalar() or 0) + 1
        own, index_rows = self._index_entries(rows, first)
        turning = self._turning(rows)
        region = self.uow.policy.controller.region
        names = [EXTERNAL, *self.columns]
        codes = [self.codes.code(name) for name in names]
        source: list[Sequence[str]] = [self.external_ids, *self.columns.values()]
        whole = len(rows) == len(self.external_ids)
        taken = source if whole else [[column[at] for at in rows] for column in source]
        members, sealed_rows = [], []
        system, now, active = self.system, self.now, MemberStatus.ACTIVE.value
        for number, values in enumerate(zip(*taken, strict=True)):
            member_id, dek = ids[number], deks[number]
            present = [(code, value.encode()) for code, value in zip(codes, values, strict=True) if value]
            sealed = seal_fields(dek, member=member_id, fields=present)
            blob = encode_map({pair[0]: value for pair, value in zip(present, sealed, strict=True)})
            row_no = first + number
            t14, t18 = turning[number]
            members.append((row_no, member_id, tokens[number], system, active, region, t14, t18, now, now))
            sealed_rows.append((row_no, 1, 1, blob, encode_map(own[number]), row_digest[number], None))
        run = self.connection.exec_driver_sql
        run(INSERT_MEMBER, members)
        run(INSERT_SEALED, sealed_rows)
        run(INSERT_EXTERNAL, sorted((own[n][EXTERNAL_CODE], first + n) for n in range(count)))
        if index_rows:
            run(INSERT_INDEX, sorted(index_rows))
        for number, at in enumerate(rows):
            self.outcomes[at] = Outcome.CREATED
            self.member_ids[at], self.pseudonyms[at] = ids[number], tokens[number]

    def _index_entries(
        self, rows: Sequence[int], first: int
    ) -> tuple[list[dict[int, bytes]], list[tuple[int, bytes, int]]]:
        """Return each row's own digests by field code, and the rows of the index table."""
        own: list[dict[int, bytes]] = [{EXTERNAL_CODE: self.digests[at]} for at in rows]
        entries: list[tuple[int, bytes, int]] = []
        for kind, name in self.indexes.field_of.items():
            column = self.columns.get(name)
            if column is None:
                continue
            code = self.indexes.code_of[kind]
            present = [number for number, at in enumerate(rows) if column[at]]
            digests = self.indexes.digests(kind, [column[rows[number]] for number in present])
            for number, digest in zip(present, digests, strict=True):
                own[number][code] = digest
                entries.append((code, digest, first + number))
        return own, entries

    def _turning(self, rows: Sequence[int]) -> list[tuple[str | None, str | None]]:
        births, numbers = self.columns.get(BIRTH_DATE), self.columns.get(ID_NUMBER)
        if births is None and numbers is None:
            return [(None, None)] * len(rows)
        adult_until = passed_before(18, self.today)
        passed = (PASSED.isoformat(), PASSED.isoformat())
        found = []
        for at in rows:
            birth = latest_birth(births[at] if births else "", numbers[at] if numbers else "")
            # Most members are adults: comparing months is enough for them.
            found.append(passed if birth and birth[:7] <= adult_until else turning_columns(birth, self.today))
        return found

    def _update(self, rows: Sequence[tuple[int, _Existing]]) -> None:
        if not rows:
            return
        deks = self.uow.keys.deks([known.member_id for _, known in rows])
        stored = read_sealed(self.connection, {known.row_no: known.member_id for _, known in rows})
        for at, known in rows:
            dek = deks.get(known.member_id)
            if dek is None:  # fenced a moment ago: its erasure is under way
                self.outcomes[at] = Outcome.SUPPRESSED
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


@dataclass(frozen=True, slots=True)
class StoredMember:
    """The sealed row of one member."""

    row_no: int
    sealed: SealedMember
    digests: Mapping[int, bytes]
    source_digest: bytes
    corrections: Mapping[bytes, bytes]


_decode_corrections = msgspec.msgpack.Decoder(dict[bytes, bytes]).decode


def read_sealed(connection: Connection, members: Mapping[int, MemberId]) -> dict[int, StoredMember]:
    """Read sealed rows. :param members: row number → member id."""
    found: dict[int, StoredMember] = {}
    numbers = sorted(members)
    for at in range(0, len(numbers), CHUNK):
        part = tuple(numbers[at : at + CHUNK])
        sql = (
            "SELECT row_no, key_version, write_seq, sealed, digests, source_digest, corrections"
            f" FROM sealed_member WHERE row_no IN ({marks(len(part))})"
        )
        for number, version, sequence, blob, digests, source, corrections in connection.exec_driver_sql(sql, part):
            found[number] = StoredMember(
                number,
                SealedMember(members[number], version, sequence, blob),
                decode_digests(digests),
                source,
                _decode_corrections(corrections) if corrections else {},
            )
    return found


def write_member(
    uow: UnitOfWork,
    codes: FieldCodes,
    indexes: Indexes,
    dek: bytes,
    before: StoredMember,
    fields: Mapping[str, str],
    *,
    source_digest: bytes,
    corrections: Mapping[bytes, bytes],
) -> None:
    """Seal all of a member's fields under the next write sequence and bring indexes and turning dates along."""
    run = uow.session.connection().exec_driver_sql
    member_id = before.sealed.member_id
    sequence = before.sealed.write_seq + 1
    version = getattr(dek, "version", 1)
    blob = seal_member(
        dek,
        member_id=member_id,
        fields=codes.coded(fields),
        write_seq=sequence,
    )
    row_no = before.row_no
    digests = {EXTERNAL_CODE: before.digests[EXTERNAL_CODE]}
    for kind, name in indexes.field_of.items():
        if fields.get(name):
            digests[indexes.code_of[kind]] = indexes.digests(kind, [fields[name]])[0]
    gone = [(code, one, row_no) for code, one in before.digests.items() if code and digests.get(code) != one]
    new = [(code, one, row_no) for code, one in digests.items() if code and before.digests.get(code) != one]
    if gone:
        run(DELETE_INDEX, gone)
    if new:
        run(INSERT_INDEX, new)
    run(
        "UPDATE sealed_member SET key_version = ?, write_seq = ?, sealed = ?, digests = ?, source_digest = ?,"
        " corrections = ? WHERE row_no = ?",
        (
            version, sequence, blob, encode_map(digests), source_digest,
            encode_map(dict(corrections)) if corrections else None, before.row_no,
        ),
    )  # fmt: skip
    today = uow.now.astimezone(SHANGHAI).date()
    t14, t18 = turning_columns(birth_text(fields), today)
    run(
        "UPDATE member SET turns_14 = ?, turns_18 = ?, updated_at = ? WHERE row_no = ?",
        (t14, t18, sqlite_instant(uow.now), before.row_no),
    )


def turning_columns(birth: str, today: date) -> tuple[str | None, str | None]:
    """Return the two turning dates as the driver stores dates."""
    t14, t18 = turning_dates(birth, today)
    return (t14.isoformat() if t14 else None, t18.isoformat() if t18 else None)


def sqlite_instant(at: datetime) -> str:
    """Return an instant as `UtcDateTime` stores it, for statements that go to the driver directly."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def marks(count: int) -> str:
    """Return `count` placeholders."""
    return ",".join("?" * count)
