"""Erasing a member from the vault, in steps that each may be repeated.

Order, so that every crash point is safe: suppress (needs the key to know what to suppress) → commit → fence and destroy
the key → rows and indexes → commit → purge of the file's bytes. After the second step nothing of the member opens;
after the last, the sealed bytes are in neither database file nor log. Facts, consents and releases are the caller's.
"""

from datetime import datetime

from pdms.audit.catalogue import EventKind
from pdms.db import checkpoint_and_vacuum, for_update, mark, spend
from pdms.errors import Conflict, NotFound
from pdms.taxonomy import MemberId, MemberStatus
from pdms.unit_of_work import UnitOfWork
from pdms.vault import suppressions
from pdms.vault.decoys import decoys, mark_decoys
from pdms.vault.reading import only_self, stored_member
from pdms.vault.rows import CHANGED, DELETE_INDEX, sqlite_instant
from pdms.vault.sealing import EXTERNAL, EXTERNAL_CODE, FieldCodes, Indexes, dek_of, open_member
from pdms.vault.search_rows import drop_entries


def disable(uow: UnitOfWork, member_id: MemberId) -> None:
    """Stop all use of a member at once (ECL-24). :raises NotFound: no such member."""
    only_self(uow, member_id)
    stored_member(uow, member_id, lock=True)
    changed = _set_status(uow, member_id, MemberStatus.DISABLED, unless=MemberStatus.ERASED)
    if changed:
        uow.record(EventKind.MEMBER_DISABLED, member=member_id)


def suppress(uow: UnitOfWork, member_id: MemberId) -> int:
    """Step 1: write the keyed digests that stop a silent re-import, and set the status to erased.

    :return: entries written. Repeatable until the key is destroyed. :raises NotFound: no such member.
    """
    stored = stored_member(uow, member_id, lock=True)
    uow.keys.refresh()
    codes, indexes = FieldCodes(uow.policy), Indexes(uow.keys, uow.policy)
    held = codes.named(open_member(dek_of(uow.keys, member_id), stored.sealed))
    connection = uow.session.connection()
    system = connection.exec_driver_sql("SELECT system FROM member WHERE member_id = ?", (member_id,)).scalar_one()
    digests = indexes.suppressions(EXTERNAL, [held[EXTERNAL]], system=system)
    for kind, name in indexes.field_of.items():
        if held.get(name):
            digests += indexes.suppressions(kind, [held[name]], system=system)
    suppressions.add(uow, indexes, digests)
    _set_status(uow, member_id, MemberStatus.ERASED)
    uow.record(EventKind.SUPPRESSION_ADDED, member=member_id, numbers={"entries": len(digests)})
    return len(digests)


def suppress_keyless(uow: UnitOfWork, member_id: MemberId) -> int:
    """Step 1 where the key is gone already (a restore): entries from the index digests that are left of the member.

    :return: entries written; 0 where the rows are gone too.
    """
    try:
        stored = stored_member(uow, member_id, lock=True)
    except NotFound:
        return 0
    uow.keys.refresh()
    indexes = Indexes(uow.keys, uow.policy)
    digests = indexes.suppressed_by_index(stored.digests)
    suppressions.add(uow, indexes, digests, by_index=True)
    _set_status(uow, member_id, MemberStatus.ERASED)
    uow.record(EventKind.SUPPRESSION_ADDED, member=member_id, numbers={"entries": len(digests)})
    return len(digests)


def suppressed_since(uow: UnitOfWork, *, system: str, external_id: str) -> datetime | None:
    """Return since when an external id is known as an erased member's, to the microsecond; None: it is not."""
    connection = uow.session.connection()
    uow.keys.refresh()
    found = suppressions.known(
        connection, Indexes(uow.keys, uow.policy), {EXTERNAL: ([0], [external_id])}, system=system
    )
    return max((since for _, since in found), default=None)


def destroy_key(uow: UnitOfWork, member_id: MemberId) -> None:
    """Step 2: fence the member and destroy its key. Commits in the key store at once: first commit step 1."""
    uow.keys.fence([member_id])
    uow.keys.destroy([member_id])
    uow.record(EventKind.KEY_DESTROYED, member=member_id, numbers={"keys": 1})


def forget(uow: UnitOfWork, member_id: MemberId) -> bool:
    """Step 3: delete the member's rows and index entries; the link to the pseudonym goes with them.

    :return: False where they were gone already. :raises Conflict: the key still lives, so steps 1 and 2 come first.
    """
    if uow.keys.deks([member_id]):
        raise Conflict("member: its key must be destroyed before its rows are forgotten", code="KEY_LIVES")
    run = uow.session.connection().exec_driver_sql
    lock = for_update(uow.session.connection())
    row_no = run(f"SELECT row_no FROM member WHERE member_id = ?{lock}", (member_id,)).scalar()
    if row_no is None:
        return False
    own = stored_member(uow, member_id).digests
    entries = [(code, digest, row_no) for code, digest in own.items() if code != EXTERNAL_CODE]
    if entries:
        run(DELETE_INDEX, entries)
    run("DELETE FROM external_index WHERE digest = ? AND row_no = ?", (own[EXTERNAL_CODE], row_no))
    drop_entries(uow, row_no)
    run("DELETE FROM sealed_member WHERE row_no = ?", (row_no,))
    spend(uow.session.connection(), "member", "row_no")
    run("DELETE FROM member WHERE row_no = ?", (row_no,))
    mark(uow.session.connection(), CHANGED, [member_id])
    if member_id in decoys(uow):
        mark_decoys(uow, [member_id], drop=True)
    return True


def purge(uow: UnitOfWork) -> None:
    """Step 4: rewrite `vault.db` and `keys.db`, so that forgotten bytes are in no free page and no log.

    Run it in a unit that did nothing before; it waits for other writers.
    """
    checkpoint_and_vacuum(uow.main_engine)
    uow.keys.purge()


def _set_status(
    uow: UnitOfWork, member_id: MemberId, status: MemberStatus, *, unless: MemberStatus | None = None
) -> bool:
    changed = uow.session.connection().exec_driver_sql(
        "UPDATE member SET status = ?, updated_at = ? WHERE member_id = ? AND status NOT IN (?, ?)",
        (status.value, sqlite_instant(uow.now), member_id, status.value, (unless or status).value),
    )
    if changed.rowcount:
        mark(uow.session.connection(), CHANGED, [member_id])
    return changed.rowcount > 0
