"""What lets somebody in, ended after a restore: the backup does not know what was revoked after it was made.

Guarantee: afterwards nothing opens the home but what the acting administrator presented: no other API key, no binding
to a subject of the sign-in service, no member token; no question of before is approved, and no approval used. Operators
stay, so that the log's names hold; each gets a new key from an administrator who knows that they still may. Doing it
twice changes nothing.
"""

from dataclasses import dataclass

from sqlmodel import col, delete, select, update

from pdms.access import secrets
from pdms.access.tables import ApiKeyRow, ApprovalRow, MemberTokenRow, OperatorRow
from pdms.audit.catalogue import EventKind
from pdms.taxonomy import Scope
from pdms.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Ended:
    """What was ended, by count; keys and bindings are to be made anew."""

    keys: int
    bindings: int
    """Operators who were bound to a subject of the sign-in service."""
    member_tokens: int
    approvals: int
    """Questions whose day was not over, whatever became of them by then: they may have been decided or used since."""


def end_access(uow: UnitOfWork, *, presented: str) -> Ended:
    """End all access but the actor's own.

    :param presented: by what the actor was recognised: an API key, or a token of the sign-in service.
    """
    uow.require(Scope.ADMIN)
    own = secrets.parse(presented)
    keys = uow.session.exec(
        select(ApiKeyRow)
        .where(col(ApiKeyRow.revoked_at).is_(None), col(ApiKeyRow.key_id) != (own.public_id if own else ""))
        .order_by(col(ApiKeyRow.key_id))
    ).all()
    for key in keys:
        key.revoked_at = uow.now
        uow.session.add(key)
        uow.record(EventKind.OPERATOR_KEY_REVOKED, refs={"operator": key.operator_id, "key": key.key_id})
    bound = uow.session.exec(
        select(OperatorRow)
        # Who came in by the sign-in service has no key that would stay.
        .where(col(OperatorRow.subject_digest).is_not(None), (col(OperatorRow.operator_id) != uow.actor.id) | bool(own))
        .order_by(col(OperatorRow.operator_id))
    ).all()
    for operator in bound:
        operator.subject_digest = None
        uow.session.add(operator)
        uow.record(EventKind.OPERATOR_LINKED, refs={"operator": operator.operator_id, "change": "unbound"})
    tokens = uow.session.exec(delete(MemberTokenRow))
    approvals = uow.session.exec(
        update(ApprovalRow).where(col(ApprovalRow.expires_at) > uow.now).values(expires_at=uow.now)
    )
    return Ended(len(keys), len(bound), tokens.rowcount, approvals.rowcount)
