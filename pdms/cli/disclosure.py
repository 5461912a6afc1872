"""What `request disclose` and the question for its approval have in common: a scope, as options."""

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pdms.taxonomy import Authority

if TYPE_CHECKING:
    from pdms.rights.service import DisclosureScope

SinceDay = Annotated[
    datetime | None,
    typer.Option("--from", formats=["%Y-%m-%d"], help="disclosure: first day of what happened (Shanghai)."),
]
UntilDay = Annotated[
    datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="disclosure: last day; a year at most.")
]
RegionText = Annotated[str, typer.Option(help="disclosure: where the authority is.")]
ApprovalText = Annotated[
    str | None,
    typer.Option("--foreign-approval", help="disclosure abroad: reference of the approval here, e.g. MOJ-2026-7."),
]


def scope_of(
    authority: Authority,
    categories: list[str],
    ticket: str,
    since: datetime | None,
    until: datetime | None,
    region: str,
    approval: str | None,
) -> "DisclosureScope":
    """Return the scope that the options name."""
    from pdms.rights.service import DisclosureScope

    def day(given: datetime | None) -> date | None:
        return given.date() if given is not None else None

    return DisclosureScope(
        authority, tuple(categories), ticket, since=day(since), until=day(until), region=region, approval=approval
    )
