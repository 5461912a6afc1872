"""Erasure: a plan over every store, executed step by step, each step acknowledged; cut off, it goes on where it was.

Order (design §3): what the law keeps is saved first; the fence stands before the key dies, the key dies before the data
go, so that at every crash point a rest is unreadable rather than readable. The receipt says what is gone at which
level.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlmodel import col, delete, select

from pdms.access import service as access
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.clock import SHANGHAI
from pdms.consent import service as consent
from pdms.db import checkpoint_and_vacuum, erases_bytes
from pdms.dispatch import service as dispatch
from pdms.errors import Conflict, InvalidInput
from pdms.facts import service as facts
from pdms.gate import service as gate
from pdms.publish import service as publish
from pdms.rights import held, intake, packages, receipts
from pdms.rights.holds import Hold, holds_of
from pdms.rights.tables import ErasureStepRow, PurgeRow, SubjectRequestRow
from pdms.rotation import service as rotation
from pdms.taxonomy import MemberId, Operation, RequestState, RequestType, Scope
from pdms.unit_of_work import UnitFactory, UnitOfWork
from pdms.vault import service as vault


@dataclass(frozen=True, slots=True)
class PlannedHold:
    """What stays after the erasure, and why."""

    article: str
    orders: int
    longest_until: str


@dataclass(frozen=True, slots=True)
class ErasurePlan:
    """What an erasure will do; counts and articles only."""

    request_id: str
    steps: tuple[str, ...]
    facts: Mapping[str, int]
    holds: tuple[PlannedHold, ...]
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its name and what it does; it returns counts. Every step may be repeated without harm."""

    name: str
    run: Callable[[UnitOfWork, SubjectRequestRow], Mapping[str, int]]


def plan(uow: UnitOfWork, *, request_id: str) -> ErasurePlan:
    """Return what executing a deletion request will do. :raises Conflict: it is not being assessed or executed."""
    uow.require(Scope.COMPLIANCE, Scope.SUPPORT)
    row = _deletion(uow, request_id)
    if row.state not in (RequestState.ASSESSING, RequestState.EXECUTING):
        raise Conflict("state: only an assessed request has a plan")
    found, holds = _facts_and_holds(uow, row)
    by_article: dict[str, list[Hold]] = {}
    for hold in holds:
        by_article.setdefault(hold.article, []).append(hold)
    return ErasurePlan(
        request_id,
        tuple(step.name for step in STEPS),
        {table: len(rows) for table, rows in found.items()},
        tuple(
            PlannedHold(article, len(some), max(h.until for h in some).isoformat())
            for article, some in sorted(by_article.items())
        ),
        tuple(sorted(uow.policy.recipients)),
    )


def execute(units: UnitFactory, *, request_id: str, progress: Callable[[str], None] = lambda _: None) -> str:
    """Carry an assessed deletion request out, to its signed receipt; return the receipt (JSON).

    :raises Conflict: the request is not assessed. Asked again after a crash, it goes on with the first step not done;
        two processes may work on one erasure, each step is done under the same lock.
    """
    with units() as uow:
        uow.require(Scope.COMPLIANCE, Scope.SUPPORT)
        row = _deletion(uow, request_id)
        if row.receipt is not None:
            return row.receipt
        if row.state != RequestState.EXECUTING:
            intake.move(uow, row, RequestState.EXECUTING)
            uow.record(EventKind.ERASE_INTENT, member=MemberId(row.member_id), refs={"request": request_id})
    for step in STEPS:
        if _do(units, request_id, step):
            progress(step.name)
    return _finish(units, request_id)


def begun_for(uow: UnitOfWork, *, system: str, external_id: str) -> str | None:
    """Return the request of an erasure that was cut off when the shop's number led nowhere any more.

    The number's suppression entry and the step `hold` were committed together, at one instant.
    """
    uow.require(Scope.COMPLIANCE, Scope.SUPPORT)
    since = vault.suppressed_since(uow, system=system, external_id=external_id)
    query = (
        select(SubjectRequestRow.request_id)
        .join(ErasureStepRow, col(ErasureStepRow.request_id) == col(SubjectRequestRow.request_id))
        .where(
            col(SubjectRequestRow.state) == RequestState.EXECUTING.value,
            col(ErasureStepRow.step) == "hold",
            col(ErasureStepRow.done_at) == since,
        )
    )
    return uow.session.exec(query).first() if since is not None else None


