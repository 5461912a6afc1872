"""Building search indexes for members already held when the policy declares them, removing them when it does not.

Guarantees: each batch is a unit of its own, so that a killed run goes on with the first member not done; members are
opened inside and leave as digests only; writers go on meanwhile, and what they write is found by the last look.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pdms.audit.catalogue import EventKind
from pdms.errors import Conflict
from pdms.taxonomy import MemberId, MemberStatus, Scope
from pdms.unit_of_work import UnitFactory, UnitOfWork
from pdms.vault.rows import lock_members, read_sealed
from pdms.vault.sealing import FieldCodes, open_member
from pdms.vault.search_rows import built_plan, set_plan, write_entries
from pdms.vault.searches import NO_PLAN, Searches, split_entries

BATCH: Final = 1000
_ROUNDS: Final = 5
_NEXT: Final = (
    "SELECT m.row_no, m.member_id, m.status, x.entries FROM member m LEFT JOIN member_search x ON x.row_no = m.row_no"
    " WHERE m.row_no > ? AND (x.plan IS NULL OR x.plan <> ?) ORDER BY m.row_no LIMIT ?"
)
_NEXT_GONE: Final = (
    "SELECT x.row_no, m.member_id, m.status, x.entries FROM member_search x LEFT JOIN member m ON m.row_no = x.row_no"
    " WHERE x.row_no > ? AND x.plan <> ? ORDER BY x.row_no LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class Reindexed:
    """What a run did."""

    searches: tuple[str, ...]
    """Declared by the policy; none: the indexes were removed."""
    members: int
    """Members whose entries were made or removed by this run."""


def reindex(units: UnitFactory, *, batch: int = BATCH, progress: Callable[[int, int], None] | None = None) -> Reindexed:
    """Bring the search indexes in line with the policy; run again, it goes on, or finds nothing to do.

    :param progress: called with members done and members held.
    :raises Conflict: members are being written under another policy all the while.
    """
    done = 0
    with units() as uow:
        uow.require(Scope.ADMIN, Scope.COMPLIANCE)
        searches = Searches(uow.keys, uow.policy)
        if built_plan(uow) == (searches.plan, True):
            return Reindexed(tuple(searches.declared), 0)
        set_plan(uow, searches.plan, complete=False)
        run = uow.session.connection().exec_driver_sql
        held = int(run("SELECT count(*) FROM member").scalar_one())
    for _ in range(_ROUNDS):
        after = -1
        while True:
            with units() as uow:
                count, after = _batch(uow, searches, after, batch)
                done += count
                if count:
                    uow.record(EventKind.SEARCH_INDEXED, numbers={"members": count})
            if not count:
                break
            if progress is not None:
                progress(min(done, held), held)
        with units() as uow:
            set_plan(uow, searches.plan, complete=False)  # holds the row: writers under another plan are done, or wait
            if not _rows(uow, searches, -1, 1):
                set_plan(uow, searches.plan, complete=True)
                return Reindexed(tuple(searches.declared), done)
    raise Conflict("search indexes: members are being written under another policy; let those processes end first")


def _rows(uow: UnitOfWork, searches: Searches, after: int, batch: int) -> list[tuple[int, bytes, str, bytes | None]]:
    sql = _NEXT_GONE if searches.plan == NO_PLAN else _NEXT
    found = uow.session.connection().exec_driver_sql(sql, (after, searches.plan, batch)).all()
    return [(row[0], row[1], row[2], row[3]) for row in found]


def _batch(uow: UnitOfWork, searches: Searches, after: int, batch: int) -> tuple[int, int]:
    """Return how many members were done, and the last row number."""
    connection = uow.session.connection()
    lock_members(connection, [row[0] for row in _rows(uow, searches, after, batch)])
    rows = _rows(uow, searches, after, batch)  # as they are behind the locks
    if not rows:
        return 0, after
    living = {
        number: MemberId(member) for number, member, status, _ in rows if member and status != MemberStatus.ERASED
    }
    fields: dict[int, dict[str, str]] = {}
    if searches.declared and living:
        codes = FieldCodes(uow.policy)
        wanted = [codes.code(name) for name in {one.field for one in searches.declared.values()}]
        deks = uow.keys.deks(list(living.values()))
        stored = read_sealed(connection, living)
        for number, member in living.items():
            if member in deks:  # a member without key is about to be forgotten
                fields[number] = codes.named(open_member(deks[member], stored[number].sealed, codes=wanted))
    for number, _member, _status, entries in rows:
        held = split_entries(bytes(entries)) if entries else []
        write_entries(uow, number, searches.entries(fields.get(number, {})), held=held, plan=searches.plan)
    return len(rows), rows[-1][0]
