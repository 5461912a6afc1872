"""Operators, API keys and member tokens.

Guarantees: a key is shown once and stored as a keyed digest; every failed login is in the audit log; a disabled
operator, a revoked or expired key let nobody in from the next request on. It does not decide what an actor may do with
a member's data: that is the gate's.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import NoReturn

from sqlmodel import col, delete, select, update

from pdms.access import oidc, secrets
from pdms.access.oidc import SignIn
from pdms.access.tables import ApiKeyRow, MemberTokenRow, OperatorRow
from pdms.audit.catalogue import EventKind
from pdms.clock import SHANGHAI
from pdms.crypto import BlindIndex, same_bytes
from pdms.db import Lock, alone, stored_day, stored_instant
from pdms.errors import Conflict, Denied, InvalidInput, NotFound, Unauthenticated
from pdms.policy.reasons import reason
from pdms.taxonomy import MemberId, Scope, new_id
from pdms.unit_of_work import Actor, ActorKind, UnitOfWork

KEY_LABEL = "access-keys"
SUBJECT_LABEL = "oidc-subjects"
KEY_DAYS = 365
LONGEST_KEY_DAYS = 3650
OVERLAP_HOURS = 24
LONGEST_OVERLAP_HOURS = 720
MEMBER_TOKEN_MINUTES = 15
LABEL = re.compile(r"[a-z][a-z0-9-]{1,40}")
_KEY_AND_OPERATOR = (
    "SELECT k.digest, k.scopes, k.expires_at, k.revoked_at, k.last_used_on, o.operator_id, o.role, o.trained_until,"
    " o.disabled_at FROM api_key k JOIN operator o ON o.operator_id = k.operator_id WHERE k.key_id = ?"
)
"""Asked on every call of the API: driver SQL."""
_EXPIRES = "SELECT expires_at FROM api_key WHERE key_id = ?"
_KEY_PREFIX = "pdms_key_"
_PROVED = "pdms.access.proved"
"""Under which looks (`db.glance`) keep who proved themselves, until anybody commits anything."""


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator as administrators see it."""

    operator_id: str
    label: str
    role: str
    trained_until: date | None
    disabled: bool
    linked: bool
    """Whether an identity of the sign-in service is bound to them."""
    keys: tuple["KeyInfo", ...]


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What may be known of an API key after it was shown."""

    key_id: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime
    expired: bool
    revoked: bool
    last_used_on: date | None
    """Day, Asia/Shanghai."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """An actor, and whether it is still to be noted that their key was used today (`note_use`)."""

    actor: Actor
    key_to_note: str | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody; the cause is a code for the log alone."""

    cause: str


@dataclass(frozen=True, slots=True)
class _Proved:
    """An API key that opened something: `digest` is of all that was presented, the actor who it stood for."""

    digest: bytes
    actor: Actor
    since: datetime
    until: datetime
    """The legal day on which its use is noted, or the end of the key, whichever comes first."""


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


def issue_key(
    uow: UnitOfWork, *, operator_id: str, days: int = KEY_DAYS, scopes: Sequence[Scope] | None = None
) -> IssuedKey:
    """Issue a further key to an operator.

    :param scopes: some of the role's, where the key needs no more; default: all of them.
    :raises NotFound: no such operator, or disabled. :raises InvalidInput: a scope is not one of the role's.
    """
    uow.require(Scope.ADMIN)
    return _issue(uow, _active(uow, operator_id), days=days, scopes=scopes)


def rotate_key(
    uow: UnitOfWork,
    *,
    key_id: str,
    operator_id: str | None = None,
    overlap_hours: int = OVERLAP_HOURS,
    days: int = KEY_DAYS,
) -> IssuedKey:
    """Issue a key with the scopes of another, which ends when the overlap does (or earlier, where it would have).

    :param overlap_hours: 0 to 720, for whoever still holds the old one to take the new one up.
    :param operator_id: whose key it must be; None: anybody's.
    :raises NotFound: no such key of an active operator. :raises Conflict: it is revoked or has expired.
    """
    uow.require(Scope.ADMIN)
    if not 0 <= overlap_hours <= LONGEST_OVERLAP_HOURS:
        raise InvalidInput(f"overlap_hours: from 0 to {LONGEST_OVERLAP_HOURS}")
    old = _key(uow, key_id, operator_id)
    operator = _active(uow, old.operator_id)
    if old.revoked_at is not None or old.expires_at <= uow.now:
        raise Conflict("key: it has ended; issue a new one", code="KEY_ENDED")
    role = uow.policy.roles[operator.role]
    issued = _issue(uow, operator, days=days, scopes=[one for one in _scopes(old.scopes) if one in role.scopes])
    old.expires_at = min(old.expires_at, uow.now + timedelta(hours=overlap_hours))
    uow.session.add(old)
    if overlap_hours == 0:
        uow.record(EventKind.OPERATOR_KEY_REVOKED, refs={"operator": old.operator_id, "key": key_id})
    return issued


