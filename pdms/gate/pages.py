"""The packed state of all members: columns in pages, by buckets of member ids, with a log of whom they do not tell.

Guarantees: a copy and nothing more, which a change makes void in the same transaction (the logs of `vault` and
`consent`): who is in a log is read from the tables, so that a withdrawal counts from its commit on. Pages are brought
up to date by whoever finds many in the logs, by the sweep, and for an erased member at once. On PostgreSQL several may
read while one writes: the logs are read before the pages, and a bucket's columns in one statement, so that whatever a
page does not yet tell was in the log. Memory: a group of buckets (`GROUP` members) at a time.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from pdms.consent import sets as consents
from pdms.db import Changes, Lock, Span, alone_at_once, raw_rows
from pdms.errors import Conflict
from pdms.gate.columns import EMPTY, Columns, consent_column, heads, kind_of, merged, packed_ids, places, read_tables
from pdms.gate.names import Names
from pdms.taxonomy import MemberId
from pdms.unit_of_work import UnitOfWork
from pdms.vault import service as vault

BUCKET: Final = 1024
"""Members aimed at in one bucket."""
GROUP: Final = 1 << 18
"""Members read, or decided on, at a time."""
_BITS: Final = 16
_SHIFT: Final = 20
_WIDTH: Final = 16
"""Bytes of a member id."""
_COLUMNS: Final = 200
"""Columns in one statement, below the engines' limits; a decision reads ten, and only who holds the lock reads more."""
_FEW: Final = 2_000
_MEMBER: Final = ("id", "status", "turns_14", "turns_18", "wishes", "told")
_UPSERT: Final = (
    "INSERT INTO set_page (page_no, body) VALUES (?, ?) ON CONFLICT (page_no) DO UPDATE SET body = excluded.body"
)


