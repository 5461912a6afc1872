"""The officer's reading of the log: events by kind, member, purpose and time, page by page.

Guarantee: a page holds living openings only, in the order of the log; a cursor is the row number after which the next
page begins, so that events arriving meanwhile neither repeat nor vanish. It verifies nothing; `verify` does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from pdms.audit import store
from pdms.audit.catalogue import EventKind
from pdms.audit.events import Event, Outcome, micros
from pdms.errors import InvalidInput

MAX_PAGE = 10_000
_SCAN = 2_000
DECISIONS = (EventKind.PERMIT, EventKind.DENIAL)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event and its place: row number, and leaf index once it is in the tree."""

    seq: int
    leaf_index: int | None
    event: Event


@dataclass(frozen=True, slots=True)
class EventPage:
    """A page of events; `next` is the cursor of the page after, None on the last."""

    items: tuple[StoredEvent, ...]
    next: int | None


def list_events(
    session: Session,
    *,
    kinds: Sequence[EventKind] = (),
    member_id: str | None = None,
    purpose: str | None = None,
    actor: str | None = None,
    outcome: Outcome | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    after: int | None = None,
    limit: int = 100,
    newest_first: bool = True,
) -> EventPage:
    """Return events that meet every given condition.

    :param member_id: 32 hex digits. :param since: inclusive. :param until: exclusive. :param after: cursor of a page.
    :raises InvalidInput: the limit is not between 1 and 10,000, or the member id is not hex.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidInput(f"limit: must be between 1 and {MAX_PAGE}", code="PAGE_LIMIT")
    where, values = _conditions(session, kinds=kinds, member_id=member_id, purpose=purpose, since=since, until=until)
    order, beyond = ("DESC", "<") if newest_first else ("ASC", ">")
    cursor = after
    if cursor is None:
        cursor = store.NO_END if newest_first else 0
    runs = store.read_runs(session)
    found: list[StoredEvent] = []
    scanned = _SCAN if actor or outcome else limit + 1
    while True:
        batch = store.rows(
            session,
            f"SELECT seq, body FROM audit_event WHERE {where} AND seq {beyond} ? ORDER BY seq {order} LIMIT ?",
            (*values, cursor, scanned),
        )
        for seq, body in batch:
            event = Event.from_canonical(body)
            if (actor is None or event.actor == actor) and (outcome is None or event.outcome is outcome):
                if len(found) == limit:
                    return EventPage(tuple(found), found[-1].seq)
                found.append(StoredEvent(seq, runs.leaf_of(seq), event))
            cursor = seq
        if len(batch) < scanned:
            return EventPage(tuple(found), None)


def count_by_kind(
    session: Session, *, since: datetime | None = None, until: datetime | None = None
) -> dict[EventKind, int]:
    """Count living openings by kind. :param since: inclusive. :param until: exclusive."""
    where, values = _conditions(session, kinds=(), member_id=None, purpose=None, since=since, until=until)
    found = store.rows(session, f"SELECT kind, count(*) FROM audit_event WHERE {where} GROUP BY kind", values)
    return {EventKind(kind): count for kind, count in found}


def decisions(
    session: Session,
    *,
    purpose: str | None = None,
    denied: bool | None = None,
    member_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    after: int | None = None,
    limit: int = 100,
) -> EventPage:
    """Return what the gate decided, newest first: which use was permitted or refused, and why.

    :param denied: True for refusals only, False for permits only.
    """
    kinds = DECISIONS if denied is None else ((EventKind.DENIAL,) if denied else (EventKind.PERMIT,))
    return list_events(
        session,
        kinds=kinds,
        member_id=member_id,
        purpose=purpose,
        since=since,
        until=until,
        after=after,
        limit=limit,
    )


def _conditions(
    session: Session,
    *,
    kinds: Sequence[EventKind],
    member_id: str | None,
    purpose: str | None,
    since: datetime | None,
    until: datetime | None,
) -> tuple[str, tuple[Any, ...]]:
    parts: list[str] = ["body IS NOT NULL"]
    values: list[Any] = []
    if kinds:
        parts.append(f"kind IN ({','.join('?' * len(kinds))})")
        values += [kind.value for kind in kinds]
    if member_id is not None:
        concerned, bound = store.of_member(session, _hex(member_id))
        parts.append(concerned)
        values += bound
    if purpose is not None:
        parts.append("purpose = ?")
        values.append(purpose)
    if since is not None:
        parts.append("at >= ?")
        values.append(micros(since))
    if until is not None:
        parts.append("at < ?")
        values.append(micros(until))
    return " AND ".join(parts), tuple(values)


def _hex(member_id: str) -> bytes:
    try:
        return bytes.fromhex(member_id)
    except ValueError:
        raise InvalidInput("member id: must be hex digits", code="MEMBER_ID") from None
