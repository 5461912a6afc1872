"""What an authority asks for, as a body has it: for the question to a second officer, and for the disclosure itself."""

from typing import Annotated

from pydantic import Field, StringConstraints

from pdms.api.fields import HEX_ID, Body, Day, Name
from pdms.rights.service import DisclosureScope
from pdms.taxonomy import HOME_REGION, Authority

Reference = Annotated[str, StringConstraints(pattern="^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")]


class Scoped(Body):
    """Whose categories, of which period, for whom and in which case."""

    authority: Authority
    categories: list[Name] = Field(min_length=1, max_length=16, examples=[["transaction"]])
    ticket: Annotated[str, StringConstraints(pattern="^[A-Z]{2,10}-[0-9]{1,6}$")] = Field(examples=["CASE-1234"])
    since: Day | None = Field(default=None, description="First day of what happened.", examples=["2026-01-01"])
    until: Day | None = Field(default=None, description="Last day; a year at most.", examples=["2026-06-30"])
    region: Reference = Field(default=HOME_REGION, description="Where the authority is.")
    approval: Reference | None = Field(default=None, description="Reference of the approval here, if abroad (PIPL-41).")


class Disclosure(Body):
    """What an authority asks for of one member."""

    member_id: str = Field(pattern="^[0-9a-f]{32}$", examples=[HEX_ID])
    scope: Scoped = Field(examples=[{"authority": "court", "categories": ["basic"], "ticket": "CASE-1234"}])


def scope_of(body: Scoped) -> DisclosureScope:
    """Return the scope that a body names."""
    return DisclosureScope(
        body.authority,
        tuple(body.categories),
        body.ticket,
        since=body.since,
        until=body.until,
        region=body.region,
        approval=body.approval,
    )
