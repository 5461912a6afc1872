"""What the gate reads of consent: facts of one member, and columns over all members for set decisions.

Guarantee: both come from the same materialised state and the same dictionary of shapes. Where a purpose is per
recipient, a record without a recipient (a withdrawal of them all) counts beside the recipient's own, the weightier of
the two. Deliberately not here: any judgement; ages and standing are the vault's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, text

from pdms.consent.notices import DELIVERED, Terms, all_terms, telling
from pdms.consent.state import weight
from pdms.consent.store import CURRENT, SHAPE
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
    query = (
        select(
            SHAPE.c.state,
            SHAPE.c.type,
            SHAPE.c.notice_no,
            SHAPE.c.categories,
            CURRENT.c.occurred_at,
            CURRENT.c.seq,
        )
        .join(CURRENT, CURRENT.c.shape == SHAPE.c.shape)
        .where(CURRENT.c.purpose == purpose.name, CURRENT.c.recipient.in_(names), CURRENT.c.member_id == member_id)
    )
    rows = uow.session.connection().execute(query).all()
    if not rows:
        return NO_CONSENT
    best = max(rows, key=lambda row: weight(ConsentState(row.state), row.occurred_at, row.seq))
    return facts_of(
        all_terms(uow.session),
        purpose.name,
        state=best.state,
        type=best.type,
        notice_no=best.notice_no,
        categories=best.categories,
        occurred_at=best.occurred_at,
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
    ran_out = "0"
    bound: dict[str, object] = {"purpose": purpose.name}
    if purpose.consent_days is not None:
        ran_out = "CASE WHEN occurred_at <= :cutoff THEN 1 ELSE 0 END"
        bound["cutoff"] = _cutoff(uow, purpose)
    rows = connection.execute(
        text(
            f"SELECT member_id, shape * 2 + {ran_out} FROM consent_current"
            " WHERE purpose = :purpose AND recipient = '' ORDER BY member_id"
        ),
        bound,
    ).all()
    return CurrentColumns([row[0] for row in rows], [row[1] for row in rows], facts)


def _cutoff(uow: UnitOfWork, purpose: Purpose) -> str:
    moment = uow.now - timedelta(days=purpose.consent_days or 0)
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


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
    query = (
        select(DELIVERED.c.notice_no)
        .where(DELIVERED.c.member_id == member_id, DELIVERED.c.notice_no.in_(sorted(numbers)))
        .limit(1)
    )
    return uow.session.connection().execute(query).first() is not None


def served_members(
    uow: UnitOfWork, *, purpose: Purpose, required: frozenset[str], operation: Operation
) -> Sequence[bytes]:
    """Return the ids of all members who were shown a version that tells of this use."""
    numbers = telling(uow.policy, all_terms(uow.session), purpose=purpose.name, required=required, operation=operation)
    listed = ", ".join(str(int(number)) for number in sorted(numbers))
    if not listed:
        return []
    rows = uow.session.connection().execute(
        text(f"SELECT member_id FROM notice_delivery WHERE notice_no IN ({listed})")
    )
    return [row[0] for row in rows]
