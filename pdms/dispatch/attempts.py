"""The memory of sending: runs, attempts, exact counts, opt-out links.

Guarantee: for one campaign a member has one attempt; it is tried again only where the message surely never left. An
attempt without outcome is never tried again.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import delete, func
from sqlmodel import col, select, update

from pdms.crypto import BlindIndex
from pdms.dispatch.channels import Handover
from pdms.dispatch.tables import OptOutLinkRow, SendAttemptRow, SendCountRow, SendRunRow
from pdms.taxonomy import Channel, MemberId, new_id
from pdms.unit_of_work import UnitOfWork

HELD_BACK = "held_back"
"""Decided, intended, and then stopped before anything left: a withdrawal or a cancellation came in between."""
REPEATABLE = (Handover.DEFERRED.value, HELD_BACK)
EXCLUDED = "excluded_"
"""Stands before the code of why members were left out before the rule was asked; one may count under several."""
OPT_OUT_KEY = "opt-out"


class Tally(StrEnum):
    """Names under which a run counts members, besides the registered reasons for holding a message back."""

    ELIGIBLE = "eligible"
    """Members whose data the segment's purpose may use now."""
    AUDIENCE = "audience"
    """Eligible members whom the rule matches."""
    ALREADY = "already_attempted"
    """Of the audience, settled by an earlier run of the campaign."""
    HELD_BACK = "held_back"
    """Of the audience, decided against before or right at the handing over; the reasons are counted besides."""
    HANDED_OVER = "handed_over"
    REFUSED = "refused"
    DEFERRED = "deferred"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Open:
    """An intent of which no outcome is known."""

    campaign: str
    member_id: MemberId
    run_id: str
    channel: Channel
    intent_at: datetime


def start_run(uow: UnitOfWork, *, campaign: str) -> str:
    """Enter a run and return its id."""
    last = uow.session.exec(select(func.max(SendRunRow.number)).where(SendRunRow.campaign == campaign)).one()
    row = SendRunRow(
        run_id=new_id("run"), campaign=campaign, number=(last or 0) + 1, actor=uow.actor.id, started_at=uow.now
    )
    uow.session.add(row)
    uow.session.flush()
    return row.run_id


def finished_runs(uow: UnitOfWork, *, campaign: str) -> int:
    """Return how many runs of a campaign came to their end."""
    done = select(func.count()).where(SendRunRow.campaign == campaign, col(SendRunRow.finished_at).is_not(None))
    return uow.session.exec(done).one()


def finish_run(uow: UnitOfWork, *, run_id: str) -> None:
    """Note that a run came to its end."""
    uow.session.exec(update(SendRunRow).where(col(SendRunRow.run_id) == run_id).values(finished_at=uow.now))


def settled(uow: UnitOfWork, *, campaign: str) -> set[MemberId]:
    """Return the members whom this campaign must not try again."""
    query = select(SendAttemptRow.member_id).where(
        SendAttemptRow.campaign == campaign,
        col(SendAttemptRow.outcome).is_(None) | col(SendAttemptRow.outcome).not_in(REPEATABLE),
    )
    return {MemberId(member) for member in uow.session.exec(query)}


def intend(uow: UnitOfWork, *, campaign: str, run_id: str, channel: Channel, members: Sequence[MemberId]) -> None:
    """Enter intents, in place of repeatable attempts where such exist."""
    uow.session.exec(
        delete(SendAttemptRow).where(
            col(SendAttemptRow.campaign) == campaign,
            col(SendAttemptRow.member_id).in_(members),
            col(SendAttemptRow.outcome).in_(REPEATABLE),
        )
    )
    uow.session.add_all(
        SendAttemptRow(campaign=campaign, member_id=m, run_id=run_id, channel=channel, intent_at=uow.now)
        for m in members
    )
    uow.session.flush()


def hand(uow: UnitOfWork, *, run_id: str, member_id: MemberId | None) -> None:
    """Note whose message a run hands over at this moment; None: nobody's any more."""
    uow.session.exec(update(SendRunRow).where(col(SendRunRow.run_id) == run_id).values(handing=member_id))


def handed_now(uow: UnitOfWork, *, member_id: MemberId) -> bool:
    """Whether some run is handing over a message to the member."""
    query = select(SendRunRow.run_id).where(SendRunRow.handing == member_id).limit(1)
    return uow.session.exec(query).first() is not None


