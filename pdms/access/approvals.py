"""Two-person approval: what none may do alone, another operator approves first, exactly as it will be done.

Guarantees: an approval is bound by a keyed digest to the act, the asker and every parameter; whoever asked cannot
approve it, whichever key they come with; it is decided once and used once, also by two processes at the same time,
and by the asker only, before it expires; asking, deciding and using are events. An approver who has since been
disabled, or lost the scope, approved nothing.

Deliberately not here: telling one person who was registered as two operators. Registering operators is an
administrator's act, and is in the log.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NoReturn

from sqlalchemy import ColumnElement
from sqlalchemy import select as rows_of
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from pdms.access.tables import ApprovalRow, ApprovalStepRow, OperatorRow
from pdms.audit.catalogue import EventKind
from pdms.clock import SHANGHAI
from pdms.crypto import BlindIndex
from pdms.errors import Conflict, Denied, InvalidInput, NotFound, Reason
from pdms.policy.reasons import reason
from pdms.taxonomy import GuardedAct, Scope, new_id
from pdms.unit_of_work import Actor, ActorKind, AnonUnitOfWork, UnitOfWork

KEY_LABEL = "approvals"
LASTS = timedelta(hours=24)
MOST_OPEN = 50
"""Questions of one operator that may wait at a time."""
MOST_A_DAY = 200
"""Questions of one operator in 24 hours, also those that were taken back: nothing is ever removed from the list."""
LISTED = 1000
_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,79}")
_DECIDED, _USED = "decided", "used"
_DECISION: Any = aliased(ApprovalStepRow)
_USE: Any = aliased(ApprovalStepRow)
_EVENT = {True: EventKind.APPROVAL_GRANTED, False: EventKind.APPROVAL_REFUSED}


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may ask for an act and who may approve it; `parameters` are the names that a question may have."""

    ask: tuple[Scope, ...]
    approve: tuple[Scope, ...]
    required: tuple[str, ...]
    optional: tuple[str, ...]
    article: str
    trained: bool


RULES: Mapping[GuardedAct, Rule] = {
    GuardedAct.BULK_EXPORT: Rule(
        (Scope.MARKETING, Scope.COMPLIANCE),
        (Scope.COMPLIANCE,),
        ("release", "format"),
        ("segment", "rule"),
        "PIPL-10",
        trained=True,
    ),
    GuardedAct.CONSENT_EXPORT: Rule(
        (Scope.COMPLIANCE,), (Scope.COMPLIANCE,), ("format",), ("as_of", "known"), "PIPL-10", trained=True
    ),
    GuardedAct.HOLD_ACCESS: Rule(
        (Scope.COMPLIANCE,), (Scope.COMPLIANCE,), ("hold", "ticket"), (), "PIPL-51", trained=True
    ),
    GuardedAct.POLICY_ACTIVATION: Rule(
        (Scope.ADMIN, Scope.COMPLIANCE), (Scope.ADMIN, Scope.COMPLIANCE), ("policy",), (), "PIPL-51", trained=False
    ),
    GuardedAct.DISCLOSURE: Rule(
        (Scope.COMPLIANCE,),
        (Scope.COMPLIANCE,),
        ("member", "categories", "authority", "region", "ticket"),
        ("period", "approval"),
        "PIPL-63",
        trained=True,
    ),
    GuardedAct.MINOR_REVEAL: Rule(
        (Scope.SUPPORT, Scope.COMPLIANCE),
        (Scope.COMPLIANCE,),
        ("member", "fields", "purpose"),
        (),
        "MIN-36",
        trained=True,
    ),
}


class ApprovalState(StrEnum):
    """What became of a question."""

    WAITING = "waiting"
    APPROVED = "approved"
    REFUSED = "refused"
    USED = "used"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Approval:
    """A question and what became of it."""

    approval_id: str
    act: GuardedAct
    parameters: Mapping[str, str] = field(repr=False)
    state: ApprovalState
    asked_by: str
    asked_at: datetime
    expires_at: datetime
    decided_by: str | None
    decided_at: datetime | None


