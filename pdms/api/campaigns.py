"""`/v1/campaigns`: messages to a segment's rule. Marketing reads noised counts; exact ones are the officer's."""

from typing import Any

from fastapi import Request
from pydantic import Field

from pdms.api.caller import Compliance, Marketing, MarketingOrCompliance
from pdms.api.edge import edge
from pdms.api.fields import Body, Cursor, Document, Limit, NamePath
from pdms.api.guarded import REPEATABLE, router
from pdms.api.pages import page, page_of
from pdms.dispatch import service as dispatch
from pdms.dispatch.service import OfficerCounts, SendPreview, SendReport
from pdms.marketing import service as marketing
from pdms.marketing.service import Campaign, CampaignCounts

routes = router("campaigns")
EXAMPLE = {
    "name": "spring_return",
    "segment": "loyal_recent",
    "purpose": "market_email",
    "channel": "email",
    "min_size": 50,
    "frequency_cap": {"messages": 2, "days": 30},
    "template": {
        "language": "zh-CN",
        "subject": "春季新品",
        "body": "{name}，您好：\n春季新品已上架。\n{sender}\n退订： {opt_out} \n",
    },
}


class NewCampaign(Body):
    """A campaign to draft. Merge fields are a closed list: name, sender, opt_out; none may stand in a URL."""

    document: Document = Field(
        examples=[EXAMPLE], description="Keys: name, segment, purpose, channel, min_size, frequency_cap, template."
    )


@routes.get("", summary="List campaigns", response_model=page_of(Campaign))
def list_campaigns(caller: MarketingOrCompliance, cursor: Cursor = None, limit: Limit = 100) -> Any:
    """Campaigns by name."""
    return page(
        caller.read_anon(marketing.list_campaigns),
        order=lambda c: [c["definition"]["name"]],
        cursor=cursor,
        limit=limit,
        key=caller.cursor_key,
        name="campaigns",
    )


@routes.post("", status_code=201, summary="Draft a campaign", response_model=edge(Campaign))
def create(caller: Marketing, body: NewCampaign) -> Any:
    """Drafts a campaign on a saved segment, after its template was checked; sends nothing."""
    return caller.made("/v1/campaigns/{definition[name]}").run_anon(marketing.create, document=body.document)


@routes.get("/{name}", summary="Show a campaign", response_model=edge(Campaign))
def show(caller: MarketingOrCompliance, name: NamePath) -> Any:
    """A campaign with its definition."""
    return caller.read_anon(marketing.show, name=name)


@routes.post("/{name}/previews", summary="Preview sending", response_model=edge(SendPreview), openapi_extra=REPEATABLE)
def preview(caller: MarketingOrCompliance, name: NamePath) -> Any:
    """What sending would reach, noised and charged to the privacy budget once; sends nothing."""
    return caller.long(dispatch.preview, campaign=name)


@routes.post("/{name}/sends", summary="Send a campaign", response_model=edge(SendReport))
def send(request: Request, caller: Marketing, name: NamePath) -> Any:
    """Applies the segment's rule inside the boundary, asks the gate about each member again, and hands the messages
    over. Asked again, it goes on with what is left; nobody gets it twice."""
    campaign = caller.file_anon(marketing.show, name=name)
    channel = request.app.state.open_channel(campaign.definition.channel)
    return caller.made("/v1/campaigns/{campaign}").long(
        dispatch.send, campaign=name, channel=channel, public_url=caller.app.settings.public_url
    )


@routes.post("/{name}/cancellation", summary="Cancel a campaign", response_model=edge(Campaign))
def cancel(caller: MarketingOrCompliance, name: NamePath) -> Any:
    """Stops a campaign: what is not handed over yet never will be. Twice is once."""
    return caller.made("/v1/campaigns/{definition[name]}").run_anon(marketing.cancel, name=name)


@routes.get("/{name}/counts", summary="Noised counts", response_model=edge(CampaignCounts))
def show_counts(caller: MarketingOrCompliance, name: NamePath) -> Any:
    """Counts by reason, noised, each with where the exact one lies; those below `min_cell` only as such."""
    return caller.read_anon(marketing.counts, name=name)


@routes.get("/{name}/exact-counts", summary="Exact counts", response_model=edge(OfficerCounts))
def show_exact_counts(caller: Compliance, name: NamePath) -> Any:
    """Counts by reason, exact: the officer's."""
    return caller.read(dispatch.officer_counts, campaign=name)
