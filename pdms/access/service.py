"""Operators, API keys and member tokens.

Guarantees: a key is shown once and stored as a keyed digest; every failed login is in the audit log; a disabled
operator, a revoked or expired key let nobody in from the next request on. It does not decide what an actor may do with
a member's data: that is the gate's.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NoReturn

from sqlalchemy import bindparam
from sqlalchemy import select as rows_of
from sqlmodel import col, delete, select

from pdms.access import secrets
from pdms.access.tables import ApiKeyRow, MemberTokenRow, OperatorRow
from pdms.audit.catalogue import EventKind
from pdms.db import Lock, alone
from pdms.errors import Conflict, Denied, InvalidInput, NotFound, Unauthenticated
from pdms.policy.reasons import reason
from pdms.taxonomy import MemberId, Scope, new_id
from pdms.unit_of_work import Actor, ActorKind, UnitOfWork

KEY_LABEL = "access-keys"
KEY_DAYS = 365
MEMBER_TOKEN_MINUTES = 15
LABEL = re.compile(r"[a-z][a-z0-9-]{1,40}")
_KEY_AND_OPERATOR = (
    rows_of(
        col(ApiKeyRow.digest),
        col(ApiKeyRow.scopes),
        col(ApiKeyRow.expires_at),
        col(ApiKeyRow.revoked_at),
        col(OperatorRow.operator_id),
        col(OperatorRow.role),
        col(OperatorRow.trained_until),
        col(OperatorRow.disabled_at),
    )
    .join(OperatorRow, col(OperatorRow.operator_id) == col(ApiKeyRow.operator_id))
    .where(col(ApiKeyRow.key_id) == bindparam("key_id"))
)
"""Asked on every call of the API: rows, not objects."""


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator as administrators see it."""

    operator_id: str
    label: str
    role: str
    trained_until: date | None
    disabled: bool
    keys: tuple["KeyInfo", ...]


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What may be known of an API key after it was shown."""

    key_id: str
    scopes: tuple[Scope, ...]
    expires_at: datetime
    revoked: bool


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A fresh API key; `text` is the only place where the secret ever stands."""

    key_id: str
    operator_id: str
    text: str
    scopes: tuple[Scope, ...]
    expires_at: datetime

    def __repr__(self) -> str:
        return f"IssuedKey({self.key_id}, …)"


@dataclass(frozen=True, slots=True)
class IssuedMemberToken:
    """A fresh member token."""

    text: str
    expires_at: datetime

    def __repr__(self) -> str:
        return "IssuedMemberToken(…)"


def create_operator(
    uow: UnitOfWork, *, label: str, role: str, trained_until: date | None = None, days: int = KEY_DAYS
) -> IssuedKey:
    """Register an operator in a role of the policy and issue their first key.

    :param label: a work name such as `marketing-anna`; lower-case letters, digits, hyphens.
    :raises InvalidInput: the label has another form, or the policy knows no such role.
    :raises Conflict: the label is taken.
    """
    uow.require(Scope.ADMIN)
    if not LABEL.fullmatch(label):
        raise InvalidInput("label: lower-case letters, digits and hyphens, 2 to 41 characters, a letter first")
    if role not in uow.policy.roles:
        raise InvalidInput(f"role: the policy knows {', '.join(sorted(uow.policy.roles))}")
    alone(uow.session.connection(), Lock.OPERATORS)
    if uow.session.exec(select(OperatorRow).where(col(OperatorRow.label) == label)).first() is not None:
        raise Conflict("label: another operator has it")
    row = OperatorRow(operator_id=new_id("op"), label=label, role=role, trained_until=trained_until, created_at=uow.now)
    uow.session.add(row)
    uow.session.flush()
    uow.record(EventKind.OPERATOR_CREATED, refs={"operator": row.operator_id})
    return _issue(uow, row, days=days)


def issue_key(uow: UnitOfWork, *, operator_id: str, days: int = KEY_DAYS) -> IssuedKey:
    """Issue a further key to an operator, for rotation. :raises NotFound: no such operator, or disabled."""
    uow.require(Scope.ADMIN)
    row = uow.session.get(OperatorRow, operator_id)
    if row is None or row.disabled_at is not None:
        raise NotFound("operator: no active one has this id")
    return _issue(uow, row, days=days)


def revoke_key(uow: UnitOfWork, *, key_id: str) -> None:
    """End a key at once. :raises NotFound: no such key."""
    uow.require(Scope.ADMIN)
    row = uow.session.get(ApiKeyRow, key_id)
    if row is None:
        raise NotFound("key: none has this id")
    if row.revoked_at is None:
        row.revoked_at = uow.now
        uow.session.add(row)
        uow.record(EventKind.OPERATOR_KEY_REVOKED, refs={"operator": row.operator_id, "key": key_id})


def disable_operator(uow: UnitOfWork, *, operator_id: str) -> None:
    """End all of an operator's keys at once. :raises NotFound: no such operator."""
    uow.require(Scope.ADMIN)
    row = uow.session.get(OperatorRow, operator_id)
    if row is None:
        raise NotFound("operator: none has this id")
    if row.disabled_at is None:
        row.disabled_at = uow.now
        uow.session.add(row)
        uow.record(EventKind.OPERATOR_DISABLED, refs={"operator": operator_id})


def record_training(uow: UnitOfWork, *, operator_id: str, until: date) -> None:
    """Note until when an operator's training holds (PIPL-51-4). :raises NotFound: no such operator."""
    uow.require(Scope.ADMIN)
    row = uow.session.get(OperatorRow, operator_id)
    if row is None:
        raise NotFound("operator: none has this id")
    row.trained_until = until
    uow.session.add(row)
    uow.record(EventKind.OPERATOR_TRAINED, refs={"operator": operator_id})


