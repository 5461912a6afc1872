"""What the log tells of a period: how many events of a kind, and the ids of the newest as evidence."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.audit.events import Event
from pdms.clock import SHANGHAI
from pdms.errors import InvalidInput
from pdms.policy.reasons import REASONS
from pdms.unit_of_work import UnitOfWork

SHOWN = 3
"""Event ids that a row names; the log holds the others."""
_PAGE = 5_000


@dataclass(frozen=True, slots=True)
class Found:
    """Events of some kinds in a period: how many, and the newest ids."""

    count: int
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Period:
    """From an instant (inclusive) to another (exclusive); None is without end."""

    since: datetime | None = None
    until: datetime | None = None


def newest(uow: UnitOfWork, kinds: Sequence[EventKind], *, purpose: str | None = None) -> tuple[str, ...]:
    """Return the ids of the newest events of `kinds`, of one purpose where it is given."""
    page = audit.list_events(uow.session, kinds=kinds, purpose=purpose, limit=SHOWN)
    return tuple(item.event.event_id for item in page.items)


def found(uow: UnitOfWork, kinds: Sequence[EventKind], period: Period) -> Found:
    """Count events of `kinds` and name the newest."""
    count = sum(audit.count_by_kind(uow.session, since=period.since, until=period.until).get(kind, 0) for kind in kinds)
    page = audit.list_events(uow.session, kinds=kinds, since=period.since, until=period.until, limit=SHOWN)
    return Found(count, tuple(item.event.event_id for item in page.items))


def each(uow: UnitOfWork, kinds: Sequence[EventKind], period: Period) -> Iterator[Event]:
    """Give every event of `kinds`, newest first; memory stays flat."""
    after = None
    while True:
        page = audit.list_events(
            uow.session, kinds=kinds, since=period.since, until=period.until, after=after, limit=_PAGE
        )
        for item in page.items:
            yield item.event
        if page.next is None:
            return
        after = page.next


def reasons(uow: UnitOfWork, period: Period) -> tuple[Counter[tuple[str, str]], dict[tuple[str, str], list[str]]]:
    """Count refusals by (reason, purpose): single ones, messages held back, and members left out of a set."""
    counts: Counter[tuple[str, str]] = Counter()
    ids: dict[tuple[str, str], list[str]] = {}
    kinds = (EventKind.DENIAL, EventKind.SEND_DENIED, EventKind.PERMIT)
    for event in each(uow, kinds, period):
        told = (
            {code: n for code, n in event.numbers.items() if code in REASONS}
            if event.kind is EventKind.PERMIT
            else dict.fromkeys(event.reasons, 1)
        )
        for code, n in told.items():
            key = (code, event.purpose or "")
            counts[key] += n
            kept = ids.setdefault(key, [])
            if len(kept) < SHOWN:
                kept.append(event.event_id)
    return counts, ids


def legal_day(uow: UnitOfWork) -> date:
    """The legal day, Asia/Shanghai."""
    return uow.now.astimezone(SHANGHAI).date()


def days(first: date | None, last: date | None) -> Period:
    """Return the period from the first day to the last, both included, Asia/Shanghai.

    :raises InvalidInput: the last day comes before the first.
    """
    if first is not None and last is not None and last < first:
        raise InvalidInput("until: not before since")
    return Period(_midnight(first) if first else None, _midnight(last + timedelta(days=1)) if last else None)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=SHANGHAI)