def link_operator(uow: UnitOfWork, *, operator_id: str, subject: str | None, sign_in: SignIn | None) -> None:
    """Bind an operator to the subject by which the sign-in service names them, or (None) unbind them.

    One person stays one operator, whichever way they sign in: so nobody approves their own questions.

    :raises NotFound: no such active operator. :raises Conflict: another operator has this subject.
    :raises InvalidInput: no sign-in service is set up, or the subject is empty or longer than 255 characters.
    """
    uow.require(Scope.ADMIN)
    row = _active(uow, operator_id)
    if subject is None:
        row.subject_digest = None
    else:
        if sign_in is None:
            raise InvalidInput("sign-in service: PDMS_OIDC_ISSUER, _AUDIENCE and _JWKS name none")
        if not 0 < len(subject) <= 255:
            raise InvalidInput("subject: 1 to 255 characters")
        digest = _subject_digest(uow, sign_in.issuer, subject)
        alone(uow.session.connection(), Lock.OPERATORS)
        holder = uow.session.exec(select(OperatorRow).where(col(OperatorRow.subject_digest) == digest)).first()
        if holder is not None and holder.operator_id != operator_id:
            raise Conflict("subject: another operator has it")
        row.subject_digest = digest
    uow.session.add(row)
    uow.record(
        EventKind.OPERATOR_LINKED, refs={"operator": operator_id, "change": "unbound" if subject is None else "bound"}
    )


def revoke_key(uow: UnitOfWork, *, key_id: str, operator_id: str | None = None) -> None:
    """End a key at once. :param operator_id: whose it must be; None: anybody's. :raises NotFound: no such key."""
    uow.require(Scope.ADMIN)
    row = _key(uow, key_id, operator_id)
    if row.revoked_at is None:
        row.revoked_at = uow.now
        uow.session.add(row)
        uow.record(EventKind.OPERATOR_KEY_REVOKED, refs={"operator": row.operator_id, "key": key_id})


