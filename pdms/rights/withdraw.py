"""Withdrawal, refusal and restriction: synchronous, self-service, binding from the next decision on (PIPL-15-1, 44).

Guarantee: by whatever door a no comes in (the member, staff, a link in a message, a file of the shop), its record, the
stale marks on releases and the queue of data that lost their last basis are committed together. It removes nothing
itself; `sweep` does, within the legal clock (PIPL-47-1).
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlmodel import col, select

from pdms.consent import service as consent
from pdms.consent.service import ConsentReceipt
from pdms.dispatch import service as dispatch
from pdms.dispatch.service import OptOutAnswer
from pdms.errors import InvalidInput
from pdms.gate import service as gate
from pdms.ingest import service as loading
from pdms.ingest.service import IngestReport
from pdms.policy.definitions import Policy
from pdms.publish import service as publish
from pdms.rights.clocks import due_on
from pdms.rights.intake import guard_member
from pdms.rights.tables import PurgeRow
from pdms.taxonomy import ConsentState, LawfulBasis, MemberId, Operation, RestrictionKind, Scope
from pdms.unit_of_work import UnitFactory, UnitOfWork

PATIENCE, PAUSE_SECONDS = 40, 0.1


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What a withdrawal did."""

    purpose: str
    receipts: tuple[str, ...]
    """Signed consent receipts (JSON), one for each recipient withdrawn from."""
    stale_releases: int
    queued: tuple[str, ...]
    """Fact tables whose data have lost their last basis and will be removed."""
    in_flight: bool
    """A message was being handed over when this was recorded and its outcome is not known: it may still arrive."""


def withdraw(
    uow: UnitOfWork, *, member_id: MemberId, purpose: str, recipient: str | None = None, channel: str = "web"
) -> Withdrawal:
    """Withdraw a consent (or refuse before ever giving it) and stop everything that stood on it.

    :raises NotFound: no such member. :raises InvalidInput: the purpose does not rest on consent; the text explains.
    """
    uow.require(Scope.MEMBER, Scope.SUPPORT, Scope.COMPLIANCE)
    uow.lock_anon_first()
    guard_member(uow, member_id)
    found = uow.policy.purposes.get(purpose)
    if found is None:
        raise InvalidInput("purpose: the policy knows none of that name")
    if not found.rests_on_consent:
        raise InvalidInput(
            f"purpose: it rests on {found.basis} ({found.article}), not on consent; restrict it or ask for deletion",
            code="NOT_CONSENT_BASED",
        )
    receipts = consent.withdraw(uow, member_id, purpose=purpose, recipient=recipient, channel=channel)
    stale = publish.mark_stale_for(uow, purpose=purpose)
    queued = queue_orphans(uow, member_id)
    in_flight = _settled(uow, member_id)
    return Withdrawal(purpose, tuple(receipt.to_json() for receipt in receipts), len(stale), queued, in_flight)


def express(
    uow: UnitOfWork, /, member_id: MemberId, *, purpose: str, state: ConsentState, **act: Any
) -> ConsentReceipt:
    """Record what a member says, a no with all that follows from it; returns the signed receipt.

    :param act: the rest of what `gate.record_consent` takes. :raises NotFound: no such member.
    :raises InvalidInput: a rule is broken; `code` names it.
    """
    if state not in consent.DECLINING:
        return gate.record_consent(uow, member_id, purpose=purpose, state=state, **act)
    uow.lock_anon_first()
    receipt = gate.record_consent(uow, member_id, purpose=purpose, state=state, **act)
    declined(uow, [(member_id, purpose)])
    _settled(uow, member_id)
    return receipt


def opt_out(uow: UnitOfWork, *, link: str) -> OptOutAnswer:
    """Use the random part of an opt-out link, as `dispatch.opt_out`; the answer is the same for every link."""
    uow.lock_anon_first()
    if (used := dispatch.opt_out(uow, link=link)) is not None:
        declined(uow, [used])
    return OptOutAnswer()


def ingest(units: UnitFactory, /, *, source: str, path: Path, **options: Any) -> IngestReport:
    """Load a file of a source, as `ingest.ingest`; whoever declined in it is treated as one who says so here."""
    return loading.ingest(units, source=source, path=path, declined=declined, **options)


