"""What the gate reads of consent: facts of one member, and rows of many members for set decisions.

Guarantee: both come from the same materialised state and the same dictionary of shapes. Where a purpose is per
recipient, a record without a recipient (a withdrawal of them all) counts beside the recipient's own, the weightier of
the two. Deliberately not here: any judgement; ages and standing are the vault's.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select

from pdms.consent.notices import Terms, all_terms, telling
from pdms.consent.state import weight
from pdms.consent.store import CHANGED, SHAPE
from pdms.db import Changes, Some, rows_of, seen, stored_instant, take
from pdms.policy.decide import ConsentFacts
from pdms.policy.definitions import Purpose
from pdms.taxonomy import ConsentState, ConsentType, MemberId, Operation
from pdms.unit_of_work import UnitOfWork

NO_CONSENT = ConsentFacts()


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
    names = recipients_of(purpose, recipient)
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


def shape_facts(uow: UnitOfWork, *, purpose: Purpose) -> Mapping[int, ConsentFacts]:
    """Return what each shape of current consents means for one purpose: shape * 2, plus one where it has run out.

    A consent that ran out has the state EXPIRED; the instant at which it was given is the row's, not the shape's.
    """
    terms = all_terms(uow.session)
    facts = {}
    for row in uow.session.connection().execute(select(SHAPE)):
        found = facts_of(
            terms,
            purpose.name,
            state=row.state,
            type=row.type,
            notice_no=row.notice_no,
            categories=row.categories,
        )
        facts[row.shape * 2] = found
        given = found.state is ConsentState.GIVEN
        facts[row.shape * 2 + 1] = ConsentFacts(state=ConsentState.EXPIRED, type=found.type) if given else found
    return facts


def recipients_of(purpose: Purpose, recipient: str) -> list[str]:
    """Return the recipients whose records count, the weightiest of them: all at once ("") beside the one meant."""
    return sorted({"", recipient}) if purpose.per_recipient else [""]


def consent_changes(uow: UnitOfWork, *, forget: bool = False) -> Changes:
    """Return about whom something changed here since it was last asked with `forget`."""
    return (take if forget else seen)(uow.session.connection(), CHANGED)


def pairs(uow: UnitOfWork) -> list[tuple[str, str]]:
    """Return each purpose and recipient that anybody was asked for, by skipping through the key."""
    run = uow.session.connection().exec_driver_sql
    found: list[tuple[str, str]] = []
    row = run("SELECT purpose, recipient FROM consent_current ORDER BY purpose, recipient LIMIT 1").first()
    while row is not None:
        found.append((row[0], row[1]))
        row = run(
            "SELECT purpose, recipient FROM consent_current WHERE (purpose, recipient) > (?, ?)"
            " ORDER BY purpose, recipient LIMIT 1",
            found[-1],
        ).first()
    return found


def current_rows(uow: UnitOfWork, *, purpose: str, recipient: str, some: Some) -> list[Any]:
    """Return (member id, shape, when, seq) of some members' current consents, as the driver gives them."""
    sql = "SELECT member_id, shape, occurred_at, seq FROM consent_current WHERE purpose = ? AND recipient = ?"
    return rows_of(uow.session.connection(), sql, some, purpose, recipient)


def told_rows(uow: UnitOfWork, *, some: Some) -> list[Any]:
    """Return (member id, notice number) of what some members were shown."""
    return rows_of(uow.session.connection(), "SELECT member_id, notice_no FROM notice_delivery WHERE true", some)


def wish_rows(uow: UnitOfWork, *, some: Some) -> list[Any]:
    """Return (member id, kind, purpose, channel) of some members' standing restrictions."""
    sql = "SELECT member_id, kind, purpose, channel FROM restriction_current WHERE true"
    return rows_of(uow.session.connection(), sql, some)


def telling_numbers(
    uow: UnitOfWork, *, purpose: Purpose, required: frozenset[str], operation: Operation
) -> frozenset[int]:
    """Return the numbers of the notice versions that tell of a use."""
    return telling(uow.policy, all_terms(uow.session), purpose=purpose.name, required=required, operation=operation)


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
