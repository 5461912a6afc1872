"""Putting a policy in force: its notices published, its whole form kept, its digest in the log; and going back.

Guarantees: the same policy twice changes nothing; every policy that ever decided can be read again by its digest
(`policy_at`), from the table `policy_version`, whose `content` is the canonical form that the digest is of. Going back
is an activation like any other: nothing is taken out of the history.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import select

from pdms.access import approvals
from pdms.audit.catalogue import EventKind
from pdms.consent.notices import PublishedNotice, publish_notices
from pdms.db import Lock, Session, alone
from pdms.errors import Conflict, IntegrityBroken, NotFound
from pdms.gate.tables import PolicyVersion
from pdms.policy.definitions import Policy
from pdms.policy.diff import PurposeChange, diff
from pdms.policy.loader import load
from pdms.policy.rule_changes import RuleChange
from pdms.policy.stored import content_of, policy_of
from pdms.policy.yaml_reader import PolicyInvalid
from pdms.taxonomy import GuardedAct, Scope
from pdms.unit_of_work import ActorKind, UnitOfWork


@dataclass(frozen=True, slots=True)
class Activation:
    """What an activation did."""

    digest: str
    changed: bool
    activated_at: datetime
    notices: tuple[PublishedNotice, ...]


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """One activation: which policy was in force, and from when."""

    number: int
    digest: str
    activated_at: datetime
    actor: str


def activate(uow: UnitOfWork, *, policy: Policy | None = None) -> Activation:
    """Make a policy, that of this unit if none is given, the one in force and publish its new notice versions.

    From here on this unit decides by it. All but the first take the approval of a second operator.

    :raises Denied: APPROVAL_MISSING.
    """
    return _activate(uow, policy or uow.policy, {})


def activate_documents(uow: UnitOfWork, *, folder: Path) -> Activation:
    """Load the documents of a folder and put them in force.

    :raises PolicyInvalid: they break a rule; nothing changes, and the log says that they were refused.
    """
    uow.require(Scope.ADMIN, Scope.COMPLIANCE)
    try:
        documents = load(folder)
    except PolicyInvalid as error:
        uow.refuse(error, kind=EventKind.POLICY_REFUSED, refs={"policy": uow.policy.digest})
    return activate(uow, policy=documents)


def newest(session: Session) -> Policy | None:
    """Return the policy in force as it was stored, None where none was ever activated."""
    row = session.connection().exec_driver_sql(_WHOLE).first()
    return None if row is None else policy_of(row[1], digest=row[0])


def revert(uow: UnitOfWork, *, digest: str) -> Activation:
    """Put a policy in force again that was so before. :raises NotFound: no such policy was ever in force."""
    return _activate(uow, policy_at(uow, digest=digest), {"revert": "yes"})


def _activate(uow: UnitOfWork, policy: Policy, more: Mapping[str, str]) -> Activation:
    alone(uow.session.connection(), Lock.POLICY)
    last = _last(uow)
    if last is not None:
        policy = _same(policy, digest=last.digest, content=last.content) or policy
    if last is not None and last.digest != policy.digest and uow.actor.kind is not ActorKind.SYSTEM:
        approvals.use(uow, act=GuardedAct.POLICY_ACTIVATION, parameters={"policy": policy.digest})
    uow.policy = policy
    uow.session.info.pop(_IN_FORCE, None)
    published = publish_notices(uow)
    if last is not None and last.digest == uow.policy.digest:
        return Activation(last.digest, changed=False, activated_at=last.activated_at, notices=published)
    uow.session.add(
        PolicyVersion(
            digest=uow.policy.digest, content=content_of(uow.policy), activated_at=uow.now, actor=uow.actor.id
        )
    )
    uow.session.flush()
    refs = {"policy": uow.policy.digest, **more}
    if last is not None:
        refs["before"] = last.digest
    uow.record(EventKind.POLICY_ACTIVATED, refs=refs, numbers={"notices": len(published)})
    return Activation(uow.policy.digest, changed=True, activated_at=uow.now, notices=published)


def active_digest(uow: UnitOfWork) -> str:
    """Return the digest of the policy in force. :raises NotFound: none was activated yet."""
    last = _last(uow)
    if last is None:
        raise NotFound("no policy is in force")
    return last.digest


_IN_FORCE: Final = "pdms.gate.in_force"
_NEWEST: Final = "SELECT digest FROM policy_version ORDER BY number DESC LIMIT 1"
_WHOLE: Final = "SELECT digest, content FROM policy_version ORDER BY number DESC LIMIT 1"


def require_active(uow: UnitOfWork) -> None:
    """Check that the policy of this unit is the one in force: what decides must be on file, to be replayed later.

    :raises Conflict: POLICY_NOT_ACTIVE, its documents were changed and not activated.
    """
    info = uow.session.info
    if info.get(_IN_FORCE) == uow.policy.digest:
        return
    row = uow.session.connection().exec_driver_sql(_NEWEST).first()
    if row is None or row[0] != uow.policy.digest:
        raise Conflict(
            "policy: another one is in force by now; begin again, or check and activate its documents first",
            code="POLICY_NOT_ACTIVE",
        )
    info[_IN_FORCE] = uow.policy.digest


def policy_at(uow: UnitOfWork, *, digest: str) -> Policy:
    """Return a policy that was in force at some time, whole, as it decided then.

    :raises NotFound: no policy of this digest was ever in force. :raises IntegrityBroken: its stored text was altered.
    """
    content = (
        uow.session.connection()
        .exec_driver_sql("SELECT content FROM policy_version WHERE digest = ? ORDER BY number LIMIT 1", (digest,))
        .scalar()
    )
    if content is None:
        raise NotFound("policy: none of this digest was ever in force")
    return policy_of(content, digest=digest)


def history(uow: UnitOfWork) -> tuple[PolicyInForce, ...]:
    """Return every activation, oldest first; each holds until the next."""
    columns = [PolicyVersion.__table__.c[name] for name in ("number", "digest", "activated_at", "actor")]  # type: ignore[attr-defined] # SQLModel makes it
    rows = uow.session.connection().execute(select(*columns).order_by(columns[0]))
    return tuple(PolicyInForce(*row) for row in rows)


def in_force(session: Session, *, documents: Policy, follow: bool) -> Policy:
    """Return the policy to decide by: what is in force, or `documents` where they are newer.

    Documents that were never put in force are somebody's draft: they are returned, and the gate refuses to decide by
    them (`require_active`), unless `follow`: whoever acts goes by what is in force. Documents that were in force once
    and were reverted since give way. Those that say the same as a stored policy are that policy, under the digest that
    it was stored with: a later release may write more into the canonical form. Examples and tests are the documents'
    own, since they decide nothing.

    :raises IntegrityBroken: what is in force is not as it was stored.
    """
    run = session.connection().exec_driver_sql
    newest = run(_NEWEST).scalar()
    if newest is None or newest == documents.digest:
        return documents
    content = run("SELECT content FROM policy_version WHERE digest = ? ORDER BY number LIMIT 1", (newest,)).scalar_one()
    stored = replace(policy_of(content, digest=newest), segments=documents.segments, tests=documents.tests)
    return stored if follow or _was_in_force(session, documents) else documents


def _was_in_force(session: Session, documents: Policy) -> bool:
    run = session.connection().exec_driver_sql
    if run("SELECT 1 FROM policy_version WHERE digest = ?", (documents.digest,)).first() is not None:
        return True
    for digest, content in run("SELECT digest, content FROM policy_version ORDER BY number DESC"):
        with suppress(IntegrityBroken):  # one of long ago that cannot be read; the newest was read before
            if _same(documents, digest=digest, content=content) is not None:
                return True
    return False


def _same(policy: Policy, *, digest: str, content: str) -> Policy | None:
    """Return `policy` under the digest of a stored one that says the same, whichever release stored it, or None."""
    if digest == policy.digest:
        return policy
    if content_of(policy_of(content, digest=digest)) != content_of(policy):
        return None
    return replace(policy, digest=digest)


def _last(uow: UnitOfWork) -> PolicyVersion | None:
    query = select(PolicyVersion).order_by(PolicyVersion.number.desc()).limit(1)  # type: ignore[union-attr] # a column, typed as its value
    return uow.session.execute(query).scalar_one_or_none()


@dataclass(frozen=True, slots=True)
class Difference:
    """What putting other documents in force would change. `same`: they are the policy in force, under one digest."""

    before: str
    after: str
    same: bool
    added: tuple[str, ...]
    """Purposes."""
    removed: tuple[str, ...]
    new_notices: tuple[str, ...]
    members_to_ask_again: dict[str, int]
    """By purpose (PIPL-14-2)."""
    changed: tuple[PurposeChange, ...]
    rules: tuple[RuleChange, ...]
    """Every rule that differs, whatever it is about; weaker ones first."""


def difference(uow: UnitOfWork, *, after: Policy) -> Difference:
    """Compare the policy in force with another (scope: admin or compliance)."""
    counts = affected(uow, after=after)
    after = _same(after, digest=uow.policy.digest, content=content_of(uow.policy)) or after
    found = diff(uow.policy, after)
    return Difference(
        found.before,
        found.after,
        found.before == found.after,
        found.added,
        found.removed,
        found.new_notices,
        counts,
        found.changed,
        found.rules,
    )


def affected(uow: UnitOfWork, *, after: Policy) -> dict[str, int]:
    """Return, per purpose whose consents `after` would invalidate, how many members must be asked again (PIPL-14-2)."""
    uow.require(Scope.COMPLIANCE, Scope.ADMIN)
    from pdms.gate.sets import count_given  # arithmetic on columns: not for every command that opens a home

    invalidated = (uow.policy.purposes[name] for name in diff(uow.policy, after).to_ask_again)
    return {one.name: count_given(uow, purpose=one) for one in invalidated if one.rests_on_consent}
