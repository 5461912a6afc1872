"""The door out of the boundary: a view of the eligible members, anonymised, judged, written.

In this order, each step a unit of its own where it touches a database:
1. the gate permits the release; the intent is committed;
2. the gate gives the eligible set, the vault their pseudonyms, the log its checkpoint, the ledger what is out;
3. features are computed and anonymised beside it; the bytes are measured again and judged, alone and together with it;
4. the release folder is written; a former release that nobody read is closed; the outcome is committed with the ledger,
   unless a basis was lost, somebody took a copy or another release went out since step 2: then from 2 again.

Guarantees: killed anywhere and run again it ends in the same state, with one live release and nothing half-written; a
refusal is in the log with its reasons; nobody is among fewer than k in the releases of a family taken together.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sqlmodel import and_, col, or_, select, update

from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.audit.events import Outcome
from pdms.errors import Conflict, Denied, IntegrityBroken, NotFound
from pdms.gate import service as gate
from pdms.policy.definitions import View
from pdms.policy.reasons import reason
from pdms.publish import ledger, linkage
from pdms.publish.manifest import SIGNER, ConsentCheckpoint, Manifest, from_document, public_manifest, sign_manifest
from pdms.publish.statement import Taken, coarsened, draw_up
from pdms.publish.tables import Publication
from pdms.taxonomy import Operation, Pseudonym, ReleaseState, Scope, new_id
from pdms.unit_of_work import UnitFactory, UnitOfWork
from pdms.vault import service as vault
from pdms.views import service as views
from pdms.views.definitions import categories_of, space_of, view_of

ATTEMPTS = 3
Progress = Callable[[str], None]


class PublicationState(StrEnum):
    """From intent to outcome."""

    INTENT = "intent"
    PUBLISHED = "published"
    REFUSED = "refused"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Closed:
    """What a sweep of publications did: intents given up, and outcomes completed on the anonymised side."""

    abandoned: tuple[str, ...]
    completed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Ready:
    """What the outcome of a publication commits."""

    manifest: Manifest
    signed: dict[str, object]
    ledger: ledger.Standing


def publish(units: UnitFactory, *, view: str, progress: Progress | None = None) -> Manifest:
    """Publish `view` and withdraw its former release; return the exact manifest.

    :param progress: called with the name of each stage as it begins.
    :raises NotFound: no such view. :raises Conflict: another publication of it runs, or consents change too fast.
    :raises Denied: not permitted, or refused with reasons (BELOW_MIN_CELL, RISK_TOO_HIGH, SUPPRESSION_LIMIT, LEDGER_…).
    """
    from pdms.views import store

    tell = progress or _silent
    with units() as uow:
        uow.require(Scope.COMPLIANCE, Scope.ADMIN)
        definition, home = view_of(uow.policy, view), uow.home
        space_of(uow.policy, view)
    with store.publishing(home, view) as mine:
        if not mine:
            raise Conflict("publish: another publication of this view is running", code="PUBLISH_RUNNING")
        _close(units, view)
        tell("permit")
        release_id, permit = _intend(units, definition)
        try:
            manifest = _publish(units, definition, release_id, permit, tell)
        except Denied as error:
            _end_without(units, release_id, PublicationState.REFUSED, error)
            raise
        except Exception:
            _end_without(units, release_id, PublicationState.ABANDONED, None)
            raise
        with units() as uow:
            views.remove_data(uow)
        return manifest


def manifest(uow: UnitOfWork, *, release_id: str) -> Manifest:
    """Return the exact manifest of a release, for officers. :raises NotFound: none was published under that id."""
    return from_document(signed_manifest(uow, release_id=release_id))


def signed_manifest(uow: UnitOfWork, *, release_id: str) -> dict[str, object]:
    """Return the exact manifest of a release as the signed document. :raises NotFound: there is none."""
    uow.require(Scope.COMPLIANCE, Scope.ADMIN)
    row = _found(uow, release_id)
    if row is None or row.manifest is None:
        raise NotFound("release: no manifest of that id")
    document: dict[str, object] = json.loads(row.manifest)
    return document


def mark_stale_for(uow: UnitOfWork, *, purpose: str | None) -> tuple[str, ...]:
    """Mark live releases of `purpose` (None: of every purpose) as stale, and publications under way as overtaken.

    Called in the unit that withdraws a consent or erases a member. The mark stands on the identified side too, which
    commits first: what a crash between the two commits leaves unmarked, `close_open_intents` marks.
    """
    uow.lock_anon_first()
    # One under way is marked again though it is marked: it may be taking the eligible set anew at this moment, which on
    # PostgreSQL is seen only once its row has been waited for.
    under_way = col(Publication.state) == PublicationState.INTENT
    unmarked = and_(col(Publication.state) == PublicationState.PUBLISHED, col(Publication.overtaken).is_(False))
    concerned = update(Publication).where(or_(under_way, unmarked))
    if purpose is not None:
        concerned = concerned.where(col(Publication.purpose) == purpose)
    uow.session.execute(concerned.values(overtaken=True))
    return views.mark_stale(uow, purpose=purpose)


def forget(uow: UnitOfWork, *, pseudonym: Pseudonym) -> int:
    """Take a member who is being erased out of the release ledger; return of how many families. Twice is once."""
    uow.lock_anon_first()
    decoys = vault.pseudonyms_of(uow, vault.decoys(uow)).values()
    return ledger.forget(uow, pseudonym, counted=pseudonym not in decoys)


def close_open_intents(units: UnitFactory) -> Closed:
    """Close what killed publications left open; one that runs at this moment is left alone."""
    from pdms.views import store

    with units() as uow:
        home = uow.home
        names = sorted(set(uow.session.exec(select(Publication.view))))
    abandoned: tuple[str, ...] = ()
    completed: tuple[str, ...] = ()
    for view in names:
        with store.publishing(home, view) as mine:
            if mine:
                done = _close(units, view)
                abandoned += done.abandoned
                completed += done.completed
    with units() as uow:
        uow.lock_anon_first()
        ledger.prune(uow)
    with units() as uow:
        views.remove_data(uow)
    return Closed(abandoned=abandoned, completed=completed)


def _silent(_stage: str) -> None:
    return None


def _intend(units: UnitFactory, view: View) -> tuple[str, str]:
    release_id = new_id("rel")
    with units() as uow:
        permit = gate.release_permit(uow, view=view.name)
        uow.session.add(
            Publication(
                release_id=release_id,
                view=view.name,
                purpose=view.purpose,
                state=PublicationState.INTENT,
                started_at=uow.now,
            )
        )
        uow.record(
            EventKind.RELEASE_INTENT,
            purpose=view.purpose,
            outcome=Outcome.INTENDED,
            refs={"release": release_id, "view": view.name, "permit": permit.id},
        )
    return release_id, permit.id


def _publish(units: UnitFactory, view: View, release_id: str, permit: str, tell: Progress) -> Manifest:
    from pdms.features import service as features
    from pdms.publish.release import make, refusal
    from pdms.publish.together import agrees, beside, classes_held, measured_together
    from pdms.views import store

    for _ in range(ATTEMPTS):
        tell("eligible")
        with units() as uow:
            uow.lock_anon_first()
            out = ledger.standing(uow, family=view.family_name, view=view.name)
        with units() as uow:
            taken, now, home, policy = _take(uow, view, release_id, out), uow.now, uow.home, uow.policy
        tell("features")
        computed = features.compute_at(home, policy, view=view, pseudonyms=taken.pseudonyms, now=now, rows=True)
        tell("anonymise")
        # keyed: who stays out is the same for the same eligible set, and nobody's to foretell
        here = beside(taken.counted, computed.rows, coarsened(view), seed=int(taken.eligible.digest[:16], 16))
        made = make(view, computed.frequency, space_of(policy, view.name), here)
        held = classes_held(made.grouped.class_of, made.grouped.out, here)
        reached = measured_together(taken.counted, here.subjects, held, asked=made.asked)
        if reached.below or not agrees(held, made.data, coarsened(view)):
            raise refusal(reason("LEDGER_COMPOSITE"))
        with units() as uow:
            uow.lock_anon_first()
            linked = linkage.linked(uow, view, taken.counted, subjects=here.subjects, class_of=held, asked=made.asked)
        if linkage.beyond(view, linked):
            raise refusal(reason("LEDGER_LINKED"))
        tell("write")
        with units() as uow:
            found = draw_up(
                uow, view, release_id=release_id, permit=permit, taken=taken,
                uncovered=computed.uncovered, made=made, reached=reached, linked=linked,
            )  # fmt: skip
            signer = uow.keys.signer(SIGNER)
        public = sign_manifest(public_manifest(found), signer)
        store.write_release(home, view=view.name, release_id=release_id, data=made.data, manifest=public)
        tell("outcome")
        after = ledger.with_release(taken.out, release_id=release_id, subjects=here.subjects, class_of=held)
        ready = _Ready(found, sign_manifest(found.document(), signer), after)
        if _close_unread(units, view, ready) and _finish(units, view, ready):
            return found
        store.remove_half_written(home, view.name, release_id=release_id)
    raise Conflict("publish: consents changed while the view was computed, each time anew", code="PUBLISH_OVERTAKEN")


def _take(uow: UnitOfWork, view: View, release_id: str, out: ledger.Standing) -> Taken:
    row = _row(uow, release_id)
    row.overtaken = False
    uow.session.add(row)
    categories = categories_of(uow.policy, view)
    eligible = gate.eligible(uow, purpose=view.purpose, operation=Operation.PROFILE, categories=categories)
    links = vault.pseudonyms_of(uow, eligible.member_ids)
    newest = audit.checkpoint(uow.session)
    return Taken(
        eligible=eligible,
        pseudonyms=list(links.values()),
        checkpoint=None
        if newest is None
        else ConsentCheckpoint(size=newest.size, root=newest.root.hex(), note=newest.render()),
        out=out,
        counted=ledger.without(out, vault.pseudonyms_of(uow, vault.decoys(uow)).values()),
    )


def _close_unread(units: UnitFactory, view: View, ready: _Ready) -> bool:
    """End the view's former release where it was composed with nothing, since nobody holds a copy.

    From here on nobody can take one, though the process be killed before the outcome. False: overtaken, as `_finish`.
    """
    with units() as uow:
        uow.lock_anon_first(alone=True)
        if _overtaken(uow, view, ready):
            return False
        for info in views.list_releases(uow, view=view.name, state=ReleaseState.LIVE):
            if info.release_id not in ready.ledger.releases:
                views.mark_stale(uow, release_id=info.release_id, reason="REPLACED")
    return True


def _overtaken(uow: UnitOfWork, view: View, ready: _Ready) -> bool:
    """Tell whether a basis was lost, or something came out that the release was not composed with. Call `alone`.

    One whose intent a sweep of another machine closed, folder and all, is none either.
    """
    row = _row(uow, ready.manifest.release_id)
    open_ = row.state == PublicationState.INTENT and not row.overtaken
    if not open_ or not ledger.stands(uow, ready.ledger, view=view.name):
        return True
    return ready.manifest.linked is not None and linkage.overtaken(uow, view, ready.manifest.linked)


def _finish(units: UnitFactory, view: View, ready: _Ready) -> bool:
    """Commit the outcome with the ledger, unless the publication was overtaken; tell which."""
    manifest = ready.manifest
    with units() as uow:
        uow.lock_anon_first(alone=True)
        if _overtaken(uow, view, ready) or not ledger.write(uow, ready.ledger):
            return False
        row = _row(uow, manifest.release_id)
        row.state, row.ended_at = PublicationState.PUBLISHED, uow.now
        row.manifest = json.dumps(ready.signed, ensure_ascii=False, sort_keys=True)
        row.family = ready.ledger.family
        uow.session.add(row)
        uow.record(
            EventKind.RELEASE_PUBLISHED,
            purpose=manifest.purpose,
            refs={
                "release": manifest.release_id,
                "view": manifest.view,
                "permit": manifest.permit,
                "data": manifest.data_sha256,
            },
            numbers={
                "eligible": manifest.eligible,
                "rows": manifest.rows,
                "suppressed": manifest.suppressed,
                "classes": manifest.classes,
                "k": manifest.k,
                "level": manifest.level,
                "held_back": sum(manifest.together.held_back.values()) if manifest.together else 0,
            },
            digest=manifest.eligible_digest,
        )
        views.put_live(uow, _info(manifest))
    return True


def _end_without(units: UnitFactory, release_id: str, state: PublicationState, error: Denied | None) -> None:
    """Commit that a publication gave no release."""
    from pdms.views import store

    with units() as uow:
        row = _row(uow, release_id)
        row.state, row.ended_at = state, uow.now
        uow.session.add(row)
        uow.record(
            EventKind.RELEASE_REFUSED,
            purpose=row.purpose,
            outcome=Outcome.FAILED if error is None else Outcome.DENIED,
            reasons=tuple(dict.fromkeys(r.code for r in error.reasons)) if error is not None else ("ABANDONED",),
            refs={"release": release_id, "view": row.view},
        )
        store.remove_half_written(uow.home, row.view, release_id=release_id)


def _close(units: UnitFactory, view: str) -> Closed:
    """Close the open intents of one view, and complete its newest publication. Call with the view held."""
    with units() as uow:
        uow.lock_anon_first()
        rows = uow.session.exec(
            select(Publication).where(col(Publication.view) == view).order_by(col(Publication.number).desc())
        ).all()
        open_ = [row.release_id for row in rows if row.state == PublicationState.INTENT]
        newest = next((row for row in rows if row.state == PublicationState.PUBLISHED), None)
        completed: tuple[str, ...] = ()
        # the identified side commits first: its outcome may stand while the anonymised side never heard of it
        if (
            newest is not None
            and newest.manifest is not None
            and views.known(uow, release_id=newest.release_id) is None
        ):
            views.put_live(uow, _info(from_document(json.loads(newest.manifest))))
            uow.record(
                EventKind.SWEEP_CLOSED, purpose=newest.purpose, refs={"release": newest.release_id, "view": view}
            )
            completed = (newest.release_id,)
        if newest is not None and newest.overtaken:
            views.mark_stale(uow, release_id=newest.release_id)
    for release_id in open_:
        _end_without(units, release_id, PublicationState.ABANDONED, None)
    return Closed(abandoned=tuple(open_), completed=completed)


def _found(uow: UnitOfWork, release_id: str) -> Publication | None:
    return uow.session.exec(select(Publication).where(col(Publication.release_id) == release_id)).one_or_none()


def _row(uow: UnitOfWork, release_id: str) -> Publication:
    """Return the row of a publication under way, for this unit alone: no basis is lost meanwhile."""
    query = select(Publication).where(col(Publication.release_id) == release_id)
    row = uow.session.exec(query.with_for_update()).one_or_none()
    if row is None:
        raise IntegrityBroken("publish: the publication's own row is gone", code="PUBLICATION_ROW")
    return row


def _info(manifest: Manifest) -> views.ReleaseInfo:
    return views.ReleaseInfo(
        release_id=manifest.release_id,
        view=manifest.view,
        purpose=manifest.purpose,
        state=ReleaseState.LIVE,
        rows=manifest.rows,
        classes=manifest.classes,
        k=manifest.k,
        policy_digest=manifest.policy_digest,
        data_sha256=manifest.data_sha256,
        created_at=manifest.created_at,
        expires_at=manifest.expires_at,
        ended_at=None,
        reason="",
    )
