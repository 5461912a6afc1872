"""Campaigns as marketing sees them: drafted, listed, counted; and RFM on the live release.

Guarantees: a drafted campaign names a saved segment, a purpose of its channel and a template that was checked; every
count here is rounded (on a release) or noised (of a campaign), and small ones are only said to be small. Sending is not
done here and cannot be: `dispatch` does it inside the boundary, and leaves noised counts with `put_counts`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import delete
from sqlmodel import col, select

from pdms.audit.catalogue import EventKind
from pdms.budgets import service as budgets
from pdms.budgets.counts import NoisedCount
from pdms.db import Lock, alone
from pdms.errors import Conflict, InvalidInput, NotFound
from pdms.marketing import campaigns, rfm
from pdms.marketing.campaigns import Definition
from pdms.marketing.tables import CampaignCountRow, CampaignRow
from pdms.segments import service as segments
from pdms.segments.classes import classes_of
from pdms.segments.documents import read_document
from pdms.taxonomy import Operation, Scope
from pdms.unit_of_work import AnonUnitOfWork
from pdms.views import service as views
from pdms.views.definitions import space_of


class CampaignState(StrEnum):
    """Life of a campaign."""

    DRAFT = "draft"
    RUNNING = "running"
    FINISHED = "finished"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign with its definition; `rule_digest` is the segment's rule as it was when drafted."""

    definition: Definition
    view: str
    rule_digest: str
    state: CampaignState
    created_at: datetime
    changed_at: datetime

    @property
    def name(self) -> str:
        """Its name, unique in a home."""
        return self.definition.name


@dataclass(frozen=True, slots=True)
class CampaignCounts:
    """Noised counts of a campaign by reason (`audience`, `handed_over`, `held_back`, …) as last left by dispatch."""

    campaign: str
    state: CampaignState
    measured_at: datetime | None
    counts: Mapping[str, NoisedCount]


def create(uow: AnonUnitOfWork, *, text: str | None = None, document: Mapping[str, Any] | None = None) -> Campaign:
    """Draft a campaign from YAML `text` or a parsed `document`.

    :raises InvalidInput: it breaks the form, the template is refused, or purpose and channel do not fit the policy.
    :raises NotFound: the segment is not saved. :raises Conflict: a campaign of that name exists.
    """
    uow.require(Scope.MARKETING)
    if (text is None) == (document is None):
        raise InvalidInput("campaign: either text or document is needed")
    definition = campaigns.parse(read_document(text) if text is not None else document or {})
    segment = segments.show(uow, name=definition.segment)
    _check_policy(uow, definition, segment.view)
    alone(uow.anon.connection(), Lock.CAMPAIGNS)
    if uow.anon.get(CampaignRow, definition.name) is not None:
        raise Conflict("campaign: a campaign of that name exists")
    row = CampaignRow(
        name=definition.name,
        segment=segment.name,
        view=segment.view,
        purpose=definition.purpose,
        channel=definition.channel,
        document=json.dumps(campaigns.to_document(definition), ensure_ascii=False, sort_keys=True),
        rule_digest=segment.digest,
        state=CampaignState.DRAFT,
        created_by=uow.actor.id,
        created_at=uow.now,
        changed_at=uow.now,
    )
    uow.anon.add(row)
    uow.anon.flush()
    uow.record(
        EventKind.CAMPAIGN_CREATED,
        purpose=definition.purpose,
        refs={"campaign": row.name, "segment": segment.name, "rule": segment.digest},
    )
    return _campaign(row)


def show(uow: AnonUnitOfWork, *, name: str) -> Campaign:
    """Return a campaign. :raises NotFound: no campaign of that name."""
    uow.require(Scope.MARKETING, Scope.COMPLIANCE)
    return _campaign(_row(uow, name))


def state_of(uow: AnonUnitOfWork, *, name: str) -> CampaignState:
    """Return a campaign's state alone; `dispatch` asks before each message. :raises NotFound: no such campaign."""
    uow.require(Scope.MARKETING, Scope.COMPLIANCE)
    return CampaignState(_row(uow, name).state)


def list_campaigns(uow: AnonUnitOfWork) -> tuple[Campaign, ...]:
    """Return all campaigns by name."""
    uow.require(Scope.MARKETING, Scope.COMPLIANCE)
    return tuple(_campaign(row) for row in uow.anon.exec(select(CampaignRow).order_by(CampaignRow.name)))