def _do(units: UnitFactory, request_id: str, step: Step) -> bool:
    with units() as uow:
        uow.lock_anon_first()
        if uow.session.get(ErasureStepRow, (request_id, step.name)) is not None:
            return False
        row = _deletion(uow, request_id)
        counts = dict(step.run(uow, row))
        if uow.session.get(ErasureStepRow, (request_id, step.name)) is not None:  # `purge` lets go of the lock
            return False
        uow.session.add(
            ErasureStepRow(request_id=request_id, step=step.name, done_at=uow.now, counts=json.dumps(counts))
        )
        uow.record(
            EventKind.ERASE_STEP,
            member=MemberId(row.member_id),
            refs={"request": request_id, "step": step.name},
            numbers=counts,
        )
    return True


def _finish(units: UnitFactory, request_id: str) -> str:
    with units() as uow:
        event_id = _told(uow, _deletion(uow, request_id))
    with units() as uow:
        audit.sequence(uow.session, signer=uow.log_signer, now=uow.now)
    with units() as uow:
        row = _deletion(uow, request_id)
        if row.receipt is None:
            done = _steps(uow, request_id)
            stays = done["hold"][1].get("orders", 0)
            # Ended and receipt in one commit: what is cut off before is still being executed, and goes on.
            intake.move(uow, row, RequestState.PARTIAL if stays else RequestState.FULFILLED)
            row.ended_at = uow.now
            row.receipt = receipts.signed(uow, _document(uow, row, done), event_id=event_id)
        return row.receipt


def _told(uow: UnitOfWork, row: SubjectRequestRow) -> str:
    """Return the id of the event that tells of the end: one, however often the receipt is attempted."""
    known = audit.list_events(uow.session, kinds=[EventKind.ERASE_DONE], member_id=row.member_id.hex(), limit=100)
    for item in known.items:
        if item.event.refs.get("request") == row.request_id:
            return item.event.event_id
    return uow.record(EventKind.ERASE_DONE, member=MemberId(row.member_id), refs={"request": row.request_id})


def _steps(uow: UnitOfWork, request_id: str) -> dict[str, tuple[datetime, dict[str, int]]]:
    rows = uow.session.exec(select(ErasureStepRow).where(col(ErasureStepRow.request_id) == request_id))
    return {row.step: (row.done_at, json.loads(row.counts)) for row in rows}


def _document(
    uow: UnitOfWork, row: SubjectRequestRow, done: Mapping[str, tuple[datetime, Mapping[str, int]]]
) -> dict[str, object]:
    months = done["hold"][1]
    horizon, said = rotation.horizon_at(uow, done["key"][0])
    return {
        "type": "erasure-receipt",
        "request": row.number,
        "request_id": row.request_id,
        "received_at": _iso(row.received_at),
        "completed_at": _iso(uow.now),
        "gone": {
            "logical": _iso(done["rows"][0]),
            "key": _iso(done["key"][0]),
            "file_bytes": _iso(done["purge"][0]) if erases_bytes(uow.main_engine) else None,
            "backups": f"{said}; until then the rights ledger erases the member again on a restore",
        },
        "level": "file bytes" if erases_bytes(uow.main_engine) else "key",
        "backup_horizon": {"kind": horizon.kind.value, "date": _iso(horizon.at) if horizon.at is not None else None},
        "counts": {name: dict(counts) for name, (_, counts) in done.items() if counts},
        "stays": [
            {
                "what": "orders and order lines, sealed, under fresh ids",
                "orders": months["orders"],
                "article": "PIPL-47-2 with ECL-31 or TAX-29",
                "latest_expiry": f"{months['latest_month'] // 100}-{months['latest_month'] % 100:02d}",
                "used_for": "storage and security only",
            }
        ]
        if months.get("orders")
        else [],
        "kept_as_proof": "pseudonymous consent, withdrawal and erasure events, three years (Civil Code 188, PIPL-69); "
        "a keyed suppression entry that stops silent re-import",
        "out_of_scope": "copies outside this system, such as exports made before; pdms itself tells no recipient",
        "recipients_to_tell": sorted(uow.policy.recipients),
        "policy": uow.policy.digest,
    }


def _iso(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="seconds")


def _deletion(uow: UnitOfWork, request_id: str) -> SubjectRequestRow:
    row = intake.load(uow, request_id)
    if row.type != RequestType.DELETION:
        raise InvalidInput("request: this one does not ask for deletion")
    return row


