"""`/v1/members`: members as the shop and its service desk meet them. Masked by default; a phone number, a name or any
other value by which a member is looked up stands in a body, never in a path."""

from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, Field, StringConstraints

from pdms.access.service import IssuedMemberToken
from pdms.api.caller import Compliance, Finder, Shop, SupportOrCompliance
from pdms.api.edge import edge
from pdms.api.fields import Body, Instant, MemberPath, Name, Value, member
from pdms.api.guarded import REPEATABLE, router
from pdms.api.shown import Standings, standings
from pdms.consent import service as consent
from pdms.consent.service import Askable, Delivery, HistoryItem, NoticeDiff
from pdms.rights import service as rights
from pdms.taxonomy import MemberId, MemberStatus
from pdms.unit_of_work import UnitOfWork
from pdms.vault import service as vault

routes = router("members")
AsOf = Annotated[Instant | None, Query(description="State at this instant; default: now.")]
Known = Annotated[Instant | None, Query(description="Judged by what was known at this instant; default: now.")]


class ByField(Body):
    """A member by an indexed field, as a person writes it."""

    field: Name = Field(examples=["phone"])
    value: Value = Field(examples=["138 0013 8000"])


class ByNumber(Body):
    """A member by the number that a system of the shop gave them."""

    system: Name = Field(examples=["shop"])
    number: str = Field(min_length=1, max_length=128, examples=["H00042"])


class ByParts(Body):
    """Members by parts of their values, where the policy declares a search for it."""

    terms: dict[Name, Value] = Field(min_length=1, max_length=8, examples=[{"phone_last4": "8000"}])
    purpose: Name = Field(examples=["service"])
    reason: Annotated[str, StringConstraints(pattern="^[A-Z][A-Z0-9_]{0,63}$")] = Field(examples=["CALL_BACK"])
    ticket: Annotated[str, StringConstraints(pattern="^[A-Z]{2,10}-[0-9]{1,6}$")] | None = Field(
        default=None, examples=["CS-1024"]
    )


class Found(BaseModel):
    """Ids of the members found; none where nobody is known by it."""

    members: list[str] = Field(examples=[["0f3c9a7be1d24c58a6b07d1e2f3a4b5c"]])


class MemberInfo(BaseModel):
    """A member as staff sees them without a Permit: every value under its mask."""

    member_id: str
    status: MemberStatus
    region: str
    fields: dict[str, str] = Field(examples=[{"name": "王**", "phone": "138****8000"}])


class Reveal(Body):
    """Fields to open, for what and why. The log names whoever asks."""

    fields: list[Name] = Field(min_length=1, max_length=16, examples=[["phone"]])
    purpose: Name = Field(examples=["service"])
    reason: Annotated[str, StringConstraints(pattern="^[A-Z][A-Z0-9_]{0,63}$")] = Field(
        description="A code that the policy lists under `reveal`.", examples=["CALL_BACK"]
    )
    ticket: Annotated[str, StringConstraints(pattern="^[A-Z]{2,10}-[0-9]{1,6}$")] | None = Field(
        default=None, examples=["CS-1024"]
    )


class Revealed(BaseModel):
    """Plaintext of the fields that hold a value."""

    fields: dict[str, str]


def find(uow: UnitOfWork, *, wanted: ByField | ByNumber) -> tuple[MemberId, ...]:
    """Find members; by number the shop's own key may ask too, to open a session for whom it has logged in."""
    if isinstance(wanted, ByField):
        return rights.find_members(uow, field=wanted.field, value=wanted.value)
    found = rights.find_by_number(uow, system=wanted.system, number=wanted.number)
    return (found,) if found is not None else ()


def masked(uow: UnitOfWork, *, member_id: MemberId) -> MemberInfo:
    """Return a member under masks."""
    state = vault.state(uow, member_id)
    fields = vault.masked(uow, member_id)
    return MemberInfo(member_id=member_id.hex(), status=state.status, region=state.region, fields=fields)