def settle(uow: UnitOfWork, *, campaign: str, outcomes: Mapping[MemberId, str]) -> list[MemberId]:
    """Enter outcomes of open intents; return the members whose attempt was still open."""
    closed = []
    for member, outcome in outcomes.items():
        done = uow.session.exec(
            update(SendAttemptRow)
            .where(
                col(SendAttemptRow.campaign) == campaign,
                col(SendAttemptRow.member_id) == member,
                col(SendAttemptRow.outcome).is_(None),
            )
            .values(outcome=outcome, outcome_at=uow.now)
        )
        if done.rowcount:
            closed.append(member)
    return closed


def open_intents(uow: UnitOfWork, *, limit: int) -> list[Open]:
    """Return at most `limit` intents without outcome."""
    query = select(SendAttemptRow).where(col(SendAttemptRow.outcome).is_(None)).limit(limit)
    return [
        Open(row.campaign, MemberId(row.member_id), row.run_id, Channel(row.channel), row.intent_at)
        for row in uow.session.exec(query)
    ]


def count(uow: UnitOfWork, *, run_id: str, members: Mapping[str, int]) -> None:
    """Add to a run's exact counts."""
    for reason, number in members.items():
        row = uow.session.get(SendCountRow, (run_id, reason))
        if row is None:
            row = SendCountRow(run_id=run_id, reason=reason, members=0)
        row.members += number
        uow.session.add(row)
    uow.session.flush()


def counts_of(uow: UnitOfWork, *, campaign: str) -> list[tuple[SendRunRow, dict[str, int]]]:
    """Return a campaign's runs, oldest first, each with its exact counts."""
    runs = uow.session.exec(
        select(SendRunRow).where(SendRunRow.campaign == campaign).order_by(col(SendRunRow.number))
    ).all()
    return [
        (
            run,
            {
                r.reason: r.members
                for r in uow.session.exec(select(SendCountRow).where(SendCountRow.run_id == run.run_id))
            },
        )
        for run in runs
    ]


def totals(runs: Iterable[tuple[SendRunRow, Mapping[str, int]]]) -> dict[str, int]:
    """Return a campaign's counts over its runs: outcomes add up, all else is as the newest run found it."""
    outcomes = {t.value for t in (Tally.HANDED_OVER, Tally.REFUSED, Tally.UNKNOWN)}
    total: Counter[str] = Counter()
    newest: Mapping[str, int] = {}
    for _, counted in runs:
        newest = counted
        total.update({k: v for k, v in counted.items() if k in outcomes})
    return {**newest, **total}


def add_opt_outs(
    uow: UnitOfWork, *, campaign: str, purpose: str, channel: Channel, links: Mapping[MemberId, str]
) -> None:
    """Remember fresh links by keyed digest only."""
    index = BlindIndex(uow.keys.system_key(OPT_OUT_KEY))
    uow.session.add_all(
        OptOutLinkRow(
            digest=index.digest(link.encode()),
            member_id=member,
            purpose=purpose,
            channel=channel,
            campaign=campaign,
            issued_at=uow.now,
        )
        for member, link in links.items()
    )
    uow.session.flush()


def find_opt_out(uow: UnitOfWork, link: str) -> OptOutLinkRow | None:
    """Return the row of a link's random part, used or not."""
    digest = BlindIndex(uow.keys.system_key(OPT_OUT_KEY)).digest(link.encode())
    return uow.session.get(OptOutLinkRow, digest, with_for_update=True)  # of two clicks at once, one uses it


def forget(uow: UnitOfWork, *, member_id: MemberId) -> int:
    """Delete a member's attempts and links; return how many rows went. Counts stay: they are numbers."""
    gone = uow.session.exec(select(func.count()).where(col(SendAttemptRow.member_id) == member_id)).one()
    gone += uow.session.exec(select(func.count()).where(col(OptOutLinkRow.member_id) == member_id)).one()
    uow.session.exec(delete(SendAttemptRow).where(col(SendAttemptRow.member_id) == member_id))
    uow.session.exec(delete(OptOutLinkRow).where(col(OptOutLinkRow.member_id) == member_id))
    uow.session.exec(update(SendRunRow).where(col(SendRunRow.handing) == member_id).values(handing=None))
    return gone