def ingest_table(units: UnitFactory, /, *, source: str, address: str, table: str, **options: Any) -> IngestReport:
    """Take over a table, as `ingest.ingest_table`; whoever declined in it is treated as one who says so here."""
    return loading.ingest_table(units, source=source, address=address, table=table, declined=declined, **options)


def declined(uow: UnitOfWork, who: Iterable[tuple[MemberId, str]]) -> None:
    """Let follow what follows from each no, a member's to a purpose. Call in its unit, which began on the releases."""
    purposes: set[str] = set()
    collecting: set[MemberId] = set()
    for member_id, name in who:
        purposes.add(name)
        purpose = uow.policy.purposes.get(name)
        if purpose is not None and Operation.COLLECT in purpose.operations:  # another orphans nothing
            collecting.add(member_id)
    for name in sorted(purposes):
        publish.mark_stale_for(uow, purpose=name)
    for member_id in sorted(collecting):
        queue_orphans(uow, member_id)


def _settled(uow: UnitOfWork, member_id: MemberId) -> bool:
    """Commit, so that no further message is decided on, and wait for one under way; tell whether it may still be."""
    uow.commit_intent()
    return _under_way(uow, member_id)


def _under_way(uow: UnitOfWork, member_id: MemberId) -> bool:
    for _ in range(PATIENCE):
        under_way = dispatch.in_flight(uow, member_id=member_id)
        uow.commit_intent()  # let go of the database, or the sender could not note its outcome
        if not under_way:
            return False
        time.sleep(PAUSE_SECONDS)
    return True


def restrict(
    uow: UnitOfWork,
    *,
    member_id: MemberId,
    kind: RestrictionKind,
    purpose: str = "",
    channel: str = "",
    request: str = "",
) -> None:
    """Restrict, object, opt out of automated decisions, forbid contact, or exclude kin; "": all purposes or channels.

    :param request: id of the request that asks for it. :raises NotFound: no such member.
    """
    uow.require(Scope.MEMBER, Scope.SUPPORT, Scope.COMPLIANCE)
    uow.lock_anon_first()
    guard_member(uow, member_id)
    consent.restrict(uow, member_id, kind=kind, purpose=purpose, channel=channel, request=request)
    if kind is RestrictionKind.NO_KIN:  # it stops no use
        return
    publish.mark_stale_for(uow, purpose=purpose or None)


def lift(uow: UnitOfWork, *, member_id: MemberId, kind: RestrictionKind, purpose: str = "", channel: str = "") -> None:
    """Take a restriction back. :raises NotFound: no such member."""
    uow.require(Scope.MEMBER, Scope.SUPPORT, Scope.COMPLIANCE)
    guard_member(uow, member_id)
    consent.lift(uow, member_id, kind=kind, purpose=purpose, channel=channel)


def orphaned_tables(policy: Policy, given: frozenset[str]) -> tuple[str, ...]:
    """Return the fact tables that no purpose may collect any more, when only the consents `given` stand. Pure.

    A category keeps its data while some purpose may collect it, on a basis of its own or on a standing consent.
    """
    kept = {
        category
        for purpose in policy.purposes.values()
        if Operation.COLLECT in purpose.operations
        and (purpose.basis is not LawfulBasis.CONSENT or purpose.name in given)
        for category in purpose.categories
    }
    return tuple(
        sorted(table for name, category in policy.categories.items() if name not in kept for table in category.facts)
    )


def given_purposes(uow: UnitOfWork, member_id: MemberId) -> frozenset[str]:
    """Return the purposes to which the member's consent stands now."""
    states = consent.states(uow, member_id)
    return frozenset(purpose for (purpose, _), held in states.items() if held.state is ConsentState.GIVEN)


def queue_orphans(uow: UnitOfWork, member_id: MemberId) -> tuple[str, ...]:
    """Queue what has lost its last basis for removal within the legal clock; returns the fact tables."""
    tables = orphaned_tables(uow.policy, given_purposes(uow, member_id))
    known = set(uow.session.exec(select(PurgeRow.fact_table).where(col(PurgeRow.member_id) == member_id)))
    for table in tables:
        if table not in known:
            due = due_on(uow.now, calendars=uow.policy.calendars)
            uow.session.add(PurgeRow(member_id=member_id, fact_table=table, queued_at=uow.now, due_on=due))
    return tables
