"""The door back to members: a campaign's rule is applied inside, each member is asked about again, messages leave.

Before a message is handed over, in this order:

 1. the campaign is not cancelled and its segment's rule is the one it was drafted with;
 2. nobody else is sending, and the channel can be reached;
 3. what an earlier run left without outcome is closed as unknown, never to be sent again;
 4. the audience is computed: members eligible for the segment's purpose at this moment, masked by the rule;
 5. the privacy budget holds its size and the report to come, and the size, as noised when it was first asked since the
    view's newest release (in this period, where there is none), reaches the campaign's minimum;
 6. the member has no settled attempt of this campaign;
 7. under the write lock the gate decides on the segment's purpose and on the channel's: consent, age, standing,
    restrictions, do-not-contact;
 8. the member was not contacted over this channel as often as the cap allows;
 9. a Permit opens the contact, and an address is held;
10. intent and opt-out link are committed, with their events;
11. right before the handing over, which is noted first, the gate decides once more, the campaign is not cancelled,
    and the lock of step 2 is still held.

Guarantees: nobody gets a campaign twice, whatever is killed when; a consent withdrawn before step 11 stops the message;
marketing learns noised counts only. What a channel took is out of reach. Services never commit; each step above that
commits is a unit of its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pdms.audit.catalogue import EventKind
from pdms.budgets import service as budgets
from pdms.budgets.counts import NoisedCount
from pdms.budgets.service import Claim
from pdms.consent import service as consent
from pdms.dispatch import attempts, audience, numbers, steps
from pdms.dispatch.attempts import Tally
from pdms.dispatch.audience import Audience, Plan
from pdms.dispatch.channels import MessageChannel
from pdms.dispatch.lock import StillAlone, sending_alone
from pdms.dispatch.messages import Sender, sender_of
from pdms.errors import Conflict, Denied, InvalidInput
from pdms.facts import service as facts
from pdms.facts.names import FactTable
from pdms.gate import service as gate
from pdms.marketing import service as marketing
from pdms.marketing.service import CampaignState
from pdms.policy.reasons import reason
from pdms.taxonomy import ConsentState, MemberId, Operation, RestrictionKind, Scope
from pdms.unit_of_work import UnitFactory, UnitOfWork

BATCH = 20
"""Intents committed together; each is decided on again before its own handing over."""
COMPACT_EVERY = 200
"""Batches after which their parts of facts are merged; fewer are left to the next load, readers see no difference."""
MAX_LINK = 128


@dataclass(frozen=True, slots=True)
class SendPreview:
    """What a campaign would reach, noised: members whom the rule means, and those who may be written to."""

    campaign: str
    audience: NoisedCount
    reachable: NoisedCount
    min_size: int
    enough: bool


@dataclass(frozen=True, slots=True)
class SendReport:
    """What became of a campaign, noised; `counts` by reason, over all its runs."""

    campaign: str
    run_id: str
    state: CampaignState
    counts: Mapping[str, NoisedCount]


@dataclass(frozen=True, slots=True)
class RunCounts:
    """Exact members of one run by reason."""

    run_id: str
    actor: str
    started_at: datetime
    finished_at: datetime | None
    members: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class OfficerCounts:
    """Exact members of a campaign by reason: outcomes over all runs, the rest as the newest run found it."""

    campaign: str
    state: CampaignState
    members: Mapping[str, int]
    runs: tuple[RunCounts, ...]


@dataclass(frozen=True, slots=True)
class OptOutAnswer:
    """The same for every link, known or not, fresh or used."""

    accepted: bool = True


def preview(units: UnitFactory, *, campaign: str) -> SendPreview:
    """Say what a campaign would reach; nothing is sent and no contact is opened.

    Asked again, or of another campaign whose rule means the same, the answer is the same for as long as the view's
    newest release is, and costs nothing (`numbers`).

    :raises NotFound: no such campaign. :raises Conflict: it was cancelled, or its segment's rule was changed.
    :raises Denied: VIEW_NOT_ALLOWED, BUDGET_SPENT, NO_BUDGET.
    """
    with units() as uow:
        uow.require(Scope.MARKETING, Scope.COMPLIANCE)
        plan = audience.plan_of(uow, campaign=campaign)
    sizes = _sizes(units, plan, lambda: audience.take(units, plan))
    return SendPreview(
        campaign=campaign,
        audience=sizes.audience,
        reachable=sizes.reachable,
        min_size=plan.definition.min_size,
        enough=_enough(sizes.audience, plan),
    )


def send(units: UnitFactory, *, campaign: str, channel: MessageChannel, public_url: str) -> SendReport:
    """Send a campaign, or go on with one that was stopped or killed. Run again, it reaches nobody twice.

    How far it has come is not told: per cent by batches of an audience are its exact size.

    :param public_url: address under which members reach the opt-out.
    :raises Denied: BELOW_MIN_CELL, the audience, as noised when it was first asked (step 5), is smaller than the
        campaign's minimum. Who has gone since gets nothing, and the minimum is not asked again: a size drawn anew for
        each send would tell the exact one.
    :raises Conflict: cancelled, the rule was changed, another send is running (SEND_RUNNING), or may be, since the lock
        against it was lost (SEND_LOCK_LOST), or the channel cannot be reached.
    :raises InvalidInput: the channel is not the campaign's, or the policy names no address to send from.
    """
    with units() as uow:
        uow.require(Scope.MARKETING)
        plan = audience.plan_of(uow, campaign=campaign)  # 1
        sender = sender_of(uow.policy, public_url=public_url)
        home, engine = uow.home, uow.main_engine
    if channel.channel is not plan.definition.channel:
        raise InvalidInput("channel: it is not the campaign's")
    if plan.definition.channel not in steps.CONTACT_FIELD:
        raise InvalidInput(f"channel: members hold no address for {plan.definition.channel}")
    with sending_alone(home, engine) as alone:  # 2
        channel.connect()
        try:
            return _run(units, plan, sender, channel, alone)
        finally:
            channel.close()


def officer_counts(uow: UnitOfWork, *, campaign: str) -> OfficerCounts:
    """Return exact counts by reason, for officers only. :raises NotFound: no such campaign."""
    uow.require(Scope.COMPLIANCE)
    state = marketing.state_of(uow, name=campaign)
    runs = attempts.counts_of(uow, campaign=campaign)
    uow.record(EventKind.REPORT_READ, refs={"report": "campaign-counts", "campaign": campaign})
    return OfficerCounts(
        campaign=campaign,
        state=state,
        members=attempts.totals(runs),
        runs=tuple(RunCounts(r.run_id, r.actor, r.started_at, r.finished_at, members) for r, members in runs),
    )


def opt_out(uow: UnitOfWork, *, link: str) -> tuple[MemberId, str] | None:
    """Use the random part of an opt-out link: it withdraws the consent to that channel's purpose, once.

    Returns whose consent to which purpose ended, for what follows from it (`rights.opt_out`) and for nobody outside.
    """
    row = attempts.find_opt_out(uow, link) if link.isascii() and len(link) <= MAX_LINK else None
    if row is None or row.used_at is not None:
        return None
    row.used_at = uow.now
    uow.session.add(row)
    member = MemberId(row.member_id)
    uow.record(EventKind.OPTOUT_USED, member=member, purpose=row.purpose, refs={"campaign": row.campaign})
    if row.purpose not in uow.policy.purposes:
        # The policy has dropped the purpose meanwhile: the wish still stands, for the channel.
        consent.restrict(uow, member, kind=RestrictionKind.DO_NOT_CONTACT, channel=row.channel)
    elif consent.state_of(uow, member, purpose=row.purpose).state is not ConsentState.WITHDRAWN:
        consent.withdraw(uow, member, purpose=row.purpose, channel=row.channel)
    return member, row.purpose


def in_flight(uow: UnitOfWork, *, member_id: MemberId) -> bool:
    """Whether a message to the member may be under way; a withdrawal is acknowledged when none is (`rights`).

    Of a batch only the message that is being handed over counts: every other one is decided on again before it leaves.
    """
    return attempts.handed_now(uow, member_id=member_id)


def forget(uow: UnitOfWork, *, member_id: MemberId) -> int:
    """Delete what sending remembers of a member; part of an erasure. Returns how many rows went."""
    return attempts.forget(uow, member_id=member_id)


def close_open_intents(units: UnitFactory) -> int:
    """Close intents that a killed run left, as unknown: never sent again. For `sweep`; returns how many.

    While a send is running nothing is closed: what is open is its own, and it closes what others left before it begins.
    """
    with units() as uow:
        home, engine = uow.home, uow.main_engine
    try:
        with sending_alone(home, engine):
            return steps.close_open(units)
    except Conflict:
        return 0


def _run(units: UnitFactory, plan: Plan, sender: Sender, channel: MessageChannel, alone: StillAlone) -> SendReport:
    steps.close_open(units)  # 3
    found = audience.take(units, plan)  # 4
    with units() as uow:
        question = numbers.report_question(plan, finished=attempts.finished_runs(uow, campaign=plan.definition.name))
    with units() as uow:
        charged = budgets.claim(uow, question)
    size = _sizes(units, plan, lambda: found).audience
    run_id, waiting = _begin(units, plan, found, size)  # 5, 6
    for number, start in enumerate(range(0, len(waiting), BATCH)):
        if steps.cancelled(units, plan):
            break
        ready = steps.prepare(units, plan, run_id, found, waiting[start : start + BATCH])  # 7 to 10
        outcomes: dict[MemberId, steps.Settled] = {}
        try:
            for one in ready:
                outcomes[one.member] = steps.hand_over(units, plan, run_id, sender, channel, alone, one)  # 11
        finally:
            steps.settle(units, plan, run_id, outcomes, batch=number)
        if number % COMPACT_EVERY == COMPACT_EVERY - 1:
            _compact(units)
    return _finish(units, plan, run_id, found, charged, size)


def _begin(units: UnitFactory, plan: Plan, found: Audience, size: NoisedCount) -> tuple[str, list[MemberId]]:
    """Enter a run and return it with the members that it will try. The two databases are written one after the other:
    holding both locks at once could wait for a unit of the anonymised side that takes them the other way round."""
    name = plan.definition.name
    with units() as uow:
        if not _enough(size, plan):
            small = reason("BELOW_MIN_CELL", detail="the audience is smaller than the campaign's minimum size")
            uow.refuse(
                Denied("the audience is too small", reasons=(small,)),
                purpose=plan.definition.purpose,
                refs={"campaign": name},
            )
        run_id = attempts.start_run(uow, campaign=name)
        done = attempts.settled(uow, campaign=name)
        waiting = [member for member in found.members if member not in done]
        counted = {
            **{f"{attempts.EXCLUDED}{code}": members for code, members in found.excluded.items()},
            Tally.ELIGIBLE: found.eligible,
            Tally.AUDIENCE: len(found.members),
            Tally.ALREADY: len(found.members) - len(waiting),
        }
        attempts.count(uow, run_id=run_id, members=counted)
        uow.record(
            EventKind.CAMPAIGN_STARTED,
            purpose=plan.definition.purpose,
            refs={"campaign": name, "run": run_id, "rule": plan.campaign.rule_digest},
            numbers={"eligible": found.eligible, "audience": len(found.members), "waiting": len(waiting)},
        )
    with units() as uow:
        marketing.mark(uow, name=name, state=CampaignState.RUNNING)
    return run_id, waiting


def _finish(
    units: UnitFactory, plan: Plan, run_id: str, found: Audience, charged: Claim, size: NoisedCount
) -> SendReport:
    name = plan.definition.name
    with units() as uow:
        attempts.finish_run(uow, run_id=run_id)
        exact = attempts.totals(attempts.counts_of(uow, campaign=name))
        uow.record(
            EventKind.CAMPAIGN_FINISHED,
            purpose=plan.definition.purpose,
            refs={"campaign": name, "run": run_id},
            numbers=exact,
        )
    drawn = numbers.report(exact, found.left_out, rho=charged.rho)
    with units() as uow:
        answer = budgets.settle(uow, charged, drawn)
        shown = {Tally.AUDIENCE.value: size, **numbers.counts_of(answer, min_cell=plan.view.min_cell)}
        marketing.put_counts(uow, name=name, counts=shown)  # read by whoever paid for the newest
    with units() as uow:
        state = marketing.state_of(uow, name=name)
        if state is not CampaignState.CANCELLED:
            state = marketing.mark(uow, name=name, state=CampaignState.FINISHED).state
    return SendReport(campaign=name, run_id=run_id, state=state, counts=shown)


def _categories(uow: UnitOfWork, plan: Plan) -> tuple[str, ...]:
    return tuple(dict.fromkeys(uow.policy.category_of_field(name) for name in steps.fields(plan)))


def _sizes(units: UnitFactory, plan: Plan, taken: Callable[[], Audience]) -> numbers.Sizes:
    """Return the audience and who of it may be written to, noised; members are counted only where it is asked anew."""

    def count() -> tuple[int, int]:
        members = taken().members
        with units() as uow:
            reached = gate.eligible(
                uow, purpose=plan.definition.purpose, operation=Operation.SEND, categories=_categories(uow, plan)
            )
            return len(members), len(set(members).intersection(MemberId(m) for m in reached.member_ids))

    with units() as uow:
        question = numbers.preview_question(uow, plan, categories=_categories(uow, plan))
    return numbers.sizes(units, plan, question, count)


def _enough(size: NoisedCount, plan: Plan) -> bool:
    # Held against the noised size: trying minimum sizes must not tell the exact one.
    return size.value is not None and size.value >= plan.definition.min_size


def _compact(units: UnitFactory) -> None:
    with units() as uow:
        home = uow.home
    facts.compact(home, tables=(FactTable.CAMPAIGN_CONTACTS,))