@dataclass(frozen=True, slots=True)
class Approved:
    """Proof that an approval was used up for exactly this, by this actor, now. Only `use` makes it."""

    approval_id: str
    act: GuardedAct
    parameters: Mapping[str, str] = field(repr=False)
    actor: str
    at: datetime

    def covers(self, actor: Actor, *, act: GuardedAct, parameters: Mapping[str, str], now: datetime) -> bool:
        """Tell whether it was given for this act with these parameters, to this actor, within the last minute."""
        fresh = timedelta(0) <= now - self.at <= timedelta(minutes=1)
        return fresh and (self.act, dict(self.parameters), self.actor) == (act, dict(parameters), actor.id)


def ask(uow: UnitOfWork, *, act: GuardedAct, parameters: Mapping[str, str]) -> Approval:
    """Ask another operator to approve an act, for one day. The same question, still open, is not asked twice.

    :param parameters: ids, names and codes; all that the act's rule requires.
    :raises InvalidInput: a parameter is unknown, missing, or of another form.
    :raises Conflict: too many questions of this operator are open, or were asked within a day.
    """
    rule = RULES[act]
    uow.require(*rule.ask)
    _operator_only(uow)
    given = _checked(rule, parameters)
    digest = _digest(uow, act, given)
    mine = (col(ApprovalRow.asked_by) == uow.actor.id, col(ApprovalRow.expires_at) > uow.now)
    lately = _found(uow, *mine, limit=MOST_A_DAY)
    open_ones = [one for one in lately if one.state is ApprovalState.WAITING]
    for one in open_ones:
        if (one.act, one.parameters) == (act, given):
            return one
    if len(open_ones) >= MOST_OPEN:
        raise Conflict("approvals: too many questions of yours are open", code="APPROVALS_OPEN")
    if len(lately) >= MOST_A_DAY:
        raise Conflict("approvals: too many questions of yours within a day", code="APPROVALS_DAY")
    row = ApprovalRow(
        approval_id=new_id("apr"),
        act=act.value,
        asked=_text(given),
        digest=digest,
        asked_by=uow.actor.id,
        asked_at=uow.now,
        expires_at=uow.now + LASTS,
    )
    uow.session.add(row)
    uow.session.flush()
    uow.record(EventKind.APPROVAL_ASKED, refs={"approval": row.approval_id, "act": act.value})
    return _found(uow, col(ApprovalRow.approval_id) == row.approval_id, limit=1)[0]


def approve(uow: UnitOfWork, *, approval_id: str) -> Approval:
    """Approve a question of another operator.

    :raises NotFound: no such question. :raises Denied: it is the actor's own, or the scope or training is missing.
    :raises Conflict: it was decided already, or has expired.
    """
    uow.require(Scope.COMPLIANCE, Scope.ADMIN)
    return _decide(uow, approval_id, approves=True)


def refuse(uow: UnitOfWork, *, approval_id: str) -> Approval:
    """Refuse a question, or take one's own back. Errors as `approve`, but for one's own."""
    uow.require(Scope.COMPLIANCE, Scope.ADMIN, Scope.MARKETING, Scope.SUPPORT)
    return _decide(uow, approval_id, approves=False)


def list_approvals(
    uow: UnitOfWork, *, waiting: bool = False, after: tuple[datetime, str] | None = None, limit: int = LISTED
) -> tuple[Approval, ...]:
    """List questions, newest first: officers and administrators see all, others their own.

    :param waiting: only those that still wait for a decision.
    :param after: instant and id of the question that ended the page before. :param limit: how many at most.
    """
    _operator_only(uow)
    wanted: list[ColumnElement[bool]] = []
    if not uow.actor.scopes & {Scope.COMPLIANCE, Scope.ADMIN}:
        wanted.append(col(ApprovalRow.asked_by) == uow.actor.id)
    if after is not None:
        asked_at, approval_id = col(ApprovalRow.asked_at), col(ApprovalRow.approval_id)
        wanted.append((asked_at < after[0]) | ((asked_at == after[0]) & (approval_id > after[1])))
    if waiting:
        wanted += [col(ApprovalRow.expires_at) > uow.now, _DECISION.approval_id.is_(None)]
    return _found(uow, *wanted, limit=limit)


