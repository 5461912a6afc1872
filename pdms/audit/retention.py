"""How long openings are kept, and the purge of those whose time is over; the leaves stay in the tree for ever.

Guarantee: a floor of the law cannot be undercut (network logs 180 days, CSL-23(3); records three years, PIPL-56-2 and
NDR-12; proof of consent, withdrawal and erasure three years after the erasure, Civil Code 188), not even by asking: an
earlier date is refused. What is purged is counted by an event, as with every shredded opening. It schedules nothing.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from pdms.audit import store
from pdms.audit.catalogue import CATALOGUE, EventKind, Retention
from pdms.audit.events import micros
from pdms.errors import Conflict

NETWORK_LOG_DAYS = 180
RECORD_YEARS = 3

SHRED = (
    "UPDATE audit_event SET event_id = NULL, kind = NULL, at = NULL, member_id = NULL, purpose = NULL,"
    " leaf_salt = NULL, body = NULL WHERE "
)
"""Empties a row down to its leaf digest."""


def floor(retention: Retention, *, now: datetime) -> datetime | None:
    """Return the instant before which openings of that class may go; None where they never may."""
    if retention is Retention.LOG:
        return None
    if retention is Retention.NETWORK_LOG:
        return now - timedelta(days=NETWORK_LOG_DAYS)
    try:
        return now.replace(year=now.year - RECORD_YEARS)
    except ValueError:  # 29 February: the period ends with the month
        return now.replace(year=now.year - RECORD_YEARS, day=28)


def shred_before(session: Session, *, retention: Retention, before: datetime, now: datetime) -> int:
    """Empty the openings of one class that are older than `before`; return how many.

    Proof counts from the member's erasure: what concerns a member who was never erased stays, and so does what concerns
    nobody in particular (a published notice, an import of consents).
    :raises Conflict: RETENTION_FLOOR, the law keeps them longer.
    """
    limit = floor(retention, now=now)
    if limit is None or before > limit:
        raise Conflict("retention: the law keeps these events longer than that", code="RETENTION_FLOOR")
    kinds = [kind.value for kind, entry in CATALOGUE.items() if entry.retention is retention]
    where = f"kind IN ({','.join('?' * len(kinds))}) AND at < ?"
    values: tuple[Any, ...] = (*kinds, micros(before))
    if retention is Retention.PROOF:
        where += " AND member_id IN (SELECT member_id FROM audit_event WHERE kind = ? AND at < ?)"
        values += (EventKind.ERASE_DONE.value, micros(before))
    return store.sql(session, SHRED + where, values).rowcount
