"""Questions that open nothing: who is known by what, what state they are in, which pseudonym is theirs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from pdms.db import Changes, Some, for_update, raw_rows, rows_of, seen, stored_day, take
from pdms.errors import Denied, NotFound
from pdms.policy.reasons import reason
from pdms.taxonomy import MemberId, MemberStatus, Pseudonym
from pdms.unit_of_work import ActorKind, UnitOfWork
from pdms.vault.decoys import decoys
from pdms.vault.rows import CHANGED, CHUNK, StoredMember, marks, read_sealed
from pdms.vault.sealing import Indexes


@dataclass(frozen=True, slots=True)
class MemberKeys:
    """Both random ids of one member; only the inside holds them side by side."""

    member_id: MemberId
    pseudonym: Pseudonym
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class MemberState:
    """What the gate reads of one member."""

    member_id: MemberId
    status: MemberStatus
    region: str
    turns_14: date | None
    turns_18: date | None


StateRow = tuple[bytes, str, str, str | None, str | None]
"""member id, status, region, turns_14, turns_18 (`YYYY-MM-DD`), as stored."""


OVERTAKEN: Final = (False, True)
"""Who is not found is looked for again, under keys read anew and the retired ones: a whole rotation of the index may
have passed between reading its keys and its entries."""
_STATES = "SELECT member_id, status, region, CAST(turns_14 AS text), CAST(turns_18 AS text) FROM member"


def resolve(uow: UnitOfWork, *, system: str, external_ids: Sequence[str]) -> dict[str, MemberKeys]:
    """Return the living members behind external ids of one system; unknown and erased ones are absent."""
    distinct = list(dict.fromkeys(external_ids))
    found: dict[str, MemberKeys] = {}
    tried: set[bytes] = set()
    sql = (
        "SELECT e.digest, m.member_id, m.pseudonym, m.status FROM external_index e JOIN member m ON m.row_no = e.row_no"
        " WHERE m.status <> 'erased' AND e.digest IN ({})"
    )
    for retired in OVERTAKEN:
        left = [one for one in distinct if one not in found]
        if not left:
            break
        if retired:
            uow.keys.refresh()
        looked_up = Indexes(uow.keys, uow.policy).external_looked_up(system, left, retired=retired)
        by_digest = {digest: left[place] for digest, place in looked_up if digest not in tried}
        tried |= by_digest.keys()
        for digest, member_id, pseudonym, status in _in_chunks(uow, sql, sorted(by_digest)):
            found[by_digest[digest]] = MemberKeys(
                MemberId(member_id), Pseudonym(pseudonym), status == MemberStatus.DISABLED
            )
    return found


def find_external(uow: UnitOfWork, *, system: str, external_id: str) -> MemberId | None:
    """Return the living member of one external id."""
    keys = resolve(uow, system=system, external_ids=[external_id]).get(external_id)
    return keys.member_id if keys else None


def known_words(uow: UnitOfWork, words: Iterable[str], *, system: str, index: str) -> set[str]:
    """Return those of `words` (normalised) that are some member's external id of `system`, or value of `index`."""
    distinct = sorted(set(words))
    indexes = Indexes(uow.keys, uow.policy)
    by_digest = {digest: distinct[place] for digest, place in indexes.external_looked_up(system, distinct)}
    rows = list(_in_chunks(uow, "SELECT digest FROM external_index WHERE digest IN ({})", sorted(by_digest)))
    if index in indexes.field_of:
        by_digest |= {digest: distinct[place] for digest, place in indexes.looked_up(index, distinct)}
        code = int(indexes.code_of[index])
        sql = f"SELECT DISTINCT digest FROM blind_index WHERE kind = {code} AND digest IN ({{}})"
        rows += _in_chunks(uow, sql, sorted(by_digest))
    return {by_digest[row[0]] for row in rows}


def find(uow: UnitOfWork, *, index: str, value: str) -> list[MemberId]:
    """Return the living members whose normalised value equals `value`, in no telling order.

    :raises NotFound: the policy has no such index.
    """
    indexes = Indexes(uow.keys, uow.policy)
    if index not in indexes.field_of:
        raise NotFound(f"index {index}: the policy has none of that name")
    sql = (
        "SELECT m.member_id FROM blind_index b JOIN member m ON m.row_no = b.row_no"
        " WHERE b.kind = ? AND b.digest = ? AND m.status <> 'erased'"
    )
    found: set[bytes] = set()
    for retired in OVERTAKEN:
        looked_up = indexes.looked_up(index, [value], retired=retired)
        run, code = uow.session.connection().exec_driver_sql, indexes.code_of[index]
        found |= {bytes(row[0]) for digest, _ in looked_up for row in run(sql, (code, digest))}
        if found:
            break
        uow.keys.refresh()
        indexes = Indexes(uow.keys, uow.policy)
    return [MemberId(one) for one in sorted(found)]