def use(uow: UnitOfWork, *, act: GuardedAct, parameters: Mapping[str, str]) -> Approved:
    """Use up the actor's approval for exactly this; committed or rolled back with the unit that does it.

    :raises Denied: APPROVAL_MISSING: there is none, or it was given for something else, to somebody else, is used,
        has expired, or its approver may approve no more. Which of these is not told.
    """
    rule = RULES[act]
    given = dict(parameters)
    query = (
        select(ApprovalRow)
        .where(
            col(ApprovalRow.digest) == _digest(uow, act, given),
            col(ApprovalRow.asked_by) == uow.actor.id,
            col(ApprovalRow.expires_at) > uow.now,
        )
        .order_by(col(ApprovalRow.asked_at), col(ApprovalRow.approval_id))
    )
    for row in tuple(uow.session.exec(query)):
        step = uow.session.get(ApprovalStepRow, (row.approval_id, _DECIDED))
        if step is None or step.outcome != ApprovalState.APPROVED or not _may_approve(uow, step.actor, rule):
            continue
        if _take(uow, row.approval_id, step=_USED, outcome=ApprovalState.USED):
            uow.record(
                EventKind.APPROVAL_USED,
                refs={"approval": row.approval_id, "act": act.value, "approver": step.actor},
            )
            return Approved(row.approval_id, act, given, uow.actor.id, uow.now)
    return raise_missing(uow, act)


def check(uow: AnonUnitOfWork, approved: Approved | None, *, act: GuardedAct, parameters: Mapping[str, str]) -> None:
    """Refuse unless `approved` was given for exactly this."""
    if approved is None or not approved.covers(uow.actor, act=act, parameters=parameters, now=uow.now):
        raise_missing(uow, act)


def trained(actor: Actor, *, now: datetime) -> bool:
    """Tell whether an operator's training holds today, Asia/Shanghai (PIPL-51-4)."""
    return actor.trained_until is not None and actor.trained_until >= now.astimezone(SHANGHAI).date()


def raise_missing(uow: AnonUnitOfWork, act: GuardedAct) -> NoReturn:
    """Refuse an act for want of an approval; the denial is in the log."""
    detail = f"another operator must approve it first: {act.value}"
    uow.refuse(
        Denied("this needs the approval of a second operator", reasons=(_reason("APPROVAL_MISSING", act, detail),)),
        refs={"act": act.value},
    )


def _decide(uow: UnitOfWork, approval_id: str, *, approves: bool) -> Approval:
    row = uow.session.get(ApprovalRow, approval_id)
    if row is None:
        raise NotFound("approval: none has this id")
    act = GuardedAct(row.act)
    rule = RULES[act]
    own = row.asked_by == uow.actor.id
    refs = {"approval": approval_id, "act": act.value}
    if not own or approves:
        uow.require(*rule.approve)
        _operator_only(uow)
    if own and approves:
        uow.refuse(Denied("nobody approves their own question", reasons=(_reason("SELF_APPROVAL", act),)), refs=refs)
    if approves and rule.trained and not trained(uow.actor, now=uow.now):
        uow.refuse(Denied("training", reasons=(reason("TRAINING_LAPSED"),)), refs=refs)
    if row.expires_at <= uow.now:
        raise Conflict("approval: it has expired; ask again", code="APPROVAL_EXPIRED")
    outcome = ApprovalState.APPROVED if approves else ApprovalState.REFUSED
    if not _take(uow, approval_id, step=_DECIDED, outcome=outcome):
        raise Conflict("approval: it was decided already", code="APPROVAL_DECIDED")
    uow.record(_EVENT[approves], refs={**refs, "asker": row.asked_by})
    return _found(uow, col(ApprovalRow.approval_id) == row.approval_id, limit=1)[0]


