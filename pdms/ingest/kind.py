"""What every kind of source has in common."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from pdms.facts.names import FactTable
from pdms.ingest.mapping import KEY_MEMBER, Batch
from pdms.ingest.readers import Rejected
from pdms.ingest.seen import KeysSeen
from pdms.policy.definitions import Source
from pdms.taxonomy import MemberId, Pseudonym
from pdms.unit_of_work import UnitOfWork
from pdms.vault import service as vault


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of one batch."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    accepted: int = 0
    rejected: Sequence[Rejected] = ()
    declined: Sequence[tuple[MemberId, str]] = field(default=(), repr=False)
    """Members who said no to a purpose."""


Declined = Callable[[UnitOfWork, Sequence[tuple[MemberId, str]]], None]
"""What follows from each no, in the unit that records it."""


class Kind(Protocol):
    """Stores the batches of one file in order. A continued load passes what was stored before with `write=False`, so
    that what a kind remembers between batches is the same as in an undisturbed run."""

    tables: ClassVar[tuple[FactTable, ...]]
    """Fact tables that it appends to."""

    def store(self, uow: UnitOfWork, batch: Batch, *, write: bool) -> Stored:
        """Store one batch within the unit."""
        ...

    def finish(self, uow: UnitOfWork, batch: int) -> None:
        """Store what was left over, as batch number `batch`."""
        ...


def column_name(source: Source, target: str) -> str:
    """Return the file's name of a target, for reports."""
    return next((column.column for column in source.columns if column.target == target), target)


def no_repeats(batch: Batch, seen: KeysSeen, keys: Sequence[object], source: Source, target: str) -> Batch:
    """Reject rows whose key the file has shown before: of two rows with one key nobody can say which is right."""
    repeated = seen.add(keys)
    name = column_name(source, target)
    return batch.without(dict.fromkeys(repeated, (name, "DUPLICATE_KEY")))


def with_members(
    uow: UnitOfWork, batch: Batch, source: Source, *, disabled_too: bool = False
) -> tuple[Batch, list[vault.MemberKeys]]:
    """Return the rows whose member is known, and the ids of these members; the others are rejected.

    :param disabled_too: rows of disabled members are taken in: of consents, since a withdrawal binds whoever it is;
        never of facts (ECL-24: a cancelled account is used for nothing more).
    """
    external_ids = batch.values[KEY_MEMBER]
    known = vault.resolve(uow, system=source.system, external_ids=external_ids)
    wrong: dict[int, tuple[str, str]] = {}
    name = column_name(source, KEY_MEMBER)
    for at, one in enumerate(external_ids):
        if one not in known:
            wrong[at] = (name, "UNKNOWN_MEMBER")
        elif known[one].disabled and not disabled_too:
            wrong[at] = (name, "MEMBER_DISABLED")
    if wrong:
        batch = batch.without(wrong)
    return batch, [known[one] for one in batch.values[KEY_MEMBER]]


def pseudonyms(members: Sequence[vault.MemberKeys]) -> list[Pseudonym]:
    """Return the pseudonyms of resolved members."""
    return [one.pseudonym for one in members]
