"""Types of the values that requests carry: bounded, by pattern, so that nothing unbounded reaches a service."""

from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from pdms.taxonomy import MemberId

HEX_ID = "0f3c9a7be1d24c58a6b07d1e2f3a4b5c"
MAX_TEXT = 64 << 10

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")]
"""A name out of the policy, or one that an operator gave: a purpose, a view, a field, a segment."""
Value = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
"""A value of a member's field."""
Document = dict[Annotated[str, StringConstraints(max_length=128)], JsonValue]
"""A document of which the service knows the form."""
Text = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT)]
"""A YAML text."""
FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
Instant = Annotated[AwareDatetime, Field(ge=FIRST, le=LAST)]
Day = Annotated[date, Field(ge=FIRST.date(), le=LAST.date())]
Evidence = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$")]
"""Id, code or digest of evidence; the text itself is never sent."""

MemberPath = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="Member id, 32 hex digits.", examples=[HEX_ID])]
EventPath = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="Event id, 32 hex digits.")]
NamePath = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")]
RequestPath = Annotated[str, Path(pattern="^req-[0-9a-f]{32}$", examples=[f"req-{HEX_ID}"])]
ReleasePath = Annotated[str, Path(pattern="^rel-[0-9a-f]{32}$", examples=[f"rel-{HEX_ID}"])]
OperatorPath = Annotated[str, Path(pattern="^op-[0-9a-f]{32}$", examples=[f"op-{HEX_ID}"])]
SecretPath = Annotated[str, Path(pattern="^[A-Za-z0-9_-]{16,128}$")]

Limit = Annotated[int, Query(ge=1, le=1000, description="Items on a page.")]
Cursor = Annotated[
    str | None,
    Query(pattern="^[A-Za-z0-9_-]{8,1024}$", description="`next` of the page before; absent for the first page."),
]
Position = Annotated[
    int | None, Query(ge=0, le=1 << 53, description="`next` of the page before; absent for the first page.")
]


class Body(BaseModel):
    """Base of request bodies: nothing unknown is let in, and no error repeats the input."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def member(text: str) -> MemberId:
    """Return the member id behind its hex form."""
    return MemberId(bytes.fromhex(text))


def given(body: Body) -> dict[str, Any]:
    """Return the fields of a body as keyword arguments, those left out left out."""
    return {name: getattr(body, name) for name in body.model_fields_set}