def _take(uow: UnitOfWork, approval_id: str, *, step: str, outcome: ApprovalState) -> bool:
    """Note a step that happens once; False where another has done so, also in a transaction that ends just now."""
    connection = uow.session.connection()
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    values = {
        "approval_id": approval_id,
        "step": step,
        "outcome": outcome.value,
        "actor": uow.actor.id,
        "at": uow.now,
    }
    statement = insert(ApprovalStepRow).values(**values).on_conflict_do_nothing().returning(col(ApprovalStepRow.step))
    return connection.execute(statement).first() is not None


def _may_approve(uow: UnitOfWork, operator_id: str, rule: Rule) -> bool:
    row = uow.session.get(OperatorRow, operator_id)
    role = uow.policy.roles.get(row.role) if row is not None and row.disabled_at is None else None
    return role is not None and bool(set(role.scopes) & set(rule.approve))


def _operator_only(uow: UnitOfWork) -> None:
    if uow.actor.kind is not ActorKind.OPERATOR:
        uow.refuse(Denied("only operators ask and approve", reasons=(reason("SCOPE_MISSING"),)))


def _checked(rule: Rule, parameters: Mapping[str, str]) -> dict[str, str]:
    missing = [name for name in rule.required if name not in parameters]
    if missing:
        raise InvalidInput(f"approval: {', '.join(missing)} must be given")
    if not set(parameters) <= {*rule.required, *rule.optional}:
        raise InvalidInput(f"approval: known are {', '.join((*rule.required, *rule.optional))}")
    for name, value in parameters.items():
        if not _VALUE.fullmatch(value):
            raise InvalidInput(f"approval, {name}: an id, a name or a code of at most 80 characters")
    return dict(parameters)


def _text(parameters: Mapping[str, str]) -> str:
    return json.dumps(parameters, sort_keys=True, separators=(",", ":"))


def _digest(uow: UnitOfWork, act: GuardedAct, parameters: Mapping[str, str]) -> bytes:
    body = json.dumps([act.value, uow.actor.id, _text(parameters)])
    return BlindIndex(uow.keys.system_key(KEY_LABEL)).digest(body.encode())


def _found(uow: UnitOfWork, *wanted: ColumnElement[bool], limit: int) -> tuple[Approval, ...]:
    """Return the questions that fit, newest first, with what became of them."""
    query = (
        rows_of(ApprovalRow, _DECISION, _USE)
        .outerjoin(_DECISION, (_DECISION.approval_id == col(ApprovalRow.approval_id)) & (_DECISION.step == _DECIDED))
        .outerjoin(_USE, (_USE.approval_id == col(ApprovalRow.approval_id)) & (_USE.step == _USED))
        .where(*wanted)
        .order_by(col(ApprovalRow.asked_at).desc(), col(ApprovalRow.approval_id))
        .limit(limit)
    )
    found = []
    for row, decided, used in uow.session.execute(query):
        if used is not None:
            state = ApprovalState.USED
        elif decided is not None and decided.outcome == ApprovalState.REFUSED:
            state = ApprovalState.REFUSED
        elif row.expires_at <= uow.now:
            state = ApprovalState.EXPIRED
        else:
            state = ApprovalState.APPROVED if decided is not None else ApprovalState.WAITING
        found.append(
            Approval(
                row.approval_id,
                GuardedAct(row.act),
                json.loads(row.asked),
                state,
                row.asked_by,
                row.asked_at,
                row.expires_at,
                decided.actor if decided is not None else None,
                decided.at if decided is not None else None,
            )
        )
    return tuple(found)


def _reason(code: str, act: GuardedAct, detail: str = "") -> Reason:
    """The registered reason under the article that this act stands on."""
    return Reason(code, RULES[act].article, reason(code, detail=detail).detail)
