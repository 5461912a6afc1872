"""Sealing members' fields anew under their coming keys.

Guarantees: a member's fields are all under one key version, the one that the row names, in one transaction with it; the
write sequence grows, so that what was sealed before does not open in the new value's place; nothing else of the member
changes. Asked again, a member who was done is passed over.
"""

from collections.abc import Sequence

from sqlalchemy import Connection

from pdms.crypto import Dek
from pdms.db import Lock, await_holders, for_update
from pdms.taxonomy import MemberId
from pdms.unit_of_work import UnitOfWork
from pdms.vault.rows import CHUNK, marks, read_sealed
from pdms.vault.sealing import open_member, seal_member


def reseal(uow: UnitOfWork, members: Sequence[MemberId]) -> list[MemberId]:
    """Seal the fields of members under their newest keys; return those whose fields are under it now.

    A member without row is returned too: nothing is sealed under any of the keys. One without key (erased) is not.
    For who is just being stored by another process it waits: their row is to be sealed under the old key.
    """
    connection = uow.session.connection()
    if len(_rows(connection, members)) < len(members):
        # Whoever is just being stored has a key already and no row yet: wait for it, and hold no row meanwhile.
        await_holders(connection, Lock.REINDEX)
    numbers = _rows(connection, members, ending=for_update(connection))
    deks = uow.keys.deks(members)  # after the lock: who writes these rows later sees the coming keys as well
    done = [one for one in members if one in deks and one not in set(numbers.values())]
    changes = []
    for stored in read_sealed(connection, numbers).values():
        member = stored.sealed.member_id
        dek = deks.get(member)
        if dek is None:
            continue
        done.append(member)
        if Dek.version_of(dek) != stored.sealed.key_version:
            sequence = stored.sealed.write_seq + 1
            fields = open_member(dek, stored.sealed)
            blob = seal_member(dek, member_id=member, fields=fields, write_seq=sequence)
            changes.append((Dek.version_of(dek), sequence, blob, stored.row_no))
    if changes:
        connection.exec_driver_sql(
            "UPDATE sealed_member SET key_version = ?, write_seq = ?, sealed = ? WHERE row_no = ?", changes
        )
    return done


def _rows(connection: Connection, members: Sequence[MemberId], *, ending: str = "") -> dict[int, MemberId]:
    found: dict[int, MemberId] = {}
    for at in range(0, len(members), CHUNK):
        part = tuple(members[at : at + CHUNK])
        sql = f"SELECT row_no, member_id FROM member WHERE member_id IN ({marks(len(part))}) ORDER BY row_no{ending}"
        found |= {int(row[0]): MemberId(bytes(row[1])) for row in connection.exec_driver_sql(sql, part).all()}
    return found
