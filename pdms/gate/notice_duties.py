"""Notices that waited and are owed now: where secrecy or an emergency exempted a purpose from its notice (PIPL-18).

Guarantee: an exemption that has ended leaves a task in the log, which nobody can take out; the task is done when every
living member was shown a version of the notice that tells of the purpose, and until then it says how many were not.
Deliberately not here: the exemption itself, which is a line of the policy (`notice_exemption`), and the showing.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.consent.notices import DELIVERED, all_terms
from pdms.errors import Conflict, InvalidInput, NotFound
from pdms.taxonomy import Scope
from pdms.unit_of_work import UnitOfWork
from pdms.vault import service as vault

MOST = 1000
"""Tasks that are read, newest first."""


@dataclass(frozen=True, slots=True)
class NoticeDuty:
    """One notice that is owed."""

    event_id: str
    purpose: str
    notice: str
    since: datetime
    ticket: str
    to_be_told: int
    """Living members who were not shown it yet; 0: the task is done."""


def end_exemption(uow: UnitOfWork, *, purpose: str, notice: str, ticket: str) -> NoticeDuty:
    """Record that the reason for not telling has ended: from now on members are owed this notice. Returns the task.

    :raises NotFound: no such purpose or notice. :raises InvalidInput: NOT_EXEMPT, the purpose has no exemption;
    NOTICE_SILENT, no published version of the notice tells of it. :raises Conflict: DUTY_EXISTS.
    """
    uow.require(Scope.COMPLIANCE)
    found = uow.policy.purposes.get(purpose)
    if found is None or notice not in uow.policy.notices:
        raise NotFound("no such purpose, or no such notice")
    if found.notice_exemption is None:
        raise InvalidInput("purpose: the policy exempts it from no notice (PIPL-18)", code="NOT_EXEMPT")
    if not _telling(uow, purpose, notice):
        raise InvalidInput("notice: no published version tells of the purpose (PIPL-17-1)", code="NOTICE_SILENT")
    if any(duty.purpose == purpose and duty.notice == notice and duty.to_be_told for duty in notice_duties(uow)):
        raise Conflict("this notice is owed already", code="DUTY_EXISTS")
    refs = {"notice": notice, "policy": uow.policy.digest}
    event_id = uow.record(EventKind.NOTICE_OWED, purpose=purpose, refs=refs, ticket=ticket)
    return NoticeDuty(event_id, purpose, notice, uow.now, ticket, _untold(uow, purpose, notice))


def notice_duties(uow: UnitOfWork) -> tuple[NoticeDuty, ...]:
    """Return every notice that was owed after an exemption, newest first, with how many are still to be told."""
    uow.require(Scope.COMPLIANCE)
    page = audit.list_events(uow.session, kinds=[EventKind.NOTICE_OWED], limit=MOST)
    return tuple(
        NoticeDuty(
            event_id=one.event.event_id,
            purpose=one.event.purpose or "",
            notice=one.event.refs["notice"],
            since=one.event.at,
            ticket=one.event.ticket or "",
            to_be_told=_untold(uow, one.event.purpose or "", one.event.refs["notice"]),
        )
        for one in page.items
    )


def _telling(uow: UnitOfWork, purpose: str, notice: str) -> list[int]:
    terms = all_terms(uow.session).items()
    return [number for number, told in terms if told.notice_id == notice and purpose in told.purposes]


def _untold(uow: UnitOfWork, purpose: str, notice: str) -> int:
    # Deliveries of the erased are gone with them, and decoys count for nobody.
    decoys = list(vault.decoys(uow))
    shown = select(func.count(DELIVERED.c.member_id.distinct())).where(
        DELIVERED.c.notice_no.in_(_telling(uow, purpose, notice)), DELIVERED.c.member_id.not_in(decoys)
    )
    return vault.count(uow) - int(uow.session.connection().execute(shown).scalar_one())
