"""Releases: listed, shown, read, exported, withdrawn. The reading side of the boundary.

Guarantees: nobody reads rows but a consumer that the view names, for its purpose, while the release is live; each
reading and each export is an event, committed before the rows leave (the unit commits first). It cannot reach a member.
Deliberately not here: making a release; that is `publish`, on the other side.
"""

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlmodel import col, select

from pdms.access import approvals
from pdms.access.approvals import Approved
from pdms.audit.catalogue import EventKind
from pdms.errors import Denied, InvalidInput, NotFound
from pdms.policy.definitions import View
from pdms.policy.reasons import reason as reason_of
from pdms.taxonomy import GuardedAct, ReleaseState, Scope
from pdms.unit_of_work import AnonUnitOfWork
from pdms.views import copies, files
from pdms.views.definitions import view_of
from pdms.views.files import ReleaseFormat
from pdms.views.tables import Release

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

OPEN = (ReleaseState.LIVE, ReleaseState.STALE)


@dataclass(frozen=True, slots=True)
class ReleaseInfo:
    """What is known of a release without opening it."""

    release_id: str
    view: str
    purpose: str
    state: ReleaseState
    rows: int
    classes: int
    k: int
    policy_digest: str
    data_sha256: str
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class ReleaseShown:
    """A release with its public manifest: counts rounded, nothing exact but what its rows show."""

    info: ReleaseInfo
    manifest: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ReleaseRows:
    """The rows of a release: one a member, columns of labels."""

    info: ReleaseInfo
    table: "pa.Table"

    def classes(self) -> "tuple[dict[str, list[str]], NDArray[np.int64]]":
        """Return the labels of each equivalence class, and int64 [classes] members."""
        import numpy as np
        import pyarrow as pa

        names = self.table.column_names
        grouped = self.table.group_by(names).aggregate([([], "count_all")])
        plain = pa.table([grouped[name].cast(pa.string()) for name in names], names=names)
        ordered = plain.append_column("rows", grouped["count_all"]).sort_by([(name, "ascending") for name in names])
        return {name: ordered[name].to_pylist() for name in names}, np.asarray(ordered["rows"], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class ReleaseExport:
    """A release as a file."""

    release_id: str
    content: bytes
    filename: str
    media_type: str
    rows: int


@dataclass(frozen=True, slots=True)
class ViewTerms:
    """A feature view of the policy: what it shows, and on what terms."""

    name: str
    purpose: str
    features: tuple[str, ...]
    k: int
    min_cell: int
    consumers: tuple[str, ...]


def list_views(uow: AnonUnitOfWork) -> tuple[ViewTerms, ...]:
    """List the feature views of the policy, by name."""
    uow.require(Scope.MARKETING, Scope.COMPLIANCE, Scope.ADMIN)
    return tuple(
        ViewTerms(v.name, v.purpose, tuple(f.name for f in v.features), v.k, v.min_cell, v.consumers)
        for _, v in sorted(uow.policy.views.items())
    )


def put_live(uow: AnonUnitOfWork, info: ReleaseInfo) -> tuple[str, ...]:
    """Enter a release as live and withdraw the view's others; return the ids withdrawn. Only `publish` calls it."""
    replaced = _end(uow, _open(uow, view=info.view, but=info.release_id), ReleaseState.WITHDRAWN, "REPLACED")
    if uow.anon.get(Release, info.release_id) is None:
        uow.anon.add(Release(**{field.name: getattr(info, field.name) for field in fields(info)}))
        uow.anon.flush()
    return replaced


def list_releases(
    uow: AnonUnitOfWork, *, view: str | None = None, state: ReleaseState | None = None
) -> tuple[ReleaseInfo, ...]:
    """List releases, newest first."""
    uow.require(Scope.MARKETING, Scope.COMPLIANCE, Scope.ADMIN)
    query = select(Release).order_by(col(Release.created_at).desc(), col(Release.release_id))
    if view is not None:
        query = query.where(col(Release.view) == view)
    if state is not None:
        query = query.where(col(Release.state) == state)
    return tuple(_info(row) for row in uow.anon.exec(query))


def show(uow: AnonUnitOfWork, *, release_id: str) -> ReleaseShown:
    """Return a release and its public manifest. :raises NotFound: there is none."""
    from pdms.views import store

    uow.require(Scope.MARKETING, Scope.COMPLIANCE, Scope.ADMIN)
    info = _info(_find(uow, release_id))
    return ReleaseShown(info=info, manifest=store.read_manifest(uow.home, view=info.view, release_id=release_id))


def live(uow: AnonUnitOfWork, *, view: str) -> ReleaseInfo:
    """Return the live release of a view to one of its consumers; reads no rows. Errors as `read`."""
    return _readable(uow, view=view, release_id=None)


def read(uow: AnonUnitOfWork, *, view: str | None = None, release_id: str | None = None) -> ReleaseRows:
    """Read a release, or the live one of a view; recorded.

    :raises NotFound: there is none. :raises Denied: VIEW_NOT_ALLOWED, RELEASE_NOT_LIVE.
    :raises IntegrityBroken: the file is not the one that was published.
    """
    from pdms.views import store

    copies.hold(uow)
    info = _readable(uow, view=view, release_id=release_id)
    _, table = store.read_data(uow.home, view=info.view, release_id=info.release_id, sha256=info.data_sha256)
    copies.taken(uow, release_id=info.release_id)
    uow.record(
        EventKind.RELEASE_READ,
        purpose=info.purpose,
        refs={"release": info.release_id, "view": info.view},
        numbers={"rows": table.num_rows},
    )
    return ReleaseRows(info=info, table=table)


def to_export(uow: AnonUnitOfWork, *, release_id: str, format: ReleaseFormat) -> dict[str, str]:  # noqa: A002 - what the face and the approval call it
    """Return what a second operator approves for `export`: parameters of GuardedAct.BULK_EXPORT. Errors as `read`."""
    named = _readable(uow, view=None, release_id=release_id).release_id
    return {"release": named, "format": files.format_of(format)}


def export(
    uow: AnonUnitOfWork,
    *,
    release_id: str,
    format: ReleaseFormat,  # noqa: A002 - what the face and the approval call it
    approved: Approved | None,
) -> ReleaseExport:
    """Return a release as a file, as another operator approved; recorded.

    :raises Denied: APPROVAL_MISSING. Other errors as `read`.
    """
    from pdms.views import store

    copies.hold(uow)
    parameters = to_export(uow, release_id=release_id, format=format)
    approvals.check(uow, approved, act=GuardedAct.BULK_EXPORT, parameters=parameters)
    info = _readable(uow, view=None, release_id=release_id)
    content, table = store.read_data(uow.home, view=info.view, release_id=release_id, sha256=info.data_sha256)
    content = files.content_of(table, content, format)
    copies.taken(uow, release_id=info.release_id)
    uow.record(
        EventKind.RELEASE_EXPORTED,
        purpose=info.purpose,
        refs={"release": release_id, "view": info.view},
        numbers={"rows": table.num_rows},
    )
    return ReleaseExport(release_id, content, f"{info.view}-{release_id}.{format}", files.MEDIA[format], table.num_rows)


def withdraw(uow: AnonUnitOfWork, *, release_id: str, reason: str = "OPERATOR") -> ReleaseInfo:
    """Withdraw a release: nobody reads it any more. Twice is once. :raises NotFound: there is none."""
    uow.require(Scope.COMPLIANCE, Scope.ADMIN)
    row = _find(uow, release_id)
    if row.state in OPEN:
        _end(uow, [row], ReleaseState.WITHDRAWN, reason)
    return _info(row)


def mark_stale(
    uow: AnonUnitOfWork,
    *,
    purpose: str | None = None,
    view: str | None = None,
    release_id: str | None = None,
    reason: str = "BASIS_LOST",
) -> tuple[str, ...]:
    """Mark live releases as stale, since rows of them lost their basis: those that all given arguments name."""
    live = [
        row
        for row in _open(uow, view=view, purpose=purpose)
        if row.state == ReleaseState.LIVE and release_id in (None, row.release_id)
    ]
    return _end(uow, live, ReleaseState.STALE, reason)


def expire(uow: AnonUnitOfWork) -> tuple[str, ...]:
    """Expire what is past its day; return the ids."""
    over = [row for row in _open(uow) if row.expires_at <= uow.now]
    return _end(uow, over, ReleaseState.EXPIRED, "EXPIRED")


def remove_data(uow: AnonUnitOfWork) -> int:
    """Remove the rows of every release that is neither live nor stale; return of how many. Call after their commit."""
    from pdms.views import store

    kept = {row.release_id for row in _open(uow)}
    return sum(
        store.remove_data(uow.home, view=view, release_id=release_id)
        for view, release_id in list(store.stored(uow.home))
        if release_id not in kept and uow.anon.get(Release, release_id) is not None
    )


def newest(uow: AnonUnitOfWork, *, view: str) -> str | None:
    """Return the id of a view's release that is live or stale: answers of a privacy budget are given once for each."""
    row = next(iter(_open(uow, view=view)), None)
    return None if row is None else row.release_id


def known(uow: AnonUnitOfWork, *, release_id: str) -> ReleaseInfo | None:
    """Return a release if it was ever entered. For `publish`, which mends what a crash left."""
    row = uow.anon.get(Release, release_id)
    return None if row is None else _info(row)


def known_among(uow: AnonUnitOfWork, release_ids: Collection[str]) -> frozenset[str]:
    """Return which of some releases were ever entered. For `publish`."""
    return frozenset(uow.anon.exec(select(Release.release_id).where(col(Release.release_id).in_(release_ids))))


def live_but(uow: AnonUnitOfWork, *, view: str | None) -> frozenset[str]:
    """Return the ids of the live releases of all views but one. For `publish`."""
    live = select(Release.release_id).where(col(Release.state) == ReleaseState.LIVE)
    return frozenset(uow.anon.exec(live if view is None else live.where(col(Release.view) != view)))


def _readable(uow: AnonUnitOfWork, *, view: str | None, release_id: str | None) -> ReleaseInfo:
    uow.require(Scope.MARKETING, Scope.COMPLIANCE)
    if (view is None) == (release_id is None):
        raise InvalidInput("release: name a view or a release id")
    if release_id is None:
        row = next(iter(_open(uow, view=view)), None)
        if row is None:
            view_of(uow.policy, view or "")
            raise NotFound("release: the view has no live release")
    else:
        row = _find(uow, release_id)
    info = _info(row)
    refs = {"release": info.release_id, "view": info.view}
    if not may_consume(uow, info):
        refused = Denied("the role may not read this view", reasons=(reason_of("VIEW_NOT_ALLOWED"),))
        uow.refuse(refused, purpose=info.purpose, refs=refs)
    if info.state is not ReleaseState.LIVE or uow.now >= info.expires_at:
        uow.refuse(
            Denied("the release is not live", reasons=(reason_of("RELEASE_NOT_LIVE"),)), purpose=info.purpose, refs=refs
        )
    return info


def may_consume(uow: AnonUnitOfWork, info: ReleaseInfo) -> bool:
    """Tell whether the actor is an officer, or of a role that the view names, with its purpose."""
    return Scope.COMPLIANCE in uow.actor.scopes or _may_consume(uow, info)


def require_consumer(uow: AnonUnitOfWork, view: View) -> None:
    """Refuse unless the actor is of a role that the view names, with its purpose."""
    if not _consumes(uow, view, view.purpose):
        refused = Denied("the role may not read this view", reasons=(reason_of("VIEW_NOT_ALLOWED"),))
        uow.refuse(refused, purpose=view.purpose, refs={"view": view.name})


def _may_consume(uow: AnonUnitOfWork, info: ReleaseInfo) -> bool:
    view = uow.policy.views.get(info.view)
    return view is not None and _consumes(uow, view, info.purpose)


def _consumes(uow: AnonUnitOfWork, view: View, purpose: str) -> bool:
    role = uow.policy.roles.get(uow.actor.role or "")
    return role is not None and role.name in view.consumers and purpose in role.purposes


def _find(uow: AnonUnitOfWork, release_id: str) -> Release:
    row = uow.anon.get(Release, release_id)
    if row is None:
        raise NotFound("release: there is none of that id")
    return row


def _open(
    uow: AnonUnitOfWork, *, view: str | None = None, purpose: str | None = None, but: str | None = None
) -> list[Release]:
    query = select(Release).where(col(Release.state).in_(OPEN)).order_by(col(Release.created_at).desc())
    if view is not None:
        query = query.where(col(Release.view) == view)
    if purpose is not None:
        query = query.where(col(Release.purpose) == purpose)
    return [row for row in uow.anon.exec(query) if row.release_id != but]


def _end(uow: AnonUnitOfWork, rows: list[Release], state: ReleaseState, reason: str) -> tuple[str, ...]:
    kind = EventKind.RELEASE_STALE if state is ReleaseState.STALE else EventKind.RELEASE_WITHDRAWN
    for row in rows:
        row.state, row.reason, row.ended_at = state, reason, uow.now
        uow.anon.add(row)
        uow.record(kind, purpose=row.purpose, reasons=(reason,), refs={"release": row.release_id, "view": row.view})
    uow.anon.flush()
    return tuple(row.release_id for row in rows)


def _info(row: Release) -> ReleaseInfo:
    values = {field.name: getattr(row, field.name) for field in fields(ReleaseInfo)}
    return ReleaseInfo(**{**values, "state": ReleaseState(row.state)})