def show_operator(uow: UnitOfWork, *, operator_id: str) -> Operator:
    """Return one operator. :raises NotFound: no such operator."""
    for operator in list_operators(uow):
        if operator.operator_id == operator_id:
            return operator
    raise NotFound("operator: none has this id")


def list_operators(uow: UnitOfWork) -> tuple[Operator, ...]:
    """List all operators with what may be known of their keys."""
    uow.require(Scope.ADMIN, Scope.COMPLIANCE)
    keys: dict[str, list[KeyInfo]] = {}
    for key in uow.session.exec(select(ApiKeyRow)):
        info = KeyInfo(key.key_id, _scopes(key.scopes), key.expires_at, key.revoked_at is not None)
        keys.setdefault(key.operator_id, []).append(info)
    rows = uow.session.exec(select(OperatorRow).order_by(col(OperatorRow.label)))
    return tuple(
        Operator(
            row.operator_id,
            row.label,
            row.role,
            row.trained_until,
            row.disabled_at is not None,
            tuple(keys.get(row.operator_id, ())),
        )
        for row in rows
    )


def issue_member_token(uow: UnitOfWork, *, member_id: MemberId) -> IssuedMemberToken:
    """Exchange the shop's key for a token bound to one member (the shop has logged the member in itself).

    The caller has made sure that the member is here; the token lasts fifteen minutes and opens nothing but that member.

    :raises Denied: the actor is no operator: a member's own session opens no other one.
    """
    uow.require(Scope.SUPPORT, Scope.MEMBER)
    if uow.actor.kind is not ActorKind.OPERATOR:
        uow.refuse(
            Denied("only the shop exchanges its key for a member token", reasons=(reason("NOT_SELF"),)),
            member=uow.actor.member_id,
        )
    issued = secrets.issue("mem", key=uow.keys.system_key(KEY_LABEL))
    expires = uow.now + timedelta(minutes=MEMBER_TOKEN_MINUTES)
    uow.session.exec(delete(MemberTokenRow).where(col(MemberTokenRow.expires_at) < uow.now))
    uow.session.add(
        MemberTokenRow(token_id=issued.public_id, digest=issued.digest, member_id=member_id, expires_at=expires)
    )
    uow.record(EventKind.LOGIN_SUCCEEDED, member=member_id, refs={"token": issued.public_id})
    return IssuedMemberToken(issued.text, expires)


def end_member_tokens(uow: UnitOfWork, *, member_id: MemberId) -> None:
    """End every token of a member: part of disabling and of erasure (ECL-24)."""
    uow.session.exec(delete(MemberTokenRow).where(col(MemberTokenRow.member_id) == member_id))


def authenticate(uow: UnitOfWork, *, presented: str | None) -> Actor:
    """Return the actor behind an API key or a member token.

    :raises Unauthenticated: nothing presented, or it is unknown, expired, revoked or its operator disabled. The message
        is the same in all those cases; the failed attempt is in the audit log.
    """
    actor = recognise(uow, presented=presented)
    if actor is None:
        _refuse(uow)
    return actor


def recognise(uow: UnitOfWork, *, presented: str | None) -> Actor | None:
    """Return the actor behind an API key or a member token, None where it opens nothing; nothing is logged.

    For a face that bounds how many failures of one address the log takes in; others call `authenticate`.
    """
    parts = secrets.parse(presented or "")
    if parts is None:
        return None
    digest_key = uow.keys.system_key(KEY_LABEL)
    if parts.kind == "mem":
        token = uow.session.get(MemberTokenRow, parts.public_id)
        if token is None or token.expires_at <= uow.now or not secrets.proves(parts, token.digest, key=digest_key):
            return None
        member = MemberId(token.member_id)
        return Actor(id="member", kind=ActorKind.MEMBER, scopes=frozenset({Scope.MEMBER}), member_id=member)
    row = uow.session.connection().execute(_KEY_AND_OPERATOR, {"key_id": parts.public_id}).first()
    if (
        row is None
        or row.revoked_at is not None
        or row.disabled_at is not None
        or row.expires_at <= uow.now
        or not secrets.proves(parts, row.digest, key=digest_key)
    ):
        return None
    role = uow.policy.roles.get(row.role)
    # A role that the policy no longer knows, or that lost a scope, takes it from every key at once.
    scopes = frozenset(_scopes(row.scopes)) & frozenset(role.scopes if role else ())
    return Actor(
        id=row.operator_id,
        kind=ActorKind.OPERATOR,
        scopes=scopes,
        role=row.role,
        trained_until=row.trained_until,
    )


def _refuse(uow: UnitOfWork) -> NoReturn:
    uow.refuse(Unauthenticated("a valid API key or member token is needed"), kind=EventKind.LOGIN_FAILED)


def _scopes(text: str) -> tuple[Scope, ...]:
    return tuple(Scope(name) for name in text.split())


def _issue(uow: UnitOfWork, row: OperatorRow, *, days: int) -> IssuedKey:
    if not 1 <= days <= 3650:
        raise InvalidInput("days: from 1 to 3650")
    issued = secrets.issue("key", key=uow.keys.system_key(KEY_LABEL))
    scopes = uow.policy.roles[row.role].scopes
    expires = uow.now + timedelta(days=days)
    uow.session.add(
        ApiKeyRow(
            key_id=issued.public_id,
            operator_id=row.operator_id,
            digest=issued.digest,
            scopes=" ".join(scopes),
            created_at=uow.now,
            expires_at=expires,
        )
    )
    uow.record(EventKind.OPERATOR_KEY_ISSUED, refs={"operator": row.operator_id, "key": issued.public_id})
    return IssuedKey(issued.public_id, row.operator_id, issued.text, scopes, expires)
