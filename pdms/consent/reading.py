"""Reading consent: state as of any instant, history with the text that was shown, coverage.

Guarantees: every answer about the past is folded from the append-only records with both clocks, never from the
materialised state; running out of time is judged at the instant asked for.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from pdms.consent.notices import Terms, all_terms, purpose_text
from pdms.consent.receipt import record_id_text
from pdms.consent.restrictions import own_or_staff
from pdms.consent.state import Fact, winning
from pdms.consent.store import CURRENT, NOTICE, RECORD, SHAPE
from pdms.errors import NotFound
from pdms.policy.decide import expired
from pdms.policy.definitions import Purpose
from pdms.taxonomy import ConsentState, ConsentType, Language, MemberId, Scope
from pdms.unit_of_work import ActorKind, UnitOfWork

COOLING = frozenset(state.value for state in (ConsentState.REQUESTED, ConsentState.REFUSED, ConsentState.WITHDRAWN))
"""After these nobody is asked again soon; a consent that was invalidated or ran out is no refusal."""


@dataclass(frozen=True, slots=True)
class Standing:
    """State of one consent at an instant."""

    state: ConsentState
    type: ConsentType
    occurred_at: datetime | None
    notice_id: str
    notice_version: str
    categories: tuple[str, ...]
    record_id: str


UNASKED = Standing(ConsentState.UNASKED, ConsentType.NONE, None, "", "", (), "")


@dataclass(frozen=True, slots=True)
class HistoryItem:
    """One consent event as the officer reads it."""

    record_id: str
    purpose: str
    recipient: str
    state: ConsentState
    type: ConsentType
    occurred_at: datetime
    known_at: datetime
    notice_id: str
    notice_version: str
    language: str
    title: str
    text: str
    """What the notice told of this purpose, word for word; "" where the event is bound to no notice."""
    categories: tuple[str, ...]
    channel: str
    evidence: str
    source: str
    actor: str
    policy_digest: str
    current: bool
    """Whether it is the one that counts at the instant asked for."""


def guardian_references(uow: UnitOfWork, member_id: MemberId) -> frozenset[str]:
    """Return the references of the guardians' proofs with which consents for a child were given."""
    given = select(RECORD.c.guardian).where(
        RECORD.c.member_id == member_id,
        RECORD.c.type == ConsentType.GUARDIAN.value,
        RECORD.c.state == ConsentState.GIVEN.value,
        RECORD.c.guardian != "",
    )
    return frozenset(uow.session.connection().execute(given).scalars())


@dataclass(frozen=True, slots=True)
class Askable:
    """Whether a member may be asked for one consent now."""

    purpose: str
    recipient: str
    state: ConsentState
    may_ask: bool
    not_before: datetime | None
    """End of the cool-down after they were asked, refused or withdrew (NDR-22(5)); None: none runs."""


@dataclass(frozen=True, slots=True)
class CoverageRow:
    """How many members stand in one state for one purpose, by notice version and channel of collection."""

    purpose: str
    notice_id: str
    notice_version: str
    language: str
    channel: str
    state: ConsentState
    members: int


def _rows(uow: UnitOfWork, member_id: MemberId, purpose: str | None = None) -> list[Mapping[str, Any]]:
    query = select(RECORD).where(RECORD.c.member_id == member_id).order_by(RECORD.c.seq)
    if purpose is not None:
        query = query.where(RECORD.c.purpose == purpose)
    return [dict(row) for row in uow.session.connection().execute(query).mappings()]


def _fact(row: Mapping[str, Any]) -> Fact:
    return Fact(ConsentState(row["state"]), ConsentType(row["type"]), row["occurred_at"], row["known_at"], row["seq"])


