"""Indexing members anew under newer index keys.

Guarantees: a member's entries, in every index that policy names, change in one transaction with the digests beside its
sealed bytes, by which forgetting finds them; identity stays unique, since a row is found under every version in use
before another is made. Searches by part of a value have indexes and keys of their own and are not touched.
"""

from collections.abc import Mapping, Sequence

from pdms.db import Lock, alone, for_update, on_postgres, one_of
from pdms.taxonomy import MemberId
from pdms.unit_of_work import UnitOfWork
from pdms.vault.rows import CHUNK, DELETE_INDEX, INSERT_EXTERNAL, INSERT_INDEX, read_sealed
from pdms.vault.sealing import EXTERNAL, EXTERNAL_CODE, FieldCodes, Indexes, join_digests, open_member


def index_labels(uow: UnitOfWork) -> list[str]:
    """Return the labels of the keys of identity and look-up indexes."""
    return [
        "index:external-id",
        *(f"index:{kind.replace('_', '-')}" for kind in Indexes(uow.keys, uow.policy).field_of),
    ]


def members_after(uow: UnitOfWork, row_no: int) -> int:
    """Count the members after a row number."""
    return members_between(uow, row_no)[0]


def members_between(uow: UnitOfWork, row_no: int) -> tuple[int, int]:
    """Count the members after a row number; return the last row number too, or the one given where there is none."""
    sql = "SELECT count(*), max(row_no) FROM member WHERE row_no > ?"
    count, last = uow.session.connection().exec_driver_sql(sql, (row_no,)).one()
    return int(count), row_no if last is None else int(last)


def reindex_some(uow: UnitOfWork, *, after: int, until: int, batch: int) -> tuple[int, int | None]:
    """Index up to `batch` members anew; return how many were looked at, and the last row number.

    :param after: row number behind which they lie. :param until: row number up to which they lie.
    """
    connection = uow.session.connection()
    alone(connection, Lock.ADOPTING)
    sql = "SELECT row_no, member_id, system FROM member WHERE row_no > ? AND row_no <= ? ORDER BY row_no LIMIT ?"
    rows = connection.exec_driver_sql(sql + for_update(connection), (after, until, batch)).all()
    if not rows:
        return 0, None
    reindex(uow, {int(row[0]): (MemberId(bytes(row[1])), row[2]) for row in rows})
    return len(rows), int(rows[-1][0])


def adopt_old(uow: UnitOfWork, indexes: Indexes, *, system: str, external_ids: Sequence[str]) -> None:
    """Before members are looked for to be written: index those anew that are still known under an older key only."""
    if not indexes.several(EXTERNAL):
        return
    newest = set(indexes.external(system, external_ids))
    old = sorted({digest for digest, _ in indexes.external_looked_up(system, external_ids)} - newest)
    # All whom the batch may change, old and new, in one order: who changes many members at once waits for these, or
    # these for them, never both.
    every = sorted(newest.union(old))
    connection = uow.session.connection()
    found: dict[int, tuple[MemberId, str]] = {}
    size = len(every) if on_postgres(connection) else CHUNK
    behind = set(old)
    for at in range(0, len(every), size):
        part = tuple(every[at : at + size])
        condition, bound = one_of(connection, part, width=32)
        sql = (
            "SELECT m.row_no, m.member_id, m.system, e.digest FROM external_index e"
            f" JOIN member m ON m.row_no = e.row_no WHERE e.digest {condition} ORDER BY m.row_no"
        )
        rows = connection.exec_driver_sql(sql + for_update(connection, of="m"), bound).all()
        found |= {int(row[0]): (MemberId(bytes(row[1])), row[2]) for row in rows if bytes(row[3]) in behind}
    if found:
        reindex(uow, found)


def reindex(uow: UnitOfWork, members: Mapping[int, tuple[MemberId, str]]) -> None:
    """Index members anew under the newest keys. :param members: row number → member id and system; rows are locked."""
    connection = uow.session.connection()
    uow.keys.refresh()
    codes, indexes = FieldCodes(uow.policy), Indexes(uow.keys, uow.policy)
    deks = uow.keys.deks([member for member, _ in members.values()])
    stored = read_sealed(connection, {number: member for number, (member, _) in members.items()})
    wanted = [codes.code(name) for name in (EXTERNAL, *indexes.field_of.values())]
    externals: list[tuple[bytes, int]] = []
    gone: list[tuple[int, bytes, int]] = []
    new: list[tuple[int, bytes, int]] = []
    changes: list[tuple[bytes, int]] = []
    for number, one in stored.items():
        member, system = members[number]
        if member not in deks:  # its erasure is under way: its entries go with its rows
            continue
        held = codes.named(open_member(deks[member], one.sealed, codes=wanted))
        digests = {EXTERNAL_CODE: indexes.external(system, [held[EXTERNAL]])[0]}
        for kind, name in indexes.field_of.items():
            if held.get(name):
                digests[indexes.code_of[kind]] = indexes.digests(kind, [held[name]])[0]
        if digests == dict(one.digests):
            continue
        if digests[EXTERNAL_CODE] != one.digests[EXTERNAL_CODE]:
            connection.exec_driver_sql(
                "DELETE FROM external_index WHERE digest = ? AND row_no = ?", (one.digests[EXTERNAL_CODE], number)
            )
            externals.append((digests[EXTERNAL_CODE], number))
        gone += [(c, d, number) for c, d in one.digests.items() if c != EXTERNAL_CODE and digests.get(c) != d]
        new += [(c, d, number) for c, d in digests.items() if c != EXTERNAL_CODE and one.digests.get(c) != d]
        changes.append((join_digests(digests), number))
    for statement, rows in ((INSERT_EXTERNAL, externals), (DELETE_INDEX, gone), (INSERT_INDEX, new)):
        if rows:
            connection.exec_driver_sql(statement, sorted(rows))
    if changes:
        connection.exec_driver_sql("UPDATE sealed_member SET digests = ? WHERE row_no = ?", changes)
