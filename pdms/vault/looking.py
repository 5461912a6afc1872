"""Members found by a whole value, with everything that opens them: one statement in each database.

The path of a look-up by telephone number, which a shop's service desk takes all day. Plaintext is not for callers
outside the vault: what they get passes `reveal`, or `masked`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final

from pdms.crypto import BlindIndex, SealError
from pdms.db import fetcher
from pdms.errors import IntegrityBroken, KeyUnavailable, NotFound
from pdms.taxonomy import MemberId
from pdms.unit_of_work import UnitOfWork
from pdms.vault.sealing import FieldCodes, Indexes, open_named

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
    try:
        return _look_up(uow, index, value)
    except IntegrityBroken as error:
        if error.code != SealError.WRONG_KEY_VERSION.value:
            raise
    return _look_up(uow, index, value)  # a rotation put the coming key in place between reading bytes and key


def _look_up(uow: UnitOfWork, index: str, value: str) -> list[Opened]:
    kept = uow.session.info.get(_KEPT) or _keep(uow)
    code, name, opened_index = kept.opened.get(index) or kept.open(index)
    encoded = value.encode()
    rows = [row for one in opened_index for row in kept.fetch(_FOUND, (code, one.digest(encoded)))]
    if not rows:  # nobody, or a rotation of the index passed between its keys and its entries
        uow.keys.refresh()
        again = Indexes(uow.keys, uow.policy).looked_up(index, [value], retired=True)
        rows = [row for digest, _ in again for row in kept.fetch(_FOUND, (code, digest))]
    if not rows:
        return []
    rows.sort(key=itemgetter(0))  # by member id, which tells nothing; in the database one row would be sorted as well
    deks = uow.keys.deks([MemberId(row[0]) for row in rows])
    opened = []
    for member_id, version, sequence, blob in rows:
        dek = deks.get(member_id)
        if dek is None:
            raise KeyUnavailable("member: its key is gone", code="MEMBER_KEY_GONE")
        fields = open_named(dek, member_id, version, sequence, blob, codes=kept.codes)
        if fields.get(name) != value:
            raise IntegrityBroken("index: an entry leads to a member who has another value", code="INDEX_MOVED")
        opened.append(Opened(MemberId(member_id), fields))
    return opened


class _Kept:
    """What each look-up of one transaction needs: keying an index costs more than a digest."""

    __slots__ = ("_indexes", "codes", "fetch", "opened")

    def __init__(self, uow: UnitOfWork) -> None:
        self._indexes, self.codes = Indexes(uow.keys, uow.policy), FieldCodes(uow.policy)
        self.fetch = fetcher(uow.session.connection())
        self.opened: dict[str, tuple[int, str, tuple[BlindIndex, ...]]] = {}
        """Index → its code, its field, itself under each version of its key."""

    def open(self, index: str) -> tuple[int, str, tuple[BlindIndex, ...]]:
        """Open an index on first use. :raises NotFound: the policy has none of that name."""
        name = self._indexes.field_of.get(index)
        if name is None:
            raise NotFound(f"index {index}: the policy has none of that name")
        found = self.opened[index] = (self._indexes.code_of[index], name, self._indexes.opened(index))
        return found


def _keep(uow: UnitOfWork) -> _Kept:
    kept = uow.session.info[_KEPT] = _Kept(uow)
    return kept