def _standing(
    uow: UnitOfWork, rows: list[Mapping[str, Any]], terms: Mapping[int, Terms], as_of: datetime, known: datetime
) -> Standing:
    fact = winning([_fact(row) for row in rows], as_of=as_of, known=known)
    if fact is None:
        return UNASKED
    row = next(row for row in rows if row["seq"] == fact.seq)
    told = terms.get(row["notice_no"] or 0)
    found = Standing(
        state=fact.state,
        type=fact.type,
        occurred_at=fact.occurred_at,
        notice_id=told.notice_id if told else "",
        notice_version=told.version if told else "",
        categories=tuple(name for name in row["categories"].split(",") if name),
        record_id=record_id_text(row["record_id"]),
    )
    purpose = uow.policy.purposes.get(row["purpose"])
    if fact.state is ConsentState.GIVEN and purpose and expired(fact.occurred_at, purpose=purpose, now=as_of):
        return replace(found, state=ConsentState.EXPIRED)
    return found


def state_of(
    uow: UnitOfWork,
    member_id: MemberId,
    *,
    purpose: str,
    recipient: str = "",
    as_of: datetime | None = None,
    known: datetime | None = None,
) -> Standing:
    """Return the state at `as_of` (default now), judged by what was known at `known` (default: now)."""
    rows = [row for row in _rows(uow, member_id, purpose) if row["recipient"] in ("", recipient)]
    return _standing(uow, rows, all_terms(uow.session), as_of or uow.now, known or uow.now)


def states(
    uow: UnitOfWork, member_id: MemberId, *, as_of: datetime | None = None, known: datetime | None = None
) -> dict[tuple[str, str], Standing]:
    """Return every consent of a member by (purpose, recipient); those never asked are absent."""
    own_or_staff(uow, member_id)
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in _rows(uow, member_id):
        groups.setdefault((row["purpose"], row["recipient"]), []).append(row)
    terms = all_terms(uow.session)
    found = {
        key: _standing(uow, rows, terms, as_of or uow.now, known or uow.now) for key, rows in sorted(groups.items())
    }
    return {key: item for key, item in found.items() if item.state is not ConsentState.UNASKED}


def history(
    uow: UnitOfWork, member_id: MemberId, *, as_of: datetime | None = None, known: datetime | None = None
) -> tuple[HistoryItem, ...]:
    """Return every consent event that had happened by `as_of` and was known by `known`, in the order it happened."""
    if uow.actor.kind is not ActorKind.MEMBER:
        uow.require(Scope.COMPLIANCE, Scope.SUPPORT)
    own_or_staff(uow, member_id)
    at, heard = as_of or uow.now, known or uow.now
    rows = [row for row in _rows(uow, member_id) if row["occurred_at"] <= at and row["known_at"] <= heard]
    groups: dict[tuple[str, str], list[Fact]] = {}
    for row in rows:
        groups.setdefault((row["purpose"], row["recipient"]), []).append(_fact(row))
    current = {fact.seq for facts in groups.values() if (fact := winning(facts, as_of=at, known=heard))}
    terms = all_terms(uow.session)
    published = uow.session.connection().execute(select(NOTICE.c.notice_no, NOTICE.c.content))
    contents = {row.notice_no: row.content for row in published}
    rows.sort(key=lambda row: (row["occurred_at"], row["seq"]))
    return tuple(_item(row, terms, contents, current=row["seq"] in current) for row in rows)


def _item(
    row: Mapping[str, Any], terms: Mapping[int, Terms], contents: Mapping[int, str], *, current: bool
) -> HistoryItem:
    told = terms.get(row["notice_no"] or 0)
    return HistoryItem(
        record_id=record_id_text(row["record_id"]),
        purpose=row["purpose"],
        recipient=row["recipient"],
        state=ConsentState(row["state"]),
        type=ConsentType(row["type"]),
        occurred_at=row["occurred_at"],
        known_at=row["known_at"],
        notice_id=told.notice_id if told else "",
        notice_version=told.version if told else "",
        language=told.language.value if told else "",
        title=told.title if told else "",
        text=purpose_text(contents[told.notice_no], row["purpose"]) if told else "",
        categories=tuple(name for name in row["categories"].split(",") if name),
        channel=row["channel"],
        evidence=row["evidence"],
        source=row["source"],
        actor=row["actor"],
        policy_digest=row["policy_digest"],
        current=current,
    )


