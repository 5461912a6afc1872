"""What the rights ledger takes from consent, and what a restore gives back to it.

Guarantee: every withdrawal, refusal and invalidation, live or imported, and every restriction set or lifted is found
here once, in the order of writing. Giving one back records it with the instant at which it happened, so that the fold
weighs it as if it had never been lost; giving it back twice changes nothing. Consents that were given are not kept:
whoever restores an older state asks again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from pdms.audit.catalogue import EventKind
from pdms.consent import receipt as receipts
from pdms.consent.restrictions import lift, restrict
from pdms.consent.store import RECORD, append
from pdms.consent.tables import RestrictionRecord
from pdms.db import Session
from pdms.taxonomy import ConsentState, ConsentType, MemberId, RestrictionKind, new_id_bytes
from pdms.unit_of_work import UnitOfWork

_RESTRICTION = RestrictionRecord.metadata.tables["restriction_record"]
_STOPS = (ConsentState.WITHDRAWN.value, ConsentState.REFUSED.value, ConsentState.INVALIDATED.value)
_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Stop:
    """One withdrawal, refusal or invalidation."""

    seq: int
    member_id: MemberId
    purpose: str
    recipient: str
    state: ConsentState
    at: datetime


@dataclass(frozen=True, slots=True)
class RestrictionChange:
    """One restriction set or lifted."""

    seq: int
    member_id: MemberId
    kind: RestrictionKind
    purpose: str
    channel: str
    active: bool
    at: datetime


def newest(session: Session) -> tuple[int, int]:
    """Return the greatest sequence numbers of consent records and of restriction records, 0 where there is none."""
    run = session.connection().execute
    records, changes = (run(select(func.coalesce(func.max(t.c.seq), 0))).scalar_one() for t in (RECORD, _RESTRICTION))
    return int(records), int(changes)


def stops(session: Session, *, after: int, until: int) -> Iterator[Stop]:
    """Iterate over withdrawals, refusals and invalidations with a greater sequence number, up to `until`."""
    columns = [RECORD.c[n] for n in ("seq", "member_id", "purpose", "recipient", "state", "occurred_at")]
    while True:
        query = (
            select(*columns)
            .where(RECORD.c.seq > after, RECORD.c.seq <= until, RECORD.c.state.in_(_STOPS))
            .order_by(RECORD.c.seq)
        )
        rows = session.connection().execute(query.limit(_ROWS)).all()
        for seq, member, purpose, recipient, state, at in rows:
            yield Stop(seq, MemberId(member), purpose, recipient, ConsentState(state), at)
        if len(rows) < _ROWS:
            return
        after = rows[-1][0]


def restriction_changes(session: Session, *, after: int, until: int) -> Iterator[RestrictionChange]:
    """Iterate over restrictions set and lifted with a greater sequence number, up to `until`."""
    names = ("seq", "member_id", "kind", "purpose", "channel", "active", "occurred_at")
    while True:
        query = select(*[_RESTRICTION.c[n] for n in names]).where(
            _RESTRICTION.c.seq > after, _RESTRICTION.c.seq <= until
        )
        rows = session.connection().execute(query.order_by(_RESTRICTION.c.seq).limit(_ROWS)).all()
        for seq, member, kind, purpose, channel, active, at in rows:
            yield RestrictionChange(seq, MemberId(member), RestrictionKind(kind), purpose, channel, active, at)
        if len(rows) < _ROWS:
            return
        after = rows[-1][0]


def stop_again(uow: UnitOfWork, stop: Stop) -> bool:
    """Record a withdrawal, refusal or invalidation again, as of when it happened; return whether it was missing."""
    same = select(RECORD.c.seq).where(
        RECORD.c.member_id == stop.member_id,
        RECORD.c.purpose == stop.purpose,
        RECORD.c.recipient == stop.recipient,
        RECORD.c.state == stop.state.value,
        RECORD.c.occurred_at == stop.at,
    )
    if uow.session.connection().execute(same).first() is not None:
        return False
    row = {
        "record_id": new_id_bytes(),
        "member_id": stop.member_id,
        "purpose": stop.purpose,
        "recipient": stop.recipient,
        "state": stop.state.value,
        "type": ConsentType.CONSENT.value,
        "occurred_at": stop.at,
        "known_at": uow.now,
        "notice_no": None,
        "categories": "",
        "channel": "",
        "source": "restore",
        "evidence": "",
        "guardian": "",
        "actor": uow.actor.id,
        "policy_digest": uow.policy.digest,
        "import_key": None,
    }
    append(uow.session, [row])
    withdrawn = stop.state is ConsentState.WITHDRAWN
    uow.record(
        EventKind.CONSENT_WITHDRAWN if withdrawn else EventKind.CONSENT_RECORDED,
        member=stop.member_id,
        purpose=stop.purpose,
        refs={
            "record": receipts.record_id_text(row["record_id"]),  # type: ignore[arg-type] # a dict of several types
            "policy": uow.policy.digest,
            "state": stop.state.value,
            "source": "restore",
        },
    )
    return True


def restriction_again(uow: UnitOfWork, change: RestrictionChange) -> bool:
    """Set or lift a restriction again; return whether that changed anything.

    :raises InvalidInput: PURPOSE_UNKNOWN: the policy has dropped its purpose, so that nothing can be decided for it.
    """
    again = restrict if change.active else lift
    return again(uow, change.member_id, kind=change.kind, purpose=change.purpose, channel=change.channel)
