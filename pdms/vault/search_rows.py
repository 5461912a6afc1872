"""Search entries in the tables: added with a member, brought along when one changes, gone with one.

Guarantee: whoever writes a member under another plan than the one last built says so in the same transaction
(`complete` false), so that a search never passes over members in silence.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from pdms.db import insert_rows
from pdms.unit_of_work import UnitOfWork
from pdms.vault.searches import NO_PLAN, Entry, Searches, join_entries, split_entries

_STATE: Final = "pdms.vault.search_state"
_INSERT: Final = "INSERT INTO search_index (kind, bucket, row_no) VALUES (?, ?, ?)"
_INDEX: Final = (("kind", "int4"), ("bucket", "int8"), ("row_no", "int8"))
_BESIDE: Final = (("row_no", "int8"), ("plan", "bytea"), ("entries", "bytea"))
_DELETE: Final = "DELETE FROM search_index WHERE kind = ? AND bucket = ? AND row_no = ?"
_OWN: Final = (
    "INSERT INTO member_search (row_no, plan, entries) VALUES (?, ?, ?)"
    " ON CONFLICT (row_no) DO UPDATE SET plan = excluded.plan, entries = excluded.entries"
)


def built_plan(uow: UnitOfWork) -> tuple[bytes, bool]:
    """Return the plan last built or being built, and whether every member is in it; `NO_PLAN` where none was."""
    info = uow.session.info
    if _STATE not in info:
        run = uow.session.connection().exec_driver_sql
        row = run("SELECT plan, complete FROM search_state WHERE row_no = 1").first()
        info[_STATE] = (NO_PLAN, True) if row is None else (bytes(row[0]), bool(row[1]))
    state: tuple[bytes, bool] = info[_STATE]
    return state


def set_plan(uow: UnitOfWork, plan: bytes, *, complete: bool) -> None:
    """Note what is built; `NO_PLAN` and complete: nothing is, and nothing is left over."""
    run = uow.session.connection().exec_driver_sql
    if plan == NO_PLAN and complete:
        run("DELETE FROM search_state")
    else:
        run(
            "INSERT INTO search_state (row_no, plan, complete) VALUES (1, ?, ?)"
            " ON CONFLICT (row_no) DO UPDATE SET plan = excluded.plan, complete = excluded.complete",
            (plan, complete),
        )
    uow.session.info[_STATE] = (plan, complete)


def add_entries(uow: UnitOfWork, columns: Mapping[str, Sequence[str]], numbers: Sequence[int]) -> None:
    """Add the entries of new members. :param columns: field → values, in the order of the row numbers."""
    searches = _searches(uow)
    if searches is None:
        return
    own = searches.of_columns(columns, len(numbers))
    rows = sorted(
        (code, bucket, row_no) for row_no, entries in zip(numbers, own, strict=True) for code, bucket in entries
    )
    connection = uow.session.connection()
    if rows:
        insert_rows(connection, "search_index", _INDEX, rows)
    if searches.declared:
        beside = [(row_no, searches.plan, join_entries(one)) for row_no, one in zip(numbers, own, strict=True)]
        insert_rows(connection, "member_search", _BESIDE, beside)


def replace_entries(uow: UnitOfWork, row_no: int, fields: Mapping[str, str]) -> None:
    """Bring the entries of a changed member along."""
    searches = _searches(uow)
    if searches is not None:
        write_entries(uow, row_no, searches.entries(fields), held=own_entries(uow, row_no), plan=searches.plan)


def write_entries(
    uow: UnitOfWork, row_no: int, entries: Sequence[Entry], *, held: Sequence[Entry], plan: bytes
) -> None:
    """Put `entries` in place of those `held`."""
    run = uow.session.connection().exec_driver_sql
    gone = [(code, bucket, row_no) for code, bucket in held if (code, bucket) not in entries]
    new = [(code, bucket, row_no) for code, bucket in entries if (code, bucket) not in held]
    if gone:
        run(_DELETE, gone)
    if new:
        run(_INSERT, new)
    if plan == NO_PLAN:
        run("DELETE FROM member_search WHERE row_no = ?", (row_no,))
    else:
        run(_OWN, (row_no, plan, join_entries(entries)))


def own_entries(uow: UnitOfWork, row_no: int) -> list[Entry]:
    """Return the entries that a member has."""
    run = uow.session.connection().exec_driver_sql
    stored = run("SELECT entries FROM member_search WHERE row_no = ?", (row_no,)).scalar()
    return split_entries(bytes(stored)) if stored is not None else []


def drop_entries(uow: UnitOfWork, row_no: int) -> None:
    """Remove what a member has; without reading its values, whose key is gone."""
    held = own_entries(uow, row_no)
    run = uow.session.connection().exec_driver_sql
    if held:
        run(_DELETE, [(code, bucket, row_no) for code, bucket in held])
    run("DELETE FROM member_search WHERE row_no = ?", (row_no,))


def _searches(uow: UnitOfWork) -> Searches | None:
    """Return the searches to maintain, None where there are none and were none."""
    plan, _ = built_plan(uow)
    if plan == NO_PLAN and not uow.policy.searches:
        return None
    searches = Searches(uow.keys, uow.policy)
    if plan != searches.plan:  # said even where it stands so: whoever is about to call it complete waits for this row
        set_plan(uow, plan, complete=False)
    return searches