def may_ask(uow: UnitOfWork, member_id: MemberId, *, purpose: str, recipient: str = "") -> bool:
    """Return whether the member may be asked now: not while a consent stands, nor within the cool-down (NDR-22(5)).

    :raises NotFound: no such purpose.
    """
    definition = uow.policy.purposes.get(purpose)
    if definition is None:
        raise NotFound("no such purpose")
    if not definition.rests_on_consent:
        return False
    return _askable(uow, member_id, definition, recipient).may_ask


def askable(uow: UnitOfWork, member_id: MemberId) -> tuple[Askable, ...]:
    """Return for every purpose that rests on consent (and each of its recipients) whether the member may be asked."""
    if uow.actor.kind is not ActorKind.MEMBER:
        uow.require(Scope.COMPLIANCE, Scope.SUPPORT)
    own_or_staff(uow, member_id)
    return tuple(
        _askable(uow, member_id, purpose, recipient)
        for purpose in uow.policy.purposes.values()
        if purpose.rests_on_consent
        for recipient in (purpose.recipients if purpose.per_recipient else ("",))
    )


def _askable(uow: UnitOfWork, member_id: MemberId, purpose: Purpose, recipient: str) -> Askable:
    standing = state_of(uow, member_id, purpose=purpose.name, recipient=recipient)
    if standing.state is ConsentState.GIVEN:
        return Askable(purpose.name, recipient, standing.state, may_ask=False, not_before=None)
    rows = [row for row in _rows(uow, member_id, purpose.name) if row["recipient"] == recipient]
    asked = [row["occurred_at"] for row in rows if row["state"] in COOLING]
    until = max(asked) + timedelta(days=purpose.cool_down_days) if asked else None
    if until is None or until <= uow.now:
        return Askable(purpose.name, recipient, standing.state, may_ask=True, not_before=None)
    return Askable(purpose.name, recipient, standing.state, may_ask=False, not_before=until)


def coverage(uow: UnitOfWork, *, apart: Iterable[MemberId] = ()) -> tuple[CoverageRow, ...]:
    """Return how many members stand where, by purpose, notice version and channel. Living members only.

    :param apart: members who do not count.
    """
    uow.require(Scope.COMPLIANCE)
    terms = all_terms(uow.session)
    query = (
        select(CURRENT.c.purpose, SHAPE.c.notice_no, RECORD.c.channel, SHAPE.c.state, func.count())
        .select_from(CURRENT)
        .join(SHAPE, SHAPE.c.shape == CURRENT.c.shape)
        .join(RECORD, RECORD.c.seq == CURRENT.c.seq)
        .group_by(CURRENT.c.purpose, SHAPE.c.notice_no, RECORD.c.channel, SHAPE.c.state)
        .order_by(CURRENT.c.purpose, SHAPE.c.notice_no, RECORD.c.channel, SHAPE.c.state)
    )
    run = uow.session.connection().execute
    uncounted = {tuple(row[:4]): row[4] for row in run(query.where(CURRENT.c.member_id.in_(list(apart))))}
    found = []
    for purpose, notice_no, channel, state, held in run(query):
        members = held - uncounted.get((purpose, notice_no, channel, state), 0)
        if not members:
            continue
        told = terms.get(notice_no)
        found.append(
            CoverageRow(
                purpose=purpose,
                notice_id=told.notice_id if told else "",
                notice_version=told.version if told else "",
                language=(told.language if told else Language.ZH).value,
                channel=channel,
                state=ConsentState(state),
                members=members,
            )
        )
    return tuple(found)
