"""Putting a policy in force: its notices published, its whole form kept, its digest in the log.

Guarantees: the same policy twice changes nothing; every policy that ever decided can be read again by its digest.
"""

from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import select

from pdms.audit.catalogue import EventKind
from pdms.consent.notices import PublishedNotice, publish_notices
from pdms.consent.sets import current_columns
from pdms.db import Lock, alone
from pdms.errors import Conflict, NotFound
from pdms.gate.tables import PolicyVersion
from pdms.policy.canonical import text_of
from pdms.policy.definitions import Policy
from pdms.policy.diff import diff
from pdms.taxonomy import ConsentState, Scope
from pdms.unit_of_work import UnitOfWork
from pdms.vault import service as vault


@dataclass(frozen=True, slots=True)
class Activation:
    """What an activation did."""

    digest: str
    changed: bool
    activated_at: datetime
    notices: tuple[PublishedNotice, ...]


def activate(uow: UnitOfWork) -> Activation:
    """Make the policy of this unit the one in force and publish its new notice versions."""
    alone(uow.session.connection(), Lock.POLICY)
    published = publish_notices(uow)
    last = _last(uow)
    if last is not None and last.digest == uow.policy.digest:
        return Activation(last.digest, changed=False, activated_at=last.activated_at, notices=published)
    uow.session.add(
        PolicyVersion(digest=uow.policy.digest, content=content_of(uow), activated_at=uow.now, actor=uow.actor.id)
    )
    uow.session.flush()
    refs = {"policy": uow.policy.digest}
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


_IN_FORCE = "pdms.gate.in_force"
_NEWEST = "SELECT digest FROM policy_version ORDER BY number DESC LIMIT 1"


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
            "policy: its documents differ from the policy in force; check and activate them first",
            code="POLICY_NOT_ACTIVE",
        )
    info[_IN_FORCE] = uow.policy.digest


def content_of(uow: UnitOfWork) -> str:
    """Return the canonical form whose SHA-256 is the policy's digest."""
    left_out = ("digest", "segments", "tests")
    return text_of({f.name: getattr(uow.policy, f.name) for f in fields(uow.policy) if f.name not in left_out})


def _last(uow: UnitOfWork) -> PolicyVersion | None:
    query = select(PolicyVersion).order_by(PolicyVersion.number.desc()).limit(1)  # type: ignore[union-attr]
    return uow.session.execute(query).scalar_one_or_none()


def affected(uow: UnitOfWork, *, after: Policy) -> dict[str, int]:
    """Return, per purpose whose consents `after` would invalidate, how many members must be asked again (PIPL-14-2)."""
    uow.require(Scope.COMPLIANCE, Scope.ADMIN)
    counts, decoys = {}, vault.decoys(uow)
    for name in diff(uow.policy, after).to_ask_again:
        before = uow.policy.purposes[name]
        if before.rests_on_consent:
            columns = current_columns(uow, purpose=before)
            counts[name] = sum(
                columns.facts[code].state is ConsentState.GIVEN
                for member, code in zip(columns.member_ids, columns.codes, strict=True)
                if member not in decoys
            )
    return counts