def _key(uow: UnitOfWork, key_id: str, operator_id: str | None) -> ApiKeyRow:
    row = uow.session.get(ApiKeyRow, key_id)
    if row is None or operator_id not in (None, row.operator_id):
        raise NotFound("key: none has this id")
    return row


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
    for key in uow.session.exec(select(ApiKeyRow).order_by(col(ApiKeyRow.created_at), col(ApiKeyRow.key_id))):
        info = KeyInfo(
            key.key_id,
            _scopes(key.scopes),
            key.created_at,
            key.expires_at,
            key.expires_at <= uow.now,
            key.revoked_at is not None,
            key.last_used_on,
        )
        keys.setdefault(key.operator_id, []).append(info)
    rows = uow.session.exec(select(OperatorRow).order_by(col(OperatorRow.label)))
    return tuple(
        Operator(
            row.operator_id,
            row.label,
            row.role,
            row.trained_until,
            row.disabled_at is not None,
            row.subject_digest is not None,
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


def recognise(uow: UnitOfWork, *, presented: str | None, sign_in: SignIn | None = None) -> Recognised | Unknown:
    """Return the actor behind an API key, a member token or a token of the sign-in service; nothing is logged.

    A face bounds how many failures of one address the log takes in, and then calls `refuse_login`.
    """
    if presented and sign_in is not None and oidc.looks_like(presented):
        return _signed_in(uow, presented, sign_in)
    parts = secrets.parse(presented or "")
    if parts is None:
        return Unknown("form" if presented else "nothing")
    digest_key = uow.keys.system_key(KEY_LABEL)
    if parts.kind == "mem":
        token = uow.session.get(MemberTokenRow, parts.public_id)
        if token is None or token.expires_at <= uow.now or not secrets.proves(parts, token.digest, key=digest_key):
            return Unknown("member-token")
        member = MemberId(token.member_id)
        return Recognised(Actor(id="member", kind=ActorKind.MEMBER, scopes=frozenset({Scope.MEMBER}), member_id=member))
    row = uow.session.connection().exec_driver_sql(_KEY_AND_OPERATOR, (parts.public_id,)).first()
    if row is None:
        return Unknown("key")
    digest, scopes, expires_at, revoked_at, last_used_on, operator_id, role_name, trained_until, disabled_at = row
    if (
        revoked_at is not None
        or disabled_at is not None
        or stored_instant(expires_at) <= uow.now
        or not secrets.proves(parts, digest, key=digest_key)
    ):
        return Unknown("key")
    role = uow.policy.roles.get(role_name)
    # A role that the policy no longer knows, or that lost a scope, takes it from every key at once.
    actor = Actor(
        id=operator_id,
        kind=ActorKind.OPERATOR,
        scopes=frozenset(_scopes(scopes)) & frozenset(role.scopes if role else ()),
        role=role_name,
        trained_until=stored_day(trained_until),
    )
    return Recognised(actor, None if stored_day(last_used_on) == _today(uow) else parts.public_id)


def recognise_operator(uow: UnitOfWork, *, presented: str) -> Actor | None:
    """Return whom an API key stands for whose use today is noted already; None: whatever else, ask `recognise`.

    In a look (`db.glance`) one that was proved is remembered, by an unkeyed digest of its 256 secret bits, until
    anybody commits anything: so a key revoked, a role or a policy changed counts from the next question on.
    """
    public_id = presented[len(_KEY_PREFIX) : len(_KEY_PREFIX) + 32]
    digest = sha256(presented.encode()).digest()
    proved: dict[str, _Proved] = uow.session.info.setdefault(_PROVED, {})
    known = proved.get(public_id)
    if known is not None and known.since <= uow.now < known.until and same_bytes(known.digest, digest):
        return known.actor
    if not presented.startswith(_KEY_PREFIX):
        return None
    found = recognise(uow, presented=presented)
    if not isinstance(found, Recognised) or found.key_to_note is not None:
        return None
    expires_at = stored_instant(uow.session.connection().exec_driver_sql(_EXPIRES, (public_id,)).scalar_one())
    midnight = uow.now.astimezone(SHANGHAI).replace(hour=0, minute=0, second=0, microsecond=0)
    begun = midnight.astimezone(UTC)
    proved[public_id] = _Proved(digest, found.actor, begun, min(begun + timedelta(days=1), expires_at))
    return found.actor


def refuse_login(uow: UnitOfWork, *, cause: str) -> NoReturn:
    """Log a failed login with its cause, and tell the caller nothing of it. :raises Unauthenticated: always."""
    uow.refuse(
        Unauthenticated("a valid API key or member token is needed"),
        kind=EventKind.LOGIN_FAILED,
        refs={"cause": cause},
    )


def note_use(uow: UnitOfWork, *, key_id: str) -> None:
    """Note that a key was used today; once a day, so that calls need not write."""
    today = _today(uow)
    uow.session.exec(
        update(ApiKeyRow)
        .where(
            col(ApiKeyRow.key_id) == key_id,
            col(ApiKeyRow.last_used_on).is_(None) | (col(ApiKeyRow.last_used_on) < today),
        )
        .values(last_used_on=today)
    )


def _signed_in(uow: UnitOfWork, presented: str, sign_in: SignIn) -> Recognised | Unknown:
    """The operator whom an administrator bound to the token's subject; in their own role, if the token bears it too."""
    try:  # before anything is read: no session may stay open while the issuer is asked for its keys
        identity = sign_in.identify(presented, now=uow.now)
    except oidc.Rejected as rejected:
        return Unknown(f"oidc.{rejected.cause}")
    digest = _subject_digest(uow, identity.issuer, identity.subject)
    row = uow.session.exec(select(OperatorRow).where(col(OperatorRow.subject_digest) == digest)).first()
    if row is None or row.disabled_at is not None:
        return Unknown("oidc.operator")
    role = uow.policy.roles.get(row.role)
    if role is None or row.role not in identity.roles:
        return Unknown("oidc.role")
    return Recognised(
        Actor(
            id=row.operator_id,
            kind=ActorKind.OPERATOR,
            scopes=frozenset(role.scopes),
            role=row.role,
            trained_until=row.trained_until,
        )
    )


def _subject_digest(uow: UnitOfWork, issuer: str, subject: str) -> bytes:
    return BlindIndex(uow.keys.system_key(SUBJECT_LABEL)).digest(f"{issuer}\0{subject}".encode())


def _active(uow: UnitOfWork, operator_id: str) -> OperatorRow:
    row = uow.session.get(OperatorRow, operator_id)
    if row is None or row.disabled_at is not None:
        raise NotFound("operator: no active one has this id")
    return row


def _today(uow: UnitOfWork) -> date:
    return uow.now.astimezone(SHANGHAI).date()


def _scopes(text: str) -> tuple[Scope, ...]:
    return tuple(Scope(name) for name in text.split())


def _issue(uow: UnitOfWork, row: OperatorRow, *, days: int, scopes: Sequence[Scope] | None = None) -> IssuedKey:
    if not 1 <= days <= LONGEST_KEY_DAYS:
        raise InvalidInput(f"days: from 1 to {LONGEST_KEY_DAYS}")
    role = uow.policy.roles.get(row.role)
    if role is None:
        raise Conflict("operator: the policy knows their role no more", code="ROLE_GONE")
    if scopes is not None and not (scopes and set(scopes) <= set(role.scopes)):
        raise InvalidInput(f"scopes: some of {', '.join(role.scopes)}, the scopes of the role {row.role}")
    given = tuple(one for one in role.scopes if scopes is None or one in scopes)
    issued = secrets.issue("key", key=uow.keys.system_key(KEY_LABEL))
    expires = uow.now + timedelta(days=days)
    uow.session.add(
        ApiKeyRow(
            key_id=issued.public_id,
            operator_id=row.operator_id,
            digest=issued.digest,
            scopes=" ".join(given),
            created_at=uow.now,
            expires_at=expires,
        )
    )
    uow.record(EventKind.OPERATOR_KEY_ISSUED, refs={"operator": row.operator_id, "key": issued.public_id})
    return IssuedKey(issued.public_id, row.operator_id, issued.text, given, expires)