@routes.post("/searches", summary="Find a member", response_model=Found, openapi_extra=REPEATABLE)
def search(caller: Finder, body: ByField | ByNumber) -> Any:
    """Looks a member up by an indexed field or by their number; answers with ids only."""
    return {"members": caller.read(find, wanted=body)}


@routes.post(
    "/part-searches", summary="Find members by parts of values", response_model=Found, openapi_extra=REPEATABLE
)
def search_parts(caller: SupportOrCompliance, body: ByParts) -> Any:
    """Last digits or part of a name, where the policy declares such a search; all terms must fit. Permitted, limited
    and logged as a reveal; each member found was opened and compared inside."""
    found = caller.run(
        rights.search_members, terms=body.terms, purpose=body.purpose, reason=body.reason, ticket=body.ticket
    )
    return {"members": found}


@routes.get("/{member_id}", summary="Show a member", response_model=MemberInfo)
def show(caller: SupportOrCompliance, member_id: MemberPath) -> Any:
    """A member's standing and fields, every value masked."""
    return caller.read(masked, member_id=member(member_id))


@routes.post("/{member_id}/reveals", summary="Reveal fields", response_model=Revealed, openapi_extra=REPEATABLE)
def reveal(caller: SupportOrCompliance, member_id: MemberPath, body: Reveal) -> Any:
    """Opens fields of one member: permitted by the gate for the purpose, limited per hour, logged before they leave."""
    opened = caller.run(
        rights.reveal,
        member_id=member(member_id),
        fields=tuple(body.fields),
        purpose=body.purpose,
        reason=body.reason,
        ticket=body.ticket,
    )
    return Revealed(fields=opened)


@routes.post(
    "/{member_id}/tokens", status_code=201, summary="Open a member's session", response_model=edge(IssuedMemberToken)
)
def create_token(caller: Shop, member_id: MemberPath) -> Any:
    """Exchanges the shop's key for a token bound to one member whom the shop has logged in: fifteen minutes, for
    `/v1/members/me` only. It is shown once."""
    return caller.run(rights.member_token, member_id=member(member_id))


@routes.get("/{member_id}/consents", summary="Consents of a member", response_model=Standings)
def show_consents(caller: SupportOrCompliance, member_id: MemberPath, as_of: AsOf = None, known: Known = None) -> Any:
    """Where each purpose stands, as of an instant and judged by what was known at another; restrictions as of now."""
    return caller.read(standings, member_id=member(member_id), as_of=as_of, known=known)


@routes.get(
    "/{member_id}/consents/history",
    summary="Consent history",
    response_model=edge(list[HistoryItem]),
)
def show_history(caller: SupportOrCompliance, member_id: MemberPath, as_of: AsOf = None, known: Known = None) -> Any:
    """Who agreed to what, when, shown which text, over which channel, with which evidence."""
    return caller.read(consent.history, member(member_id), as_of=as_of, known=known)


@routes.get(
    "/{member_id}/consents/askable",
    summary="What a member may be asked",
    response_model=edge(list[Askable]),
)
def show_askable(caller: SupportOrCompliance, member_id: MemberPath) -> Any:
    """For each purpose that rests on consent, whether the member may be asked now, and if not, from when on."""
    return caller.read(consent.askable, member(member_id))


@routes.get("/{member_id}/notices", summary="Notices shown", response_model=edge(list[Delivery]))
def show_deliveries(caller: Compliance, member_id: MemberPath) -> Any:
    """Which versions of which notices the member was shown."""
    return caller.read(consent.deliveries, member(member_id))


@routes.get(
    "/{member_id}/notices/changes",
    summary="Notice changes not yet shown",
    response_model=edge(list[NoticeDiff]),
)
def show_notice_changes(caller: SupportOrCompliance, member_id: MemberPath) -> Any:
    """What changed since the member was last shown each notice (PIPL-17-2)."""
    return caller.read(consent.changes_for, member(member_id))
