"""Members as columns of numbers: what a set decision reads of each, in arrays of one length.

Columns, by name: `status` (place in `MemberStatus`), `turns_14` and `turns_18` (proleptic day number, 0: unknown),
`wishes` and `told` (numbers of `set_name`: which restrictions stand, which notices were shown; 0: none), and for
each purpose and recipient `shape/`, `at/`, `seq/` (the current consent's shape, 0: none; its instant, µs since 1970;
its number). Everything that the clock changes (age, running out) stays a date here and is judged at the decision.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pdms.consent import sets as consents
from pdms.db import Some
from pdms.gate.names import Names
from pdms.taxonomy import ID_BYTES, MemberStatus
from pdms.unit_of_work import UnitOfWork
from pdms.vault import service as vault

Array = NDArray[Any]
ID: Final = np.dtype(f"V{ID_BYTES}")
STATUS: Final = tuple(MemberStatus)
_PLAIN: Final[Mapping[str, str]] = {"id": ID.str, "status": "u1", "turns_14": "<i4", "turns_18": "<i4"}
_KINDS: Final[Mapping[str, str]] = {"wishes": "<u4", "told": "<u4", "shape": "<u4", "at": "<i8", "seq": "<i8"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def kind_of(name: str) -> Any:
    """Return the dtype of a column, by its name."""
    return np.dtype(_PLAIN.get(name) or _KINDS[name.split("/", 1)[0]])


def consent_column(kind: str, purpose: str, recipient: str) -> str:
    """Return the name of a consent column. Purposes and recipients are slugs, without a slash."""
    return f"{kind}/{purpose}/{recipient}"


@dataclass(frozen=True, slots=True)
class Columns:
    """Some members in ascending order of id, and what is known of them. A column that is absent is all zeros."""

    ids: Array
    values: Mapping[str, Array] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return how many members there are."""
        return len(self.ids)

    def column(self, name: str) -> Array:
        """Return one column."""
        found = self.values.get(name)
        return np.zeros(len(self.ids), kind_of(name)) if found is None else found

    def where(self, kept: Array) -> "Columns":
        """Return some of the members. :param kept: a mask, or places in ascending order."""
        return Columns(self.ids[kept], {name: array[kept] for name, array in self.values.items()})


EMPTY: Final = Columns(np.empty(0, ID))


def order_of(ids: Array) -> Array:
    """Return the places that put ids in ascending order."""
    halves = ids.view(">u8").reshape(-1, 2)
    return np.lexsort((halves[:, 1], halves[:, 0]))


def heads(ids: Array) -> Array:
    """Return the first eight bytes of each id as a number: it sorts as the id does, but for equal heads."""
    return ids.view(">u8")[::2].astype(np.uint64)


def places(ids: Array, wanted: Iterable[bytes]) -> Array:
    """Return the places at which wanted ids are found in ascending `ids`; those that are not there are left out."""
    asked = packed_ids(sorted(wanted))
    if not len(asked) or not len(ids):
        return np.empty(0, np.intp)
    ours, theirs = heads(ids), heads(asked)
    low, high = np.searchsorted(ours, theirs, "left"), np.searchsorted(ours, theirs, "right")
    found = []
    for at, (first, last) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        found += [place for place in range(first, last) if ids[place] == asked[at]]
    return np.array(sorted(found), np.intp)


def packed_ids(ids: Iterable[bytes]) -> Array:
    """Return ids as an array, in the order given."""
    return np.frombuffer(b"".join(ids), ID)


def merged(one: Columns, other: Columns) -> Columns:
    """Return the members of two sets that share none, in order."""
    if not len(one) or not len(other):
        return one if len(one) else other
    ids = np.concatenate([one.ids, other.ids])
    order = order_of(ids)
    names = {**one.values, **other.values}
    return Columns(ids[order], {n: np.concatenate([one.column(n), other.column(n)])[order] for n in names})


def read_tables(uow: UnitOfWork, some: Some, *, names: Names, pairs: Iterable[tuple[str, str]]) -> Columns:
    """Return the columns of some living members, from the tables themselves. :param pairs: of which consents."""
    states = [row for row in vault.state_rows(uow, some=some) if row[1] != _ERASED]
    if not states:
        return EMPTY
    ids = packed_ids([row[0] for row in states])
    order = order_of(ids)
    ids = ids[order]
    values: dict[str, Array] = {
        "status": np.array([_STATUS[row[1]] for row in states], kind_of("status"))[order],
        "turns_14": _days([row[3] for row in states])[order],
        "turns_18": _days([row[4] for row in states])[order],
    }
    for name, members, meanings in (
        ("wishes", *_grouped([(row[0], tuple(row[1:])) for row in consents.wish_rows(uow, some=some)])),
        ("told", *_grouped(consents.told_rows(uow, some=some))),
    ):
        if members:
            numbers = names.numbers(name, meanings)
            values[name] = _placed(ids, name, members, [numbers[meaning] for meaning in meanings])
    for purpose, recipient in pairs:
        rows = consents.current_rows(uow, purpose=purpose, recipient=recipient, some=some)
        if not rows:
            continue
        members = [row[0] for row in rows]
        for kind, column in (
            ("shape", [row[1] for row in rows]),
            ("at", _instants([row[2] for row in rows])),
            ("seq", [row[3] for row in rows]),
        ):
            name = consent_column(kind, purpose, recipient)
            values[name] = _placed(ids, name, members, column)
    return Columns(ids, values)


_ERASED: Final = MemberStatus.ERASED.value
_STATUS: Final = {status.value: place for place, status in enumerate(STATUS)}


def _days(texts: list[str | None]) -> Array:
    known = {text: 0 if text is None else date.fromisoformat(text).toordinal() for text in set(texts)}
    return np.array([known[text] for text in texts], kind_of("turns_14"))


def _instants(instants: list[Any]) -> Array:
    """Return instants as the driver gives them (UTC text on SQLite, naive UTC elsewhere) in µs since 1970."""
    return np.array(instants, "datetime64[us]").astype(np.int64)


def instant(moment: datetime) -> int:
    """Return an aware instant as a column holds it."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _grouped(rows: list[Any]) -> tuple[list[bytes], list[tuple[Any, ...]]]:
    """Return the members of (member, what) rows and for each all that is said of them, in order."""
    found: dict[bytes, tuple[Any, ...]] = {}
    for member, what in rows:
        before = found.get(member)
        found[member] = (what,) if before is None else tuple(sorted((*before, what)))
    return list(found), list(found.values())


def _placed(ids: Array, name: str, members: list[bytes], values: Any) -> Array:
    """Return a column with values of members, in any order, at their places; who is not among `ids` is nobody."""
    made = np.zeros(len(ids), kind_of(name))
    asked, values = packed_ids(members), np.asarray(values, kind_of(name))
    ours = heads(ids)
    at = np.minimum(np.searchsorted(ours, heads(asked)), len(ids) - 1)
    same = ids[at] == asked
    made[at[same]] = values[same]
    for stray in np.flatnonzero(~same).tolist():  # not among them, or behind another whose id begins alike
        found = places(ids, [members[stray]])
        made[found] = values[stray]
    return made
