"""What the gate reads of consent: facts of one member, and columns over all members for set decisions.

Guarantee: both come from the same materialised state and the same dictionary of shapes. Where a purpose is per
recipient, a record without a recipient (a withdrawal of them all) counts beside the recipient's own, the weightier of
the two. Deliberately not here: any judgement; ages and standing are the vault's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from pdms.consent.notices import Terms, all_terms, telling
from pdms.consent.state import weight
from pdms.consent.store import CURRENT, SHAPE, stored
from pdms.db import stored_instant
from pdms.policy.decide import ConsentFacts
from pdms.policy.definitions import Purpose
from pdms.taxonomy import ConsentState, ConsentType, MemberId, Operation
from pdms.unit_of_work import UnitOfWork

NO_CONSENT = ConsentFacts()


@dataclass(frozen=True, slots=True)
class CurrentColumns:
    """Current consents to one purpose over all members, in the order of member ids."""

    member_ids: list[bytes]
    codes: list[int]
    """shape * 2, plus one where the consent has run out."""
    facts: Mapping[int, ConsentFacts]
    """Code → facts; a consent that ran out has the state EXPIRED."""


def facts_of(
    terms: Mapping[int, Terms],
    purpose: str,
    *,
    state: str,
    type: str,  # noqa: A002 - the word of the standard
    notice_no: int,
    categories: str,
    occurred_at: datetime | None = None,
) -> ConsentFacts:
    """Return the decision's form of one shape."""
    told = terms.get(notice_no)
    operations = told.purposes.get(purpose, ((), ()))[1] if told else ()
    return ConsentFacts(
        state=ConsentState(state),
        type=ConsentType(type),
        occurred_at=occurred_at,
        categories=tuple(name for name in categories.split(",") if name),
        operations=operations,
        audience=told.audience if told else "adult",
    )


def consent_facts(uow: UnitOfWork, member_id: MemberId, *, purpose: Purpose, recipient: str = "") -> ConsentFacts:
    """Return the current consent of one member; UNASKED where there is none."""
    names = _recipients(purpose, recipient)
    rows = (
        uow.session.connection()
        .exec_driver_sql(_CURRENT.format(", ".join("?" * len(names))), (purpose.name, member_id, *names))
        .all()
    )
    if not rows:
        return NO_CONSENT
    heavy = [(weight(ConsentState(row[0]), stored_instant(row[4]), row[5]), row) for row in rows]
    order, best = max(heavy, key=lambda item: item[0])
    return facts_of(
        all_terms(uow.session),
        purpose.name,
        state=best[0],
        type=best[1],
        notice_no=best[2],
        categories=best[3],
        occurred_at=order[1],
    )


_CURRENT = (
    "SELECT s.state, s.type, s.notice_no, s.categories, c.occurred_at, c.seq"
    " FROM consent_current c JOIN consent_shape s ON s.shape = c.shape"
    " WHERE c.purpose = ? AND c.member_id = ? AND c.recipient IN ({})"
)


def _recipients(purpose: Purpose, recipient: str) -> list[str]:
    return sorted({"", recipient}) if purpose.per_recipient else [""]


def current_columns(uow: UnitOfWork, *, purpose: Purpose, recipient: str = "") -> CurrentColumns:
    """Return the current consents of all members to one purpose."""
    connection = uow.session.connection()
    terms = all_terms(uow.session)
    shapes = {row.shape: row for row in connection.execute(select(SHAPE))}
    facts: dict[int, ConsentFacts] = {}
    for number, row in shapes.items():
        found = facts_of(
            terms,
            purpose.name,
            state=row.state,
            type=row.type,
            notice_no=row.notice_no,
            categories=row.categories,
        )
        facts[number * 2] = found
        if found.state is ConsentState.GIVEN:
            facts[number * 2 + 1] = ConsentFacts(state=ConsentState.EXPIRED, type=found.type)
        else:
            facts[number * 2 + 1] = found
    names = _recipients(purpose, recipient)
    if len(names) > 1:
        return _merged(uow, purpose, names, facts)
    ran_out, bound = "0", [purpose.name]
    if purpose.consent_days is not None:
        ran_out = "CASE WHEN occurred_at <= ? THEN 1 ELSE 0 END"
        bound.insert(0, stored(uow.now - timedelta(days=purpose.consent_days)))
    rows = raw_rows(
        uow,
        f"SELECT member_id, shape * 2 + {ran_out} FROM consent_current"
        " WHERE purpose = ? AND recipient = '' ORDER BY member_id",
        bound,
    )
    return CurrentColumns([row[0] for row in rows], [row[1] for row in rows], facts)


def raw_rows(uow: UnitOfWork, sql: str, bound: Sequence[Any] = ()) -> list[Any]:
    """Return the driver's own tuples: for millions of rows, where SQLAlchemy's row objects cost as much as the read."""
    found = uow.session.connection().exec_driver_sql(sql, tuple(bound))
    rows = list(found.cursor.fetchall()) if found.cursor is not None else []
    found.close()
    return rows


def _merged(uow: UnitOfWork, purpose: Purpose, names: list[str], facts: Mapping[int, ConsentFacts]) -> CurrentColumns:
    query = select(CURRENT).where(CURRENT.c.purpose == purpose.name, CURRENT.c.recipient.in_(names))
    states = {number // 2: item.state for number, item in facts.items() if number % 2 == 0}
    best: dict[bytes, tuple[tuple[bool, datetime, int, int], int]] = {}
    for row in uow.session.connection().execute(query):
        state = states[row.shape]
        heavy = weight(state, row.occurred_at, row.seq)
        if row.member_id not in best or heavy > best[row.member_id][0]:
            best[row.member_id] = (heavy, row.shape)
    codes = {}
    for member, (heavy, shape) in best.items():
        out = purpose.consent_days is not None and heavy[1] + timedelta(days=purpose.consent_days) <= uow.now
        codes[member] = shape * 2 + out
    ordered = sorted(codes)
    return CurrentColumns(ordered, [codes[member] for member in ordered], facts)


def served(
    uow: UnitOfWork, member_id: MemberId, *, purpose: Purpose, required: frozenset[str], operation: Operation
) -> bool:
    """Return whether the member was shown a version that tells of this use."""
    numbers = telling(uow.policy, all_terms(uow.session), purpose=purpose.name, required=required, operation=operation)
    if not numbers:
        return False
    listed = ", ".join(str(number) for number in sorted(numbers))
    return (
        uow.session.connection()
        .exec_driver_sql(
            f"SELECT 1 FROM notice_delivery WHERE member_id = ? AND notice_no IN ({listed}) LIMIT 1", (member_id,)
        )
        .first()
        is not None
    )


def served_members(
    uow: UnitOfWork, *, purpose: Purpose, required: frozenset[str], operation: Operation
) -> Sequence[bytes]:
    """Return the ids of all members who were shown a version that tells of this use."""
    numbers = telling(uow.policy, all_terms(uow.session), purpose=purpose.name, required=required, operation=operation)
    listed = ", ".join(str(int(number)) for number in sorted(numbers))
    if not listed:
        return []
    rows = raw_rows(uow, f"SELECT member_id FROM notice_delivery WHERE notice_no IN ({listed})")
    return [row[0] for row in rows]
