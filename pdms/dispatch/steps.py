"""The steps of sending one batch: decide and intend, hand over, note what became of it.

Guarantees: intents commit, with their events, before a contact is returned; each member is decided on again at the
handing over; what became of a message is noted once. Which step stands where is said in `service`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pdms.audit.catalogue import EventKind
from pdms.audit.events import Outcome
from pdms.db import member_alone
from pdms.dispatch import attempts, audience
from pdms.dispatch.attempts import HELD_BACK, Tally
from pdms.dispatch.audience import Audience, Plan
from pdms.dispatch.channels import Handover, MessageChannel
from pdms.dispatch.lock import StillAlone
from pdms.dispatch.messages import Contact, Sender, build, new_opt_out, valid_contact
from pdms.gate import service as gate
from pdms.marketing import service as marketing
from pdms.marketing.service import CampaignState
from pdms.marketing.templates import MEMBER_FIELDS, fields_of
from pdms.policy.reasons import ordered
from pdms.taxonomy import Channel, MemberId, Operation, new_id
from pdms.unit_of_work import UnitFactory, UnitOfWork
from pdms.vault import service as vault

CLOSE_BATCH = 50
CONTACT_FIELD = {Channel.EMAIL: "email", Channel.SMS: "phone"}
EVENT_OUTCOME = {
    Handover.HANDED_OVER.value: Outcome.DONE,
    Handover.REFUSED.value: Outcome.FAILED,
    Handover.DEFERRED.value: Outcome.SKIPPED,
    Handover.UNKNOWN.value: Outcome.UNKNOWN,
    HELD_BACK: Outcome.DENIED,
}


@dataclass(frozen=True, slots=True)
class Ready:
    """A member whose intent is committed; prints nothing of them."""

    member: MemberId = field(repr=False)
    contact: Contact = field(repr=False)
    opt_out: str = field(repr=False)


Settled = tuple[str, tuple[str, ...]]
"""What became of one intent, and the reasons where it was held back."""


def prepare(units: UnitFactory, plan: Plan, run_id: str, found: Audience, members: Sequence[MemberId]) -> list[Ready]:
    """Decide on each member and commit the intents of those who may be written to; only then return their contacts."""
    definition = plan.definition
    ready: list[Ready] = []
    held: Counter[str] = Counter()
    with units() as uow:
        refs = {"campaign": definition.name, "run": run_id}
        member_alone(uow.session.connection(), members)
        for member in members:
            codes = decided(uow, plan, member)  # 7
            if not codes and found.contacted.get(member, 0) >= definition.cap.messages:  # 8
                codes = ("FREQUENCY_CAP",)
            contact = None if codes else opened(uow, plan, member)  # 9
            if contact is not None:
                ready.append(Ready(member=member, contact=contact, opt_out=new_opt_out()))
                uow.record(
                    EventKind.SEND_INTENT,
                    member=member,
                    purpose=definition.purpose,
                    outcome=Outcome.INTENDED,
                    refs=refs,
                )
                continue
            codes = codes or ("NO_ADDRESS",)
            held.update((codes[0], Tally.HELD_BACK.value))
            uow.record(
                EventKind.SEND_DENIED,
                member=member,
                purpose=definition.purpose,
                outcome=Outcome.DENIED,
                reasons=codes,
                refs=refs,
            )
        chosen = [one.member for one in ready]
        attempts.intend(uow, campaign=definition.name, run_id=run_id, channel=definition.channel, members=chosen)
        attempts.add_opt_outs(
            uow,
            campaign=definition.name,
            purpose=definition.purpose,
            channel=definition.channel,
            links={one.member: one.opt_out for one in ready},
        )
        attempts.count(uow, run_id=run_id, members=held)
    return ready  # 10: the unit above has committed


def hand_over(
    units: UnitFactory,
    plan: Plan,
    run_id: str,
    sender: Sender,
    channel: MessageChannel,
    alone: StillAlone,
    one: Ready,
) -> Settled:
    """Ask once more, then hand over one message.

    :raises Conflict: SEND_LOCK_LOST: nothing was handed over; another sender closes the intent as unknown.
    """
    with units() as uow:
        # Committed before the question: a withdrawal at the same moment is seen here, or sees this.
        attempts.hand(uow, run_id=run_id, member_id=one.member)
        uow.commit_intent()
        member_alone(uow.session.connection(), [one.member])
        codes = decided(uow, plan, one.member)
        now = uow.now
    if codes or cancelled(units, plan):
        return HELD_BACK, codes
    message = build(
        plan.definition.template,
        channel=plan.definition.channel,
        sender=sender,
        contact=one.contact,
        opt_out=one.opt_out,
        now=now,
    )
    alone()
    return channel.hand_over(message).value, ()


def settle(units: UnitFactory, plan: Plan, run_id: str, outcomes: Mapping[MemberId, Settled], *, batch: int) -> None:
    """Note what became of handed-over messages: attempts, contacts in facts, events, counts."""
    if not outcomes:
        return
    definition = plan.definition
    with units() as uow:
        attempts.hand(uow, run_id=run_id, member_id=None)
        closed = attempts.settle(uow, campaign=definition.name, outcomes={m: o for m, (o, _) in outcomes.items()})
        audience.record_contacts(
            uow,
            campaign=definition.name,
            channel=definition.channel,
            outcomes={m: outcomes[m][0] for m in closed},
            load_id=run_id,
            batch=batch,
        )
        counted: Counter[str] = Counter()
        for member in closed:
            outcome, codes = outcomes[member]
            counted.update((outcome, *codes[:1]))
            uow.record(
                EventKind.SEND_OUTCOME,
                member=member,
                purpose=definition.purpose,
                outcome=EVENT_OUTCOME[outcome],
                reasons=codes,
                refs={"campaign": definition.name, "run": run_id},
            )
        attempts.count(uow, run_id=run_id, members=counted)


def close_open(units: UnitFactory) -> int:
    """Close what killed runs left: each such message may have left, so it counts as contact and is not repeated."""
    total, batch, load_id = 0, 0, new_id("close")
    while True:
        with units() as uow:
            found = attempts.open_intents(uow, limit=CLOSE_BATCH)
            for one in found:
                attempts.hand(uow, run_id=one.run_id, member_id=None)
                attempts.settle(uow, campaign=one.campaign, outcomes={one.member_id: Handover.UNKNOWN.value})
                attempts.count(uow, run_id=one.run_id, members={Tally.UNKNOWN.value: 1})
                audience.record_contacts(
                    uow,
                    campaign=one.campaign,
                    channel=one.channel,
                    outcomes={one.member_id: Handover.UNKNOWN.value},
                    load_id=load_id,
                    batch=batch,
                )
                batch += 1
                uow.record(
                    EventKind.SEND_OUTCOME,
                    member=one.member_id,
                    outcome=Outcome.UNKNOWN,
                    refs={"campaign": one.campaign, "run": one.run_id},
                )
        if not found:
            return total
        total += len(found)


def decided(uow: UnitOfWork, plan: Plan, member: MemberId) -> tuple[str, ...]:
    """Return why the member may not be written to now, in the order of rank; empty where nothing stands against it."""
    segment = gate.decide_one(
        uow, member_id=member, purpose=plan.view.purpose, operation=Operation.PROFILE, categories=plan.categories
    )
    message = gate.decide_one(
        uow,
        member_id=member,
        purpose=plan.definition.purpose,
        operation=Operation.SEND,
        fields=fields(plan),
        channel=plan.definition.channel,
    )
    return ordered({*segment.codes, *message.codes})


def opened(uow: UnitOfWork, plan: Plan, member: MemberId) -> Contact | None:
    """Open what one message needs, by a Permit of its own; None where no address is held."""
    names = fields(plan)
    permit = gate.permit(
        uow,
        member_id=member,
        purpose=plan.definition.purpose,
        operation=Operation.SEND,
        fields=names,
        channel=plan.definition.channel,
    )
    opened = vault.reveal(uow, permit, member_id=member, fields=names)
    contact = Contact(address=opened.get(names[0], ""), name=opened.get("name", ""))
    return contact if valid_contact(contact, channel=plan.definition.channel) else None


def fields(plan: Plan) -> tuple[str, ...]:
    """Return the vault fields that a message needs: the contact first, then those that the template names."""
    used = fields_of(plan.definition.template)
    return (CONTACT_FIELD[plan.definition.channel], *(name for name in MEMBER_FIELDS if name in used))


def cancelled(units: UnitFactory, plan: Plan) -> bool:
    """Whether somebody stopped the campaign meanwhile."""
    with units() as uow:
        return marketing.state_of(uow, name=plan.definition.name) is CampaignState.CANCELLED