def counts(uow: AnonUnitOfWork, *, name: str) -> CampaignCounts:
    """Return a campaign's noised counts; none before it was sent, nor where another population's budget paid for them.

    :raises NotFound: no campaign of that name. :raises Denied: NO_BUDGET.
    """
    uow.require(Scope.MARKETING, Scope.COMPLIANCE)
    row = _row(uow, name)
    payer = None if Scope.COMPLIANCE in uow.actor.scopes else budgets.paid_by(uow, campaign=name)
    # told for nothing, they would come on top of all that the reader's own population is told in a period
    hidden = payer is not None and payer != budgets.budget_of(uow).name
    found = uow.anon.exec(
        select(CampaignCountRow).where(CampaignCountRow.campaign == name).order_by(CampaignCountRow.reason)
    ).all()
    return CampaignCounts(
        campaign=name,
        state=CampaignState(row.state),
        measured_at=max((r.measured_at for r in found), default=None),
        counts={
            r.reason: NoisedCount(value=r.value, below=r.below, low=r.low, high=r.high) for r in found if not hidden
        },
    )


def cancel(uow: AnonUnitOfWork, *, name: str) -> Campaign:
    """Stop a campaign: what is not yet handed over never will be. Asking twice changes nothing.

    :raises NotFound: no campaign of that name. :raises Conflict: it has finished.
    """
    uow.require(Scope.MARKETING, Scope.COMPLIANCE)
    row = _row(uow, name)
    if row.state == CampaignState.FINISHED:
        raise Conflict("campaign: it has finished")
    if row.state != CampaignState.CANCELLED:
        _move(uow, row, CampaignState.CANCELLED)
        uow.record(EventKind.CAMPAIGN_CANCELLED, purpose=row.purpose, refs={"campaign": name})
    return _campaign(row)


def rfm_table(uow: AnonUnitOfWork, *, view: str, features: rfm.RfmFeatures | None = None) -> rfm.RfmTable:
    """Return recency, frequency and monetary value on the live release of `view`, counts rounded.

    :raises NotFound: no such view, or no live release. :raises InvalidInput: the view lacks recency or frequency.
    """
    uow.require(Scope.MARKETING, Scope.COMPLIANCE)
    if view not in uow.policy.views:
        raise NotFound("view: it is not a view of the policy")
    release = views.read(uow, view=view)
    space = space_of(uow.policy, view)
    return rfm.table(
        classes_of(release.table, space),
        space,
        view=view,
        release_id=release.info.release_id,
        min_cell=uow.policy.views[view].min_cell,
        features=features,
    )


def mark(uow: AnonUnitOfWork, *, name: str, state: CampaignState) -> Campaign:
    """Move a campaign on: `dispatch` calls it when sending begins and ends; not for faces.

    :raises NotFound: no campaign of that name. :raises Conflict: it was cancelled.
    """
    row = _row(uow, name)
    if row.state == CampaignState.CANCELLED:
        raise Conflict("campaign: it was cancelled")
    _move(uow, row, state)
    return _campaign(row)


def put_counts(uow: AnonUnitOfWork, *, name: str, counts: Mapping[str, NoisedCount]) -> None:
    """Replace a campaign's counts by `counts`, already noised inside the boundary; not for faces."""
    uow.anon.exec(delete(CampaignCountRow).where(col(CampaignCountRow.campaign) == name))
    for reason, count in counts.items():
        uow.anon.add(
            CampaignCountRow(
                campaign=name,
                reason=reason,
                value=count.value,
                below=count.below,
                low=count.low,
                high=count.high,
                measured_at=uow.now,
            )
        )
    uow.anon.flush()


def _check_policy(uow: AnonUnitOfWork, definition: Definition, view: str) -> None:
    purpose = uow.policy.purposes.get(definition.purpose)
    if purpose is None or Operation.SEND not in purpose.operations:
        raise InvalidInput("campaign.purpose: it is not a purpose of the policy that allows sending")
    if purpose.channel != definition.channel:
        raise InvalidInput(
            "campaign.channel: it is not the channel of the purpose (each channel needs its own consent)"
        )
    if definition.min_size < uow.policy.views[view].min_cell:
        raise InvalidInput("campaign.min_size: it lies below min_cell of the segment's view")


def _move(uow: AnonUnitOfWork, row: CampaignRow, state: CampaignState) -> None:
    row.state, row.changed_at = state, uow.now
    uow.anon.add(row)
    uow.anon.flush()


def _row(uow: AnonUnitOfWork, name: str) -> CampaignRow:
    row = uow.anon.get(CampaignRow, name)
    if row is None:
        raise NotFound("campaign: no campaign of that name")
    return row


def _campaign(row: CampaignRow) -> Campaign:
    return Campaign(
        definition=campaigns.parse(json.loads(row.document)),
        view=row.view,
        rule_digest=row.rule_digest,
        state=CampaignState(row.state),
        created_at=row.created_at,
        changed_at=row.changed_at,
    )
