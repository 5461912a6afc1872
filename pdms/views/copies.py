"""Copies of releases: who took one, and whether they said that nothing of it is left.

Guarantees: whoever read or exported rows is listed, in the same commit that let the rows go; a copy ends by the day on
which the release expires or by its consumer's word, which is in the log. Deliberately not here: proof that a consumer
keeps their word; that is what the contract with them and the officer's list of what is overdue are for.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import col, select

from pdms.audit.catalogue import EventKind
from pdms.db import locks
from pdms.errors import Denied, NotFound
from pdms.policy.reasons import reason
from pdms.taxonomy import ReleaseState, Scope
from pdms.unit_of_work import AnonUnitOfWork
from pdms.views.tables import Release, ReleaseCopy

DELETE_WITHIN = timedelta(days=30)
"""After a release lost the basis of rows, or was withdrawn, its copies must be gone within this."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One consumer's copy of a release."""

    release_id: str
    view: str
    consumer: str
    taken_at: datetime
    delete_by: datetime
    """The day of expiry, or 30 days after the release ended where that is earlier."""
    deleted_at: datetime | None
    overdue: bool
    """Nothing was said, and `delete_by` is over."""


def hold(uow: AnonUnitOfWork) -> None:
    """Let no release end until this unit does: call before looking whether one is live, to take a copy of it.

    Otherwise a publication could close a release that nobody read while a copy of it is entered and not yet committed.
    """
    locks.beside(uow.anon.connection(), locks.Lock.RELEASES)


def taken(uow: AnonUnitOfWork, *, release_id: str) -> None:
    """Enter that the actor of this unit takes a copy; one that was deleted before is there again."""
    key = (release_id, _consumer(uow))
    row = uow.anon.get(ReleaseCopy, key) or ReleaseCopy(release_id=key[0], consumer=key[1], taken_at=uow.now)
    row.taken_at, row.deleted_at = uow.now, None
    uow.anon.add(row)
    uow.anon.flush()


def list_copies(uow: AnonUnitOfWork, *, release_id: str) -> tuple[Copy, ...]:
    """List the copies of a release, by consumer. :raises NotFound: there is no release of that id."""
    uow.require(Scope.MARKETING, Scope.COMPLIANCE, Scope.ADMIN)
    release = _release(uow, release_id)
    query = select(ReleaseCopy).where(col(ReleaseCopy.release_id) == release_id).order_by(col(ReleaseCopy.consumer))
    return tuple(_copy(release, row, uow.now) for row in uow.anon.exec(query))


def acknowledge_deleted(uow: AnonUnitOfWork, *, release_id: str, consumer: str | None = None) -> Copy:
    """Enter that nothing is left of a consumer's copy; recorded. Twice is once.

    :param consumer: role that held it; default the actor's own. Officers may say it for another.
    :raises NotFound: no such release, or that consumer never took a copy. :raises Denied: SCOPE_MISSING, for another.
    """
    uow.require(Scope.MARKETING, Scope.COMPLIANCE, Scope.ADMIN)
    release = _release(uow, release_id)
    who = consumer or _consumer(uow)
    if who != _consumer(uow) and not uow.actor.scopes & {Scope.COMPLIANCE, Scope.ADMIN}:
        uow.refuse(
            Denied("only the officer speaks for another consumer", reasons=(reason("SCOPE_MISSING"),)),
            refs={"release": release_id, "view": release.view},
        )
    row = uow.anon.get(ReleaseCopy, (release_id, who))
    if row is None:
        raise NotFound("release: that consumer took no copy of it")
    if row.deleted_at is None:
        row.deleted_at = uow.now
        uow.anon.add(row)
        uow.record(
            EventKind.RELEASE_COPY_DELETED,
            purpose=release.purpose,
            refs={"release": release_id, "view": release.view, "consumer": who},
        )
        uow.anon.flush()
    return _copy(release, row, uow.now)


def presume_taken(uow: AnonUnitOfWork) -> int:
    """Enter a copy of each live release for every role that could read it, after a restore; return of how many.

    What was read between the backup and the restore is known to nobody here: each role says what is left of it.
    """
    live = uow.anon.exec(select(Release).where(col(Release.state) == ReleaseState.LIVE)).all()
    for release in live:
        view = uow.policy.views.get(release.view)
        consumers = {
            name
            for name, role in uow.policy.roles.items()
            if Scope.COMPLIANCE in role.scopes
            or (Scope.MARKETING in role.scopes if view is None else name in view.consumers)
        }
        for consumer in sorted(consumers):
            row = uow.anon.get(ReleaseCopy, (release.release_id, consumer))
            if row is None or row.deleted_at is not None:
                row = row or ReleaseCopy(release_id=release.release_id, consumer=consumer, taken_at=uow.now)
                row.taken_at, row.deleted_at = uow.now, None
                uow.anon.add(row)
    uow.anon.flush()
    return len(live)


def outstanding(uow: AnonUnitOfWork) -> frozenset[str]:
    """Return the ids of releases that have not expired and of which a consumer may hold a copy."""
    running = select(Release.release_id).where(col(Release.expires_at) > uow.now)
    query = select(ReleaseCopy.release_id).where(
        col(ReleaseCopy.deleted_at).is_(None), col(ReleaseCopy.release_id).in_(running)
    )
    return frozenset(uow.anon.exec(query))


def _consumer(uow: AnonUnitOfWork) -> str:
    return uow.actor.role or uow.actor.id


def _release(uow: AnonUnitOfWork, release_id: str) -> Release:
    row = uow.anon.get(Release, release_id)
    if row is None:
        raise NotFound("release: there is none of that id")
    return row


def _copy(release: Release, row: ReleaseCopy, now: datetime) -> Copy:
    by = release.expires_at
    if release.state != ReleaseState.LIVE and release.ended_at is not None:
        by = min(by, release.ended_at + DELETE_WITHIN)
    return Copy(
        release_id=release.release_id,
        view=release.view,
        consumer=row.consumer,
        taken_at=row.taken_at,
        delete_by=by,
        deleted_at=row.deleted_at,
        overdue=row.deleted_at is None and now >= by,
    )