def state(uow: UnitOfWork, member_id: MemberId) -> MemberState:
    """Return the state of one member. :raises NotFound: no such member."""
    only_self(uow, member_id)
    row = (
        uow.session.connection()
        .exec_driver_sql("SELECT status, region, turns_14, turns_18 FROM member WHERE member_id = ?", (member_id,))
        .first()
    )
    if row is None:
        raise NotFound("member: no such member")
    return MemberState(member_id, MemberStatus(row[0]), row[1], stored_day(row[2]), stored_day(row[3]))


def state_rows(uow: UnitOfWork, *, some: Some | None = None) -> list[StateRow]:
    """Return the states of all members for set decisions, as stored: no objects, dates as text, in no telling order.

    :param some: of these members only.
    """
    connection = uow.session.connection()
    return raw_rows(connection, _STATES) if some is None else rows_of(connection, f"{_STATES} WHERE true", some)


def state_changes(uow: UnitOfWork, *, forget: bool = False) -> Changes:
    """Return whose state changed since it was last asked with `forget`, which this transaction then begins anew."""
    return (take if forget else seen)(uow.session.connection(), CHANGED)


def count(uow: UnitOfWork) -> int:
    """Return the number of living members, decoys left out."""
    rows = uow.session.connection().exec_driver_sql("SELECT count(*) FROM member WHERE status <> 'erased'")
    return int(rows.scalar_one()) - len(decoys(uow))


def count_of(uow: UnitOfWork, *, system: str) -> int:
    """Return the number of living members of one namespace of external ids, decoys too: they look like any other."""
    sql = "SELECT count(*) FROM member WHERE status <> 'erased' AND system = ?"
    return int(uow.session.connection().exec_driver_sql(sql, (system,)).scalar_one())


def pseudonym_of(uow: UnitOfWork, member_id: MemberId) -> Pseudonym:
    """Return the pseudonym of a member. :raises NotFound: none, or the link was destroyed."""
    found = pseudonyms_of(uow, [member_id])
    if member_id not in found:
        raise NotFound("member: no such member")
    return found[member_id]


def pseudonyms_of(uow: UnitOfWork, member_ids: Iterable[MemberId]) -> dict[MemberId, Pseudonym]:
    """Return the pseudonyms of many members; unknown ones are absent."""
    sql = "SELECT member_id, pseudonym FROM member WHERE member_id IN ({})"
    return {MemberId(a): Pseudonym(b) for a, b in _in_chunks(uow, sql, sorted(set(member_ids)))}


def members_of(uow: UnitOfWork, pseudonyms: Iterable[Pseudonym]) -> dict[Pseudonym, MemberId]:
    """Return the members behind pseudonyms; unknown ones are absent."""
    sql = "SELECT pseudonym, member_id FROM member WHERE pseudonym IN ({})"
    return {Pseudonym(a): MemberId(b) for a, b in _in_chunks(uow, sql, sorted(set(pseudonyms)))}


def stored_member(uow: UnitOfWork, member_id: MemberId, *, lock: bool = False) -> StoredMember:
    """Return the sealed row of one member; `lock`: it stays so until the unit ends.

    :raises NotFound: no such member.
    """
    connection = uow.session.connection()
    ending = for_update(connection) if lock else ""
    sql = f"SELECT row_no FROM member WHERE member_id = ?{ending}"
    row_no = connection.exec_driver_sql(sql, (member_id,)).scalar()
    if row_no is None or not (stored := read_sealed(connection, {row_no: member_id})):
        raise NotFound("member: no such member")
    return stored[int(row_no)]


def living_member(uow: UnitOfWork, member_id: MemberId, *, lock: bool = False) -> StoredMember:
    """Return the sealed row of a member whose erasure has not begun. :raises NotFound: no such member."""
    found = stored_member(uow, member_id, lock=lock)
    run = uow.session.connection().exec_driver_sql
    if run("SELECT status FROM member WHERE row_no = ?", (found.row_no,)).scalar_one() == MemberStatus.ERASED:
        raise NotFound("member: no such member")
    return found


def only_self(uow: UnitOfWork, member_id: MemberId) -> None:
    """Refuse a member who asks about another one."""
    if uow.actor.kind is ActorKind.MEMBER and uow.actor.member_id != member_id:
        uow.refuse(
            Denied("a member may ask about themself only", reasons=(reason("NOT_SELF"),)),
            member=uow.actor.member_id,
        )


def _in_chunks(uow: UnitOfWork, sql: str, values: Sequence[bytes]) -> Iterable[tuple[Any, ...]]:
    connection = uow.session.connection()
    for at in range(0, len(values), CHUNK):
        part = tuple(values[at : at + CHUNK])
        yield from connection.exec_driver_sql(sql.format(marks(len(part))), part).all()
