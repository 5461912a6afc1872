"""Answers to authorities: what was asked, of one member, and no more, as two officers approved (PIPL-63, ECL-25).

Guarantees: a scope names one member, data categories one by one, and for what happened a period of at most a year; a
wider one is refused before anybody can approve it. The approval is for exactly this authority, scope and case, once.
To an authority abroad nothing is given without the reference of the approval by the authority in charge here (PIPL-41).
The event is committed before anything leaves; a member's own package does not tell of it, as secrecy may be asked for
(PIPL-18, 45-1). Deliberately not here: whether the authority may ask, which the officers see from its letter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

from pdms.access import approvals
from pdms.audit.catalogue import EventKind
from pdms.audit.events import is_reference
from pdms.clock import SHANGHAI
from pdms.errors import Denied, InvalidInput
from pdms.facts import service as facts
from pdms.facts.schemas import TIMES
from pdms.gate import service as gate
from pdms.policy.definitions import Policy
from pdms.policy.reasons import reason
from pdms.taxonomy import HOME_REGION, Authority, GuardedAct, MemberId, Operation, Scope, new_id
from pdms.unit_of_work import UnitOfWork
from pdms.vault import service as vault

PURPOSE: Final = "disclosure"
REASON: Final = "AUTHORITY_REQUEST"
LONGEST: Final = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class DisclosureScope:
    """What an authority asks for, as its letter says."""

    authority: Authority
    categories: tuple[str, ...]
    ticket: str = field(repr=False)
    """The case, e.g. CASE-1234."""
    since: date | None = None
    until: date | None = None
    """First and last day, in Shanghai, of what happened (orders, events, …); both, where such is asked for."""
    region: str = HOME_REGION
    approval: str | None = field(default=None, repr=False)
    """Reference of the approval by the authority in charge here, for one abroad (PIPL-41)."""


def to_disclose(policy: Policy, *, member_id: MemberId, scope: DisclosureScope) -> dict[str, str]:
    """Return what a second officer approves: parameters of GuardedAct.DISCLOSURE.

    :raises InvalidInput: the scope is too wide, or does not say what it must.
    """
    purpose = policy.purposes.get(PURPOSE)
    allowed = purpose.categories if purpose is not None else ()
    if not scope.categories or not set(scope.categories) <= set(allowed) or len(scope.categories) == len(allowed):
        raise InvalidInput(f"categories: some of {', '.join(allowed) or 'none'}, one by one; never all (PIPL-63)")
    if (
        not scope.ticket
        or not is_reference(scope.region)
        or not (scope.approval is None or is_reference(scope.approval))
    ):
        raise InvalidInput(
            "ticket, region, approval: a case such as CASE-1234, a region, a reference such as MOJ-2026-7"
        )
    happened = any(policy.categories[name].facts for name in scope.categories)
    asked = {
        "member": member_id.hex(),
        "categories": ":".join(sorted(set(scope.categories))),
        "authority": scope.authority.value,
        "region": scope.region,
        "ticket": scope.ticket,
    }
    if scope.approval is not None:
        asked["approval"] = scope.approval
    if not happened and scope.since is None and scope.until is None:
        return asked
    if scope.since is None or scope.until is None or not timedelta(0) <= scope.until - scope.since < LONGEST:
        raise InvalidInput("since, until: a period of at most a year, for what happened (PIPL-63)")
    return asked | {"period": f"{scope.since.isoformat()}:{scope.until.isoformat()}"}


def disclose(uow: UnitOfWork, *, member_id: MemberId, scope: DisclosureScope) -> dict[str, Any]:
    """Return what an authority asked for of one member, as a second officer approved it.

    :raises Denied: APPROVAL_MISSING, FOREIGN_AUTHORITY, or what the gate says. :raises InvalidInput: too wide.
    """
    uow.require(Scope.COMPLIANCE)
    asked = to_disclose(uow.policy, member_id=member_id, scope=scope)
    if scope.region != HOME_REGION and scope.approval is None:
        why = reason("FOREIGN_AUTHORITY")
        uow.refuse(Denied("an authority abroad", reasons=(why,)), member=member_id, purpose=PURPOSE)
    approvals.use(uow, act=GuardedAct.DISCLOSURE, parameters=asked)
    named = {one.name for one in uow.policy.fields.values() if one.category in scope.categories}
    fields = tuple(sorted(named - set(uow.policy.purposes[PURPOSE].deny_fields)))
    permit = gate.permit(
        uow,
        member_id=member_id,
        purpose=PURPOSE,
        operation=Operation.REVEAL,
        fields=fields,
        categories=tuple(sorted(set(scope.categories))),
        reason=REASON,
        ticket=scope.ticket,
    )
    opened = vault.reveal(uow, permit, member_id=member_id, fields=fields) if fields else {}
    rows = _rows(uow, member_id, scope)
    disclosure = new_id("dis")
    uow.record(
        EventKind.DISCLOSURE_MADE,
        member=member_id,
        purpose=PURPOSE,
        refs={"disclosure": disclosure, "authority": scope.authority.value, "region": scope.region}
        | ({"approval": scope.approval} if scope.approval else {}),
        numbers={"fields": len(opened), "rows": sum(len(some) for some in rows.values())},
        ticket=scope.ticket,
    )
    return {
        "disclosure": disclosure,
        "authority": scope.authority.value,
        "ticket": scope.ticket,
        "made_at": uow.now.astimezone(SHANGHAI).isoformat(timespec="seconds"),
        "categories": sorted(set(scope.categories)),
        "period": asked.get("period"),
        "identity": opened,
        "facts": rows,
    }


def _rows(uow: UnitOfWork, member_id: MemberId, scope: DisclosureScope) -> Mapping[str, list[dict[str, object]]]:
    """Return what happened within the period, of the tables of the categories, and of no other."""
    tables = {table for name in scope.categories for table in uow.policy.categories[name].facts}
    if not tables or scope.since is None or scope.until is None:
        return {}
    first = datetime.combine(scope.since, datetime.min.time(), SHANGHAI)
    after = datetime.combine(scope.until + timedelta(days=1), datetime.min.time(), SHANGHAI)
    held = facts.of_subject(uow.home, vault.pseudonym_of(uow, member_id))
    return {
        table.value: [row for row in rows if first <= row[TIMES[table]] < after]  # type: ignore[operator] # an instant
        for table, rows in held.items()
        if table.value in tables
    }
