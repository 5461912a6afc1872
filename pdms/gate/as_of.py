"""The facts that decided in the past, read anew from the records: the same fold, by what was known then.

Guarantee: nothing materialised is read. What was known is told by running numbers (`seen.Upto`) where the decision's
event has them, else by its instant: `strictly` leaves out what bears the instant itself, since of two things at the
very same microsecond nobody can tell which came first, and a replay accepts either order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pdms.consent.notices import all_terms, telling
from pdms.consent.sets import NO_CONSENT, facts_of
from pdms.consent.state import weight
from pdms.db import stored_instant
from pdms.gate.seen import TABLES, Upto
from pdms.policy.decide import ConsentFacts, RestrictionFact, Use, required_categories
from pdms.policy.definitions import Policy, Purpose
from pdms.taxonomy import ConsentState, MemberId, RestrictionKind
from pdms.unit_of_work import UnitOfWork

_CONSENTS = (
    "SELECT member_id, recipient, state, type, notice_no, categories, occurred_at, known_at, seq FROM consent_record"
    " WHERE purpose = ?"
)
_WISHES = "SELECT member_id, kind, purpose, channel, active, occurred_at, seq FROM restriction_record"
_SHOWN = "SELECT member_id, notice_no, delivered_at, COALESCE(seq, 0) FROM notice_delivery"


@dataclass(frozen=True, slots=True)
class Instant:
    """When, and whether what bears that very microsecond counts: for events that tell no numbers."""

    at: datetime
    strictly: bool = False

    def before(self, stored: Any) -> bool:
        """Return whether a stored instant had come."""
        then = stored_instant(stored)
        return then < self.at if self.strictly else then <= self.at


When = Instant | Upto
"""By what it is judged whether a record was there."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the records told, by member."""

    consents: Mapping[bytes, ConsentFacts] = field(default_factory=dict)
    served: frozenset[bytes] = frozenset()
    wishes: Mapping[bytes, tuple[RestrictionFact, ...]] = field(default_factory=dict)

    def consent(self, member: bytes) -> ConsentFacts:
        """Return a member's consent; UNASKED where there is none."""
        return self.consents.get(member, NO_CONSENT)


def known(
    uow: UnitOfWork, *, policy: Policy, purpose: Purpose, use: Use, when: When, member: MemberId | None = None
) -> Known:
    """Return what a decision about `purpose` read. :param member: of this member only."""
    asks = purpose.rests_on_consent or purpose.minors == "guardian"
    tells = purpose.notice is not None and not purpose.rests_on_consent
    return Known(
        _consents(uow, purpose, use.recipient or "", when, member) if asks else {},
        _served(uow, policy, purpose, use, when, member) if tells else frozenset(),
        _wishes(uow, when, member),
    )


def members_between(uow: UnitOfWork, low: Upto, high: Upto) -> frozenset[bytes]:
    """Return of whom there are records beyond `low` and up to `high`: others were writing them at that moment."""
    found: set[bytes] = set()
    ends = zip(TABLES, (low.consents, low.wishes, low.notices), (high.consents, high.wishes, high.notices), strict=True)
    for table, first, last in ends:
        if first < last:
            sql = f"SELECT DISTINCT member_id FROM {table} WHERE seq > ? AND seq <= ?"
            found.update(row[0] for row in uow.session.connection().exec_driver_sql(sql, (first, last)))
    return frozenset(found)


def _rows(uow: UnitOfWork, sql: str, bound: tuple[Any, ...], member: MemberId | None, order: str) -> Iterable[Any]:
    if member is not None:
        sql += (" AND" if " WHERE " in sql else " WHERE") + " member_id = ?"
        bound += (member,)
    return uow.session.connection().exec_driver_sql(f"{sql} ORDER BY {order}", bound)


def _consents(
    uow: UnitOfWork, purpose: Purpose, recipient: str, when: When, member: MemberId | None
) -> dict[bytes, ConsentFacts]:
    names = {"", recipient} if purpose.per_recipient else {""}
    best: dict[bytes, tuple[Any, Any]] = {}
    for row in _rows(uow, _CONSENTS, (purpose.name,), member, "seq"):
        if row[1] not in names:
            continue
        if isinstance(when, Upto):
            if row[8] > when.consents:
                continue
        elif not (when.before(row[6]) and when.before(row[7])):
            continue
        heavy = weight(ConsentState(row[2]), stored_instant(row[6]), row[8])
        if row[0] not in best or heavy > best[row[0]][0]:
            best[row[0]] = (heavy, row)
    terms = all_terms(uow.session)
    return {
        found: facts_of(
            terms,
            purpose.name,
            state=row[2],
            type=row[3],
            notice_no=row[4] or 0,
            categories=row[5],
            occurred_at=heavy[1],
        )
        for found, (heavy, row) in best.items()
    }


def _served(
    uow: UnitOfWork, policy: Policy, purpose: Purpose, use: Use, when: When, member: MemberId | None
) -> frozenset[bytes]:
    numbers = telling(
        policy,
        all_terms(uow.session),
        purpose=purpose.name,
        required=required_categories(policy, use),
        operation=use.operation,
    )
    rows = _rows(uow, _SHOWN, (), member, "member_id")
    if isinstance(when, Upto):
        return frozenset(row[0] for row in rows if row[1] in numbers and row[3] <= when.notices)
    return frozenset(row[0] for row in rows if row[1] in numbers and when.before(row[2]))


def _wishes(uow: UnitOfWork, when: When, member: MemberId | None) -> dict[bytes, tuple[RestrictionFact, ...]]:
    standing: dict[bytes, dict[RestrictionFact, bool]] = {}
    for found, kind, purpose, channel, active, at, seq in _rows(uow, _WISHES, (), member, "seq"):
        if seq <= when.wishes if isinstance(when, Upto) else when.before(at):
            standing.setdefault(found, {})[RestrictionFact(RestrictionKind(kind), purpose, channel)] = bool(active)
    return {found: tuple(fact for fact, active in facts.items() if active) for found, facts in standing.items()}
