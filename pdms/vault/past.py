"""Standing and stage of life of all members, with when each row was made and last changed: for looking back."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from pdms.db import stored_day, stored_instant
from pdms.taxonomy import MemberId, MemberStatus
from pdms.unit_of_work import UnitOfWork

_ROWS = "SELECT member_id, status, turns_14, turns_18, created_at, updated_at, row_no FROM member"


@dataclass(frozen=True, slots=True)
class MemberThen:
    """One row. Where `updated_at` lies after an instant, what the row said at that instant is not known any more."""

    member_id: MemberId
    status: MemberStatus
    turns_14: date | None
    turns_18: date | None
    created_at: datetime
    updated_at: datetime
    row_no: int
    """Ascending in the order of entering."""


def members_then(uow: UnitOfWork) -> Iterator[MemberThen]:
    """Yield every row that is still there."""
    for member, status, t14, t18, created, updated, row_no in uow.session.connection().exec_driver_sql(_ROWS):
        yield MemberThen(
            MemberId(member),
            MemberStatus(status),
            stored_day(t14),
            stored_day(t18),
            stored_instant(created),
            stored_instant(updated),
            row_no,
        )
