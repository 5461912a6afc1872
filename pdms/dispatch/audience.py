"""Whom a campaign means at this moment: a segment's rule on the exact features of members who may be profiled now.

Guarantees: only members whom the gate calls eligible for the segment's purpose are looked at; the rule is the one that
the campaign was drafted with; the result stays inside, in memory, and is asked about member by member again before
anything leaves. No transaction is held while features are computed.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np

from pdms.dispatch.channels import Handover
from pdms.errors import Conflict
from pdms.facts import service as facts
from pdms.facts.names import FactTable
from pdms.features import service as features
from pdms.gate import service as gate
from pdms.marketing import service as marketing
from pdms.marketing.campaigns import Definition
from pdms.marketing.service import Campaign, CampaignState
from pdms.policy.definitions import View
from pdms.segments import service as segments
from pdms.segments.compiled import CompiledRule
from pdms.taxonomy import Channel, MemberId, Operation, Pseudonym
from pdms.unit_of_work import UnitFactory, UnitOfWork
from pdms.vault import service as vault
from pdms.views import service as views
from pdms.views.definitions import categories_of, view_of

COUNTED = (Handover.HANDED_OVER.value, Handover.UNKNOWN.value)
"""Outcomes that count as contact: an unknown one may have arrived."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A campaign ready to be evaluated: its rule still is the one it was drafted with."""

    campaign: Campaign
    view: View
    rule: CompiledRule
    categories: tuple[str, ...]
    """Data categories that the view's columns are computed from; the segment's purpose must cover them."""

    @property
    def definition(self) -> Definition:
        """What was drafted."""
        return self.campaign.definition


@dataclass(frozen=True, slots=True)
class Audience:
    """Members whom the rule matches, and how many were eligible at all. Prints numbers only."""

    members: tuple[MemberId, ...] = field(repr=False)
    eligible: int
    excluded: Mapping[str, int]
    """Members left out before the rule was asked, by reason code."""
    left_out: Mapping[str, int]
    """The same, each member once."""
    contacted: Mapping[MemberId, int] = field(repr=False)
    """Contacts of each member within the cap's window; absent means none."""


def plan_of(uow: UnitOfWork, *, campaign: str) -> Plan:
    """Check that a campaign may be evaluated as drafted.

    :raises NotFound: no such campaign, or its segment is gone.
    :raises Conflict: it was cancelled, or the segment's rule is another by now.
    :raises InvalidInput: the view no longer declares what the rule asks.
    :raises Denied: VIEW_NOT_ALLOWED, the actor is no consumer of the view.
    """
    drafted = marketing.show(uow, name=campaign)
    if drafted.state is CampaignState.CANCELLED:
        raise Conflict("campaign: it was cancelled")
    if segments.show(uow, name=drafted.definition.segment).digest != drafted.rule_digest:
        raise Conflict("campaign: the segment's rule was changed since it was drafted; draft it anew")
    view = view_of(uow.policy, drafted.view)
    views.require_consumer(uow, view)
    return Plan(
        campaign=drafted,
        view=view,
        rule=segments.compiled(uow, name=drafted.definition.segment),
        categories=categories_of(uow.policy, view),
    )


def take(units: UnitFactory, plan: Plan) -> Audience:
    """Evaluate a plan now. The eligible set is one event of the gate."""
    with units() as uow:
        found = gate.eligible(uow, purpose=plan.view.purpose, operation=Operation.PROFILE, categories=plan.categories)
        member_of = {pseudonym: member for member, pseudonym in vault.pseudonyms_of(uow, found.member_ids).items()}
    with units() as uow:  # opens no session: nothing is locked while columns are computed
        exact = features.exact_columns(uow, view=plan.view, pseudonyms=list(member_of))
        matched = np.flatnonzero(plan.rule.mask(exact.columns))
        contacts = _contacts(uow, plan.definition)
    chosen = [exact.pseudonyms[i] for i in matched]
    return Audience(
        # In the order of random ids: the order of sending says nothing about anybody.
        members=tuple(sorted(member_of[p] for p in chosen)),
        eligible=len(member_of),
        excluded=dict(found.excluded),
        left_out=dict(found.left_out),
        contacted={member_of[p]: contacts[p] for p in chosen if p in contacts},
    )


def _contacts(uow: UnitOfWork, definition: Definition) -> Counter[Pseudonym]:
    """Return contacts by pseudonym over the campaign's channel within its cap's window, all campaigns together."""
    since = uow.now - timedelta(days=definition.cap.days)
    with facts.read(uow.home) as reader:
        table = reader.table(FactTable.CAMPAIGN_CONTACTS)
        recent = table.filter(
            (table.at > since) & (table.channel == str(definition.channel)) & table.outcome.isin(COUNTED)
        )
        counted = reader.connection.to_pyarrow(recent.group_by("pseudonym").agg(contacts=recent.count()))
    return Counter(
        {
            Pseudonym(p): int(n)
            for p, n in zip(counted["pseudonym"].to_pylist(), counted["contacts"].to_pylist(), strict=True)
        }
    )


def record_contacts(
    uow: UnitOfWork, *, campaign: str, channel: Channel, outcomes: Mapping[MemberId, str], load_id: str, batch: int
) -> None:
    """Append contacts that were, or may have been, made. Who was erased meanwhile has no pseudonym and gets none."""
    import pyarrow as pa

    made = {member: outcome for member, outcome in outcomes.items() if outcome in COUNTED}
    links = vault.pseudonyms_of(uow, list(made)) if made else {}
    if not links:
        return
    rows = pa.table(
        {
            "pseudonym": pa.array([bytes(p) for p in links.values()], pa.binary(16)),
            "campaign_id": pa.array([campaign] * len(links), pa.string()),
            "channel": pa.array([str(channel)] * len(links), pa.string()),
            "at": pa.array([uow.now] * len(links), pa.timestamp("us", tz="UTC")),
            "outcome": pa.array([made[m] for m in links], pa.string()),
        }
    )
    facts.append(uow, FactTable.CAMPAIGN_CONTACTS, rows, load_id=load_id, batch=batch)
