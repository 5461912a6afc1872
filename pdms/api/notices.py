"""`/v1/notices`: the texts that members are shown, by version, and that they were shown them."""

import json
from typing import Annotated, Any

from fastapi import Depends, Path, Query
from pydantic import BaseModel, Field

from pdms.api.caller import Caller, Compliance, Known, Needs
from pdms.api.consents import ChannelField, MemberField, Ticket
from pdms.api.edge import edge
from pdms.api.fields import Body, Cursor, Evidence, Instant, Limit, Name, NamePath, member
from pdms.api.guarded import router
from pdms.api.pages import page, page_of
from pdms.consent import service as consent
from pdms.consent.service import NoticeDiff, NoticeText
from pdms.gate import service as gate
from pdms.gate.service import NoticeDuty
from pdms.taxonomy import Language, Scope

routes = router("notices")
VersionPath = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="SHA-256 of the notice, hex.")]
Since = Annotated[str, Query(pattern="^[0-9a-f]{64}$", description="The version that was known.")]
Shower = Annotated[Caller, Depends(Needs((Scope.MEMBER, Scope.SUPPORT, Scope.INGEST)))]


class NewDelivery(Body):
    """That a member was shown the version of a notice that is in force."""

    member_id: MemberField
    language: Language = Language.ZH
    channel: ChannelField = "web"
    evidence: Evidence | None = Field(default=None, description="Id or digest of evidence; no text.")
    at: Instant | None = Field(default=None, description="When; default: now.")


class EndedExemption(Body):
    """A purpose whose reason for not telling has ended (PIPL-18), and the notice that tells of it."""

    purpose: Name = Field(examples=["rescue"])
    notice: Name = Field(examples=["member-notice"])
    ticket: Ticket = Field(examples=["LEGAL-12"])


class Delivered(BaseModel):
    """How many deliveries were new."""

    new: int


@routes.get("", summary="List notices", response_model=page_of(NoticeText))
def list_notices(caller: Known, cursor: Cursor = None, limit: Limit = 20) -> Any:
    """Every version ever published, with its text."""
    found = caller.read(consent.versions)
    found.sort(key=lambda n: (n["notice_id"], n["language"], n["version"]))
    return page(
        found,
        order=lambda n: [n["notice_id"], n["language"], n["version"]],
        cursor=cursor,
        limit=limit,
        key=caller.cursor_key,
        name="notices",
    )


@routes.get("/duties", summary="Notices owed", response_model=edge(list[NoticeDuty]))
def list_duties(caller: Compliance) -> Any:
    """Notices owed after an exemption ended, and how many members are still to be told (PIPL-18)."""
    return caller.read(gate.notice_duties)


@routes.post("/duties", status_code=201, summary="End an exemption", response_model=edge(NoticeDuty))
def end_exemption(caller: Compliance, body: EndedExemption) -> Any:
    """Records that the reason for not telling has ended: from now on members are owed the notice."""
    return caller.run(gate.end_exemption, purpose=body.purpose, notice=body.notice, ticket=body.ticket)


@routes.get("/{version}", summary="Show a notice", response_model=edge(NoticeText))
def show_notice(caller: Known, version: VersionPath) -> Any:
    """One version as it is shown, word for word."""
    return caller.read(consent.notice_text, version=version)


@routes.get("/{version}/content", summary="Content of a notice", response_model=dict[str, Any])
def show_content(caller: Known, version: VersionPath) -> Any:
    """All that a version says, as JSON: the SHA-256 of its canonical form (sorted keys, no blanks, UTF-8) is the
    version, so that whoever holds a receipt can tell that this is what was shown."""
    return json.loads(caller.read(consent.notice_content, version=version))


@routes.get("/{version}/changes", summary="What changed in a notice", response_model=edge(NoticeDiff))
def show_changes(caller: Known, version: VersionPath, since: Since) -> Any:
    """What changed from an earlier version of the same notice, item by item and in words (PIPL-17-2)."""
    return caller.read(consent.notice_diff, before=since, after=version)


@routes.post("/{notice}/deliveries", status_code=201, summary="Note a delivery", response_model=Delivered)
def deliver(caller: Shower, notice: NamePath, body: NewDelivery) -> Any:
    """Notes that a member was shown the notice in force (PIPL-17-1). Twice is once."""
    new = caller.run(
        consent.deliver_notices,
        [member(body.member_id)],
        notice=notice,
        language=body.language,
        channel=body.channel,
        evidence=body.evidence or "",
        at=body.at,
    )
    return Delivered(new=new)