def _facts_and_holds(
    uow: UnitOfWork, row: SubjectRequestRow
) -> tuple[Mapping[str, list[dict[str, object]]], tuple[Hold, ...]]:
    pseudonym = vault.pseudonym_of(uow, MemberId(row.member_id))
    found = {table.value: rows for table, rows in facts.of_subject(uow.home, pseudonym).items()}
    return found, holds_of(uow.policy, found, today=uow.now.astimezone(SHANGHAI).date())


def _disable(uow: UnitOfWork, row: SubjectRequestRow) -> Mapping[str, int]:
    member = MemberId(row.member_id)
    vault.disable(uow, member)
    access.end_member_tokens(uow, member_id=member)
    return {}


def _hold(uow: UnitOfWork, row: SubjectRequestRow) -> Mapping[str, int]:
    _, holds = _facts_and_holds(uow, row)
    names = tuple(sorted({name for hold in holds for name in hold.fields}))
    fields: Mapping[str, str] = {}
    if names:
        member = MemberId(row.member_id)
        permit = gate.permit(uow, member_id=member, purpose="rights", operation=Operation.REVEAL, fields=names)
        fields = vault.reveal(uow, permit, member_id=member, fields=names)
    latest = max((int(f"{h.until:%Y%m}") for h in holds), default=0)
    count = held.hold(uow, holds, request_id=row.request_id, fields=fields)
    # Under the same lock: an order taken in between the two would be erased without having been held.
    vault.suppress(uow, MemberId(row.member_id))
    return {"records": count, "orders": len({h.order_id for h in holds}), "latest_month": latest}


def _facts(uow: UnitOfWork, row: SubjectRequestRow) -> Mapping[str, int]:
    result = facts.erase(uow.home, [vault.pseudonym_of(uow, MemberId(row.member_id))])
    return {table.value: count for table, count in result.rows.items()}


def _releases(uow: UnitOfWork, row: SubjectRequestRow) -> Mapping[str, int]:
    stale = publish.mark_stale_for(uow, purpose=None)  # those of views that the policy has dropped, too
    gone = publish.forget(uow, pseudonym=vault.pseudonym_of(uow, MemberId(row.member_id)))
    return {"stale": len(stale), "ledger": gone}


def _key(uow: UnitOfWork, row: SubjectRequestRow) -> Mapping[str, int]:
    vault.destroy_key(uow, MemberId(row.member_id))
    return {}


def _rows(uow: UnitOfWork, row: SubjectRequestRow) -> Mapping[str, int]:
    member = MemberId(row.member_id)
    vault.forget(uow, member)
    consent.forget_current(uow, [member])  # the records stay, as minimal proof
    gate.forget(uow, [member])
    uow.session.exec(delete(PurgeRow).where(col(PurgeRow.member_id) == member))
    held.untie(uow, request_id=row.request_id)
    return {"requests": intake.forget(uow, member)}


def _openings(uow: UnitOfWork, row: SubjectRequestRow) -> Mapping[str, int]:
    result = audit.shred_openings(
        uow.session, row.member_id.hex(), now=uow.now, actor=uow.actor.id, refs={"request": row.request_id}
    )
    return {"shredded": result.shredded, "kept": result.kept}


def _messages(uow: UnitOfWork, row: SubjectRequestRow) -> Mapping[str, int]:
    return {"attempts": dispatch.forget(uow, member_id=MemberId(row.member_id))}


def _packages(uow: UnitOfWork, row: SubjectRequestRow) -> Mapping[str, int]:
    return {"packages": packages.drop_all(uow, MemberId(row.member_id))}


def _purge(uow: UnitOfWork, _row: SubjectRequestRow) -> Mapping[str, int]:
    uow.commit_intent()  # rewriting the files needs them free of this unit's own transaction
    vault.purge(uow)
    checkpoint_and_vacuum(uow.held_engine)
    return {}


STEPS: tuple[Step, ...] = (
    Step("disable", _disable),
    Step("hold", _hold),
    Step("facts", _facts),
    Step("releases", _releases),
    Step("key", _key),
    Step("rows", _rows),
    Step("openings", _openings),
    Step("messages", _messages),
    Step("packages", _packages),
    Step("purge", _purge),
)
"""Resuming relies on the order: the pseudonym is known until `rows`, and each step leaves the earlier ones true."""