@dataclass(frozen=True, slots=True)
class _Cut:
    """How pages are cut: buckets by leading bits of the id."""

    bits: int
    members: int

    @property
    def buckets(self) -> int:
        return 1 << self.bits

    def bounds(self, first: int, last: int) -> Span:
        """Return the ids of the buckets from `first` up to, and not with, `last`."""
        low, high = (self._start(bucket) for bucket in (first, last))
        return Span(low or b"", high)

    def _start(self, bucket: int) -> bytes | None:
        if bucket >= self.buckets:
            return None
        return (bucket << (8 * _WIDTH - self.bits)).to_bytes(_WIDTH, "big")

    def groups(self) -> Iterator[tuple[int, int]]:
        """Iterate over ranges of buckets that hold about `GROUP` members each."""
        step = max(1, GROUP * self.buckets // max(self.members, 1))
        for first in range(0, self.buckets, step):
            yield first, min(first + step, self.buckets)


Pair = tuple[str, str]
"""A purpose and a recipient ("": all)."""


def groups_of(uow: UnitOfWork, pairs: Sequence[Pair], kinds: Sequence[str], *, names: Names) -> Iterator[Columns]:
    """Iterate over all living members, in ascending order within a group and from group to group, but for the last.

    The last group are those whose state changed of late.

    :param pairs: whose consents are wanted besides the member's own columns, :param kinds: and which columns of them.
    """
    _settle(uow)
    connection = uow.session.connection()
    changes = _both(vault.state_changes(uow), consents.consent_changes(uow))  # before the pages: see above
    cut = _cut(uow)
    if cut is None or changes.everybody:
        yield from _from_tables(uow, pairs, names=names)
        return
    names.refresh()
    wanted = [consent_column(kind, *pair) for kind in kinds for pair in pairs]
    numbers = {text: number for number, text in names.meanings("column").items()}
    columns = {name: numbers[name] for name in (*_MEMBER, *wanted) if name in numbers}
    away = sorted(changes.members)
    for first, last in cut.groups():
        found = _read(connection, cut, columns, first, last)
        gone = places(found.ids, away)
        if len(gone):
            kept = np.ones(len(found), bool)
            kept[gone] = False
            found = found.where(kept)
        yield found
    if away:
        yield read_tables(uow, tuple(away), names=names, pairs=pairs)


def settle(uow: UnitOfWork) -> int:
    """Bring the pages up to date, whatever there is to do; return the members whose state is packed."""
    _settle(uow, at_once=True)
    cut = _cut(uow)
    return cut.members if cut is not None else 0


def drop(uow: UnitOfWork, member_ids: Iterable[MemberId]) -> None:
    """Take erased members out of the pages now, so that the purge which follows finds nothing of them.

    Where another process is about the pages (PostgreSQL, which claims no erased bytes), it is done with the next work
    on them: the members are in the log, and no decision reads their pages.
    """
    connection, gone = uow.session.connection(), frozenset(member_ids)
    cut = _cut(uow)
    if cut is None or not gone or not alone_at_once(connection, Lock.SET_PAGES):
        return
    _patch(uow, cut, gone, names=Names(uow.session.connection(), keep=True))


def _both(one: Changes, other: Changes) -> Changes:
    return Changes(one.members | other.members, one.everybody or other.everybody)


def _cut(uow: UnitOfWork) -> _Cut | None:
    row = uow.session.connection().exec_driver_sql("SELECT bits, members FROM set_state").first()
    return None if row is None else _Cut(*row)


def _settle(uow: UnitOfWork, *, at_once: bool = False) -> None:
    """Read anew whose state changed, where they are many (or `at_once`), and where nobody else is about it."""
    if uow.read_only:
        return
    connection = uow.session.connection()
    cut = _cut(uow)
    if cut is not None and not at_once:
        changes = _both(vault.state_changes(uow), consents.consent_changes(uow))
        if not changes.everybody and len(changes.members) <= max(_FEW, cut.members // 64):
            return
    if not alone_at_once(connection, Lock.SET_PAGES):
        return
    changes = _both(vault.state_changes(uow, forget=True), consents.consent_changes(uow, forget=True))
    names = Names(connection, keep=True)
    cut = _cut(uow)
    grown = cut is not None and len(changes.members) > max(_FEW, cut.members // 4)
    if cut is None or changes.everybody or grown:
        _build(uow, names=names)
    elif changes.members:
        _patch(uow, cut, changes.members, names=names)


def _build(uow: UnitOfWork, *, names: Names) -> None:
    connection = uow.session.connection()
    held = int(connection.exec_driver_sql("SELECT count(*) FROM member").scalar_one())
    cut = _Cut(min(_BITS, max(0, (held // BUCKET).bit_length())), held)
    connection.exec_driver_sql("DELETE FROM set_page")
    connection.exec_driver_sql("DELETE FROM set_state")
    pairs, packed = consents.pairs(uow), 0
    for first, last in cut.groups():
        columns = read_tables(uow, cut.bounds(first, last), names=names, pairs=pairs)
        packed += len(columns)
        _write(uow, cut, columns, range(first, last), names=names, fresh=True)
    connection.exec_driver_sql("INSERT INTO set_state (row_no, bits, members) VALUES (1, ?, ?)", (cut.bits, packed))


def _patch(uow: UnitOfWork, cut: _Cut, changed: frozenset[bytes], *, names: Names) -> None:
    connection = uow.session.connection()
    columns = names.meanings("column")
    numbers = {text: number for number, text in columns.items()}
    fresh = read_tables(uow, tuple(sorted(changed)), names=names, pairs=consents.pairs(uow))
    more = 0
    for bucket in sorted({_bucket(one, cut.bits) for one in changed}):
        before = _read(connection, cut, numbers, bucket, bucket + 1)
        kept = np.ones(len(before), bool)
        kept[places(before.ids, changed)] = False
        after = merged(before.where(kept), _of_bucket(fresh, cut, bucket))
        more += len(after) - len(before)
        _write(uow, cut, after, range(bucket, bucket + 1), names=names, fresh=False)
    if more:
        connection.exec_driver_sql("UPDATE set_state SET members = members + ?", (more,))


def _bucket(member: bytes, bits: int) -> int:
    return int.from_bytes(member[:4], "big") >> (32 - bits)


def _buckets(columns: Columns, cut: _Cut) -> Any:
    found = heads(columns.ids)
    return found >> np.uint64(64 - cut.bits) if cut.bits else np.zeros(len(found), np.uint64)


def _of_bucket(columns: Columns, cut: _Cut, bucket: int) -> Columns:
    return columns.where(_buckets(columns, cut) == bucket)


def _write(uow: UnitOfWork, cut: _Cut, columns: Columns, buckets: range, *, names: Names, fresh: bool) -> None:
    """Write the pages of some buckets from the columns of all their members. A page of zeros is no page."""
    texts = ["id", *columns.values]
    numbers = names.numbers("column", texts)
    ends = np.searchsorted(_buckets(columns, cut), np.arange(buckets.start, buckets.stop + 1, dtype=np.uint64))
    rows: list[tuple[int, bytes]] = []
    for text in texts:
        array = columns.ids if text == "id" else columns.values[text]
        for at, bucket in enumerate(buckets):
            part = array[ends[at] : ends[at + 1]]
            if len(part) and (text == "id" or part.any()):
                rows.append((numbers[text] << _SHIFT | bucket, part.tobytes()))
    run = uow.session.connection().exec_driver_sql
    if not fresh:
        kept = {page for page, _ in rows}
        for number in names.meanings("column"):
            for bucket in buckets:
                page = number << _SHIFT | bucket
                if page not in kept:
                    run("DELETE FROM set_page WHERE page_no = ?", (page,))
    if rows:
        run(_UPSERT, rows)


def _read(connection: Any, cut: _Cut, columns: dict[str, int], first: int, last: int) -> Columns:
    """Return the columns of some buckets, read in one statement with the cut they are of."""
    pages: dict[int, bytes] = {}
    numbers = list(columns.values())
    for at in range(0, max(len(numbers), 1), _COLUMNS):
        pieces = ["SELECT -1 - bits, CAST(NULL AS bytea) FROM set_state"]
        bound: list[int] = []
        for number in numbers[at : at + _COLUMNS]:
            pieces.append("SELECT page_no, body FROM set_page WHERE page_no >= ? AND page_no < ?")
            bound += [number << _SHIFT | first, (number << _SHIFT) + last]
        pages.update(raw_rows(connection, " UNION ALL ".join(pieces), bound))
        if -1 - cut.bits not in pages:
            raise Conflict("members: their packed state was cut anew at this moment; try again", code="DATABASE_BUSY")
    names = {number: name for name, number in columns.items()}
    if "id" not in columns:
        return EMPTY
    sizes = [len(pages.get(columns["id"] << _SHIFT | bucket, b"")) // _WIDTH for bucket in range(first, last)]
    values: dict[str, Any] = {}
    for number, name in names.items():
        kind = kind_of(name)
        found = [pages.get(number << _SHIFT | bucket) for bucket in range(first, last)]
        if name == "id":
            ids = packed_ids(page for page in found if page is not None)
        elif any(page is not None for page in found):
            blank = (page or bytes(size * kind.itemsize) for page, size in zip(found, sizes, strict=True))
            values[name] = np.frombuffer(b"".join(blank), kind)
    return Columns(ids, values)


def _from_tables(uow: UnitOfWork, pairs: Sequence[Pair], *, names: Names) -> Iterator[Columns]:
    """The same from the tables themselves: for whoever may not write, or while another brings the pages up to date."""
    held = int(uow.session.connection().exec_driver_sql("SELECT count(*) FROM member").scalar_one())
    cut = _Cut(_BITS, held)
    for first, last in cut.groups():
        yield read_tables(uow, cut.bounds(first, last), names=names, pairs=pairs)
