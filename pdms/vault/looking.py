"""Members found by a whole value, with everything that opens them: one statement in each database.

The path of a look-up by telephone number, which a shop's service desk takes all day. Plaintext is not for callers
outside the vault: what they get passes `reveal`, or `masked`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final

from pdms.db import fetch_here
from pdms.errors import IntegrityBroken, KeyUnavailable, NotFound
from pdms.taxonomy import MemberId
from pdms.unit_of_work import UnitOfWork
from pdms.vault.sealing import FieldCodes, Indexes, SealedMember, open_member

_KEPT: Final = "pdms.vault.indexes"
_FOUND: Final = (
    "SELECT m.member_id, s.key_version, s.write_seq, s.sealed FROM blind_index b"
    " JOIN member m ON m.row_no = b.row_no JOIN sealed_member s ON s.row_no = b.row_no"
    " WHERE b.kind = ? AND b.digest = ? AND m.status <> 'erased'"
)


@dataclass(frozen=True, slots=True)
class Opened:
    """One member, opened. Prints no value."""

    member_id: MemberId
    fields: Mapping[str, str] = field(repr=False)


def look_up(uow: UnitOfWork, *, index: str, value: str) -> list[Opened]:
    """Return the living members whose normalised value equals `value`, all fields opened.

    :raises NotFound: the policy has no such index. :raises KeyUnavailable: a member's key is gone.
    :raises IntegrityBroken: `INDEX_MOVED`, or something was altered.
    """
    codes, indexes = _opened(uow)
    if index not in indexes.field_of:
        raise NotFound(f"index {index}: the policy has none of that name")
    connection, code = uow.session.connection(), indexes.code_of[index]
    rows = [
        row for digest, _ in indexes.looked_up(index, [value]) for row in fetch_here(connection, _FOUND, (code, digest))
    ]
    if not rows:  # nobody, or a rotation of the index passed between its keys and its entries
        uow.keys.refresh()
        again = Indexes(uow.keys, uow.policy).looked_up(index, [value], retired=True)
        rows = [row for digest, _ in again for row in fetch_here(connection, _FOUND, (code, digest))]
    if not rows:
        return []
    rows.sort(key=itemgetter(0))  # by member id, which tells nothing; in the database one row would be sorted as well
    deks = uow.keys.deks([MemberId(row[0]) for row in rows])
    opened = []
    for member_id, version, sequence, blob in rows:
        dek = deks.get(member_id)
        if dek is None:
            raise KeyUnavailable("member: its key is gone", code="MEMBER_KEY_GONE")
        stored = SealedMember(MemberId(member_id), version, sequence, blob)
        fields = codes.named(open_member(dek, stored))
        if fields.get(indexes.field_of[index]) != value:
            raise IntegrityBroken("index: an entry leads to a member who has another value", code="INDEX_MOVED")
        opened.append(Opened(MemberId(member_id), fields))
    return opened


def _opened(uow: UnitOfWork) -> tuple[FieldCodes, Indexes]:
    """Return the codes and the keyed indexes, made once in a transaction: keying costs more than a digest."""
    info = uow.session.info
    if _KEPT not in info:
        info[_KEPT] = (FieldCodes(uow.policy), Indexes(uow.keys, uow.policy))
    kept: tuple[FieldCodes, Indexes] = info[_KEPT]
    return kept
