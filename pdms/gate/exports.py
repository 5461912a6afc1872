"""Whose data went abroad this year: the count that decides which mechanism covers the next export (XBF-7, 8).

Guarantees: distinct people, by the year in China; a member is counted in the transaction of the Permit, under a lock,
so that two processes cannot both be the last one below a threshold. The random member id stays after an erasure, as in
the log: the year's number must not fall. Deliberately not here: what leaves; a Permit that is not used was counted.
"""

from collections.abc import Sequence

from pdms.clock import SHANGHAI
from pdms.db import Lock, alone, rows_of
from pdms.policy.crossborder import Exported
from pdms.taxonomy import MemberId
from pdms.unit_of_work import UnitOfWork

_COUNTED = "SELECT member_id, sensitive FROM exported_member WHERE year = ?"


def hold(uow: UnitOfWork) -> None:
    """Let nobody else count until this unit ends."""
    alone(uow.session.connection(), Lock.EXPORTS)


def with_them(uow: UnitOfWork, member_ids: Sequence[MemberId], *, sensitive: bool) -> Exported:
    """Return the year's count as it would be with these members. :param sensitive: sensitive data of theirs goes."""
    before = _so_far(uow)
    new, upgraded = _news(uow, member_ids, sensitive=sensitive)
    return Exported(before.people + len(new), before.sensitive + (len(new) + len(upgraded) if sensitive else 0))


def count(uow: UnitOfWork, member_ids: Sequence[MemberId], *, sensitive: bool) -> None:
    """Count these members."""
    year = _year(uow)
    new, upgraded = _news(uow, member_ids, sensitive=sensitive)
    run = uow.session.connection().exec_driver_sql
    if new:
        run(
            "INSERT INTO exported_member (year, member_id, sensitive) VALUES (?, ?, ?)",
            [(year, one, sensitive) for one in new],
        )
    if upgraded:
        run(
            "UPDATE exported_member SET sensitive = ? WHERE year = ? AND member_id = ?",
            [(True, year, one) for one in upgraded],
        )
    if new or upgraded:
        more = len(new) + len(upgraded) if sensitive else 0
        run(
            "INSERT INTO export_count (year, people, sensitive) VALUES (?, ?, ?) ON CONFLICT (year) DO UPDATE SET"
            " people = export_count.people + excluded.people, sensitive = export_count.sensitive + excluded.sensitive",
            (year, len(new), more),
        )


def _year(uow: UnitOfWork) -> int:
    return uow.now.astimezone(SHANGHAI).year


def _so_far(uow: UnitOfWork) -> Exported:
    row = (
        uow.session.connection()
        .exec_driver_sql("SELECT people, sensitive FROM export_count WHERE year = ?", (_year(uow),))
        .first()
    )
    return Exported() if row is None else Exported(int(row[0]), int(row[1]))


def _news(uow: UnitOfWork, member_ids: Sequence[MemberId], *, sensitive: bool) -> tuple[list[MemberId], list[MemberId]]:
    """Return who is not counted yet, and who is, but not for sensitive data that goes now."""
    rows = rows_of(uow.session.connection(), _COUNTED, tuple(member_ids), _year(uow))
    known = {bytes(member): bool(held) for member, held in rows}
    new = [one for one in member_ids if one not in known]
    return new, [one for one in member_ids if sensitive and known.get(one) is False]
