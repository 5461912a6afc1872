"""The Permit: no plaintext, no release, no send without one.

Guarantees: frozen, narrow, short-lived. Only `gate` makes one (an architecture test looks for every other call), after
its event was recorded. It proves nothing by itself to another process: it is an argument, not a bearer secret.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pdms.errors import Denied
from pdms.policy.reasons import reason
from pdms.taxonomy import Channel, MemberId, Operation

PERMIT_LIFE = timedelta(minutes=10)
"""How long a Permit for one member is good (to reveal: `reveal.permit_minutes` of the policy); a set's lasts as long as
its operation names."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to do one operation for one purpose, on one member or (release, set) on none in particular."""

    id: str
    """`permit-` + 32 hex digits."""
    event_id: str
    """The audit event that recorded it."""
    purpose: str
    operation: Operation
    member_id: MemberId | None
    categories: tuple[str, ...]
    fields: tuple[str, ...]
    channel: Channel | None
    recipient: str | None
    view: str | None
    issued_at: datetime
    expires_at: datetime
    actor: str
    policy_digest: str
    reason: str | None = None
    """Reason code that the operator gave (REVEAL)."""
    ticket: str | None = None

    def require(
        self,
        *,
        now: datetime,
        operation: Operation,
        member_id: MemberId | None = None,
        fields: tuple[str, ...] = (),
        view: str | None = None,
    ) -> None:
        """Check that this Permit covers what is about to be done. :raises Denied: it does not, or its time is over."""
        if not self.issued_at <= now < self.expires_at:
            raise Denied("the permit is no longer valid", reasons=(reason("PERMIT_EXPIRED"),))
        if (
            operation is not self.operation
            or member_id != self.member_id
            or view != self.view
            or not set(fields) <= set(self.fields)
        ):
            raise Denied("the permit does not cover this", reasons=(reason("PERMIT_SCOPE"),))
