"""Looking members up and opening them, by operators: each with its event, which names fields and ids, never a value.

Guarantees: a look-up that finds nobody is in the log as well (guessing shows); what is found leaves after its event has
committed; a honey member among it raises an alarm, also where the opening itself is refused.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from pdms.access import approvals
from pdms.audit.catalogue import EventKind
from pdms.clock import SHANGHAI
from pdms.crypto import set_digest
from pdms.errors import Denied, InvalidInput, NotFound
from pdms.gate import service as gate
from pdms.ingest.normalise import normalise_value
from pdms.policy.definitions import SearchDefinition
from pdms.policy.permit import Permit
from pdms.taxonomy import AgeStage, GuardedAct, MemberId, Operation, Scope
from pdms.unit_of_work import UnitOfWork
from pdms.vault import service as vault
from pdms.vault.age import age_stage
from pdms.vault.searches import folded

_LAST_FOUR: Final = re.compile(r"[0-9]{3}[0-9X]")


def find_members(uow: UnitOfWork, *, field: str, value: str) -> tuple[MemberId, ...]:
    """Find members by an indexed field; `value` as a person writes it."""
    uow.require(Scope.SUPPORT, Scope.COMPLIANCE)
    definition = uow.policy.fields.get(field)
    if definition is None or definition.index is None:
        known = sorted(f.name for f in uow.policy.fields.values() if f.index)
        raise InvalidInput(f"field: look-up is by {', '.join(known)}")
    normalised = normalise_value(uow.policy, field=field, value=value, now=uow.now)
    found = tuple(vault.find(uow, index=definition.index, value=normalised))
    tell_looked_up(uow, found, by=(field,))
    return found


def search_members(
    uow: UnitOfWork, *, terms: Mapping[str, str], purpose: str, reason: str, ticket: str | None = None
) -> tuple[MemberId, ...]:
    """Find members by parts of their values, where the policy declares a search for it; all terms must fit.

    :param terms: name of a search → what a person wrote: four last digits, part of a name, a whole value.
    :raises Denied: not permitted, or this hour's reveals are used up. :raises InvalidInput: no such search, or a
        term says too little. :raises Conflict: SEARCH_NOT_BUILT.
    """
    uow.require(Scope.SUPPORT, Scope.COMPLIANCE)
    declared = uow.policy.searches
    if not terms or not set(terms) <= set(declared):
        raise InvalidInput(f"search: the policy declares {', '.join(sorted(declared)) or 'none'}", code="NO_SEARCH")
    asked = {name: _term(uow, declared[name], text) for name, text in terms.items()}
    fields = sorted({declared[name].field for name in terms})
    permit = gate.search_permit(uow, purpose=purpose, fields=fields, reason=reason, ticket=ticket)
    found = vault.search(uow, permit, terms=asked)
    tell_looked_up(uow, found, by=sorted(terms), permit=permit)
    return tuple(found)


def _term(uow: UnitOfWork, search: SearchDefinition, text: str) -> str:
    if search.form == "last_four":
        if _LAST_FOUR.fullmatch(text.strip()) is None:
            raise InvalidInput(f"{search.name}: four digits, or three and X", code="SEARCH_TERM")
        return text.strip()
    term = normalise_value(uow.policy, field=search.field, value=text, now=uow.now)
    if search.form == "bigrams" and len(folded(term)) < 2:
        raise InvalidInput(f"{search.name}: at least two characters", code="SEARCH_TERM")
    return term


def find_by_number(uow: UnitOfWork, *, system: str, number: str) -> MemberId | None:
    """Find the member to whom a system of the shop gave this number."""
    # First of all: whoever may not look at members shall not learn from the answer who is one.
    uow.require(Scope.SUPPORT, Scope.COMPLIANCE, Scope.MEMBER)
    found = vault.find_external(uow, system=system, external_id=number)
    tell_looked_up(uow, () if found is None else (found,), by=("external",))
    return found


def tell_looked_up(
    uow: UnitOfWork, found: Sequence[MemberId], *, by: Sequence[str], permit: Permit | None = None
) -> None:
    """Record one look-up: the member where there is one, a keyed digest where there are several."""
    uow.record(
        EventKind.MEMBER_LOOKED_UP,
        member=found[0] if len(found) == 1 else None,
        purpose=permit.purpose if permit else None,
        reasons=(permit.reason,) if permit and permit.reason else (),
        refs={"permit": permit.id} if permit else None,
        numbers={"found": len(found), **{f"by_{name}": 1 for name in by}},
        ticket=permit.ticket if permit else None,
        digest=set_digest(uow.keys.system_key("audit-digest"), found).hex() if len(found) > 1 else None,
    )
    vault.alarm(uow, found, act="look-up")


def to_reveal(*, member_id: MemberId, fields: Sequence[str], purpose: str) -> dict[str, str]:
    """Return what a second operator approves for `reveal` of a minor: parameters of GuardedAct.MINOR_REVEAL."""
    return {"member": member_id.hex(), "fields": ":".join(sorted(set(fields))), "purpose": purpose}


def _is_minor(uow: UnitOfWork, member_id: MemberId) -> bool:
    """Whether the member is known to be below 18; nobody else is told apart here, an unknown age included."""
    try:
        state = vault.state(uow, member_id)
    except NotFound:  # the gate says so
        return False
    today = uow.now.astimezone(SHANGHAI).date()
    return age_stage(state.turns_14, state.turns_18, today) in (AgeStage.CHILD, AgeStage.MINOR)


def reveal(
    uow: UnitOfWork,
    *,
    member_id: MemberId,
    fields: tuple[str, ...],
    purpose: str,
    reason: str,
    ticket: str | None = None,
) -> dict[str, str]:
    """Open fields of one member for a purpose and a reason: gate, Permit, event, then plaintext after the commit.

    A minor's are opened as another operator approved, once (MIN-36).

    :param reason: a code that the policy lists. :param ticket: such as CS-1024.
    :raises Denied: not permitted, not approved, or this hour's reveals are used up; the refusal is logged.
    """
    uow.require(Scope.SUPPORT, Scope.COMPLIANCE)
    if not fields:
        raise InvalidInput("fields: name at least one")
    try:
        if _is_minor(uow, member_id):
            asked = to_reveal(member_id=member_id, fields=fields, purpose=purpose)
            approvals.use(uow, act=GuardedAct.MINOR_REVEAL, parameters=asked)
        permit = gate.permit(
            uow,
            member_id=member_id,
            purpose=purpose,
            operation=Operation.REVEAL,
            fields=fields,
            reason=reason,
            ticket=ticket,
        )
        return vault.reveal(uow, permit, member_id=member_id, fields=fields)
    except Denied:  # the refusal is logged, and this unit's work undone; the alarm stands all the same
        vault.alarm(uow, [member_id], act="reveal-refused")
        uow.commit_intent()
        raise
