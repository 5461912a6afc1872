"""What several routes show of a member's consents, in the form that JSON takes. Runs inside a unit of work."""

from datetime import datetime

from pydantic import BaseModel

from pdms.consent import service as consent
from pdms.taxonomy import ConsentState, ConsentType, MemberId
from pdms.unit_of_work import UnitOfWork


class StandingInfo(BaseModel):
    """Where one purpose (and recipient) stands with a member."""

    purpose: str
    recipient: str
    state: ConsentState
    type: ConsentType
    occurred_at: datetime | None
    notice_id: str
    notice_version: str
    categories: list[str]
    record_id: str


class RestrictionInfo(BaseModel):
    """Something that the member does not want; an empty purpose or channel means all."""

    kind: str
    purpose: str
    channel: str


class Standings(BaseModel):
    """A member's consents and restrictions."""

    consents: list[StandingInfo]
    restrictions: list[RestrictionInfo]


def standings(
    uow: UnitOfWork, *, member_id: MemberId, as_of: datetime | None = None, known: datetime | None = None
) -> Standings:
    """Return a member's consents as of an instant, and the restrictions that stand now."""
    states = consent.states(uow, member_id, as_of=as_of, known=known)
    return Standings(
        consents=[
            StandingInfo(
                purpose=purpose,
                recipient=recipient,
                state=held.state,
                type=held.type,
                occurred_at=held.occurred_at,
                notice_id=held.notice_id,
                notice_version=held.notice_version,
                categories=list(held.categories),
                record_id=held.record_id,
            )
            for (purpose, recipient), held in states.items()
        ],
        restrictions=[
            RestrictionInfo(kind=fact.kind.value, purpose=fact.purpose, channel=fact.channel)
            for fact in consent.standing_restrictions(uow, member_id)
        ],
    )
