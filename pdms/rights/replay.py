"""After a restore: what members decided since the backup is done again, from the rights ledger, before anything opens.

Guarantees: withdrawals and refusals stand again as of when they happened; restrictions are set and lifted in their
order; a member whose data were corrected is restricted, whatever was lifted since, for the ledger knows the field and
not the value; an erased member is erased again, over every store. Doing it twice changes nothing. What members allowed
since the backup is not done again: whoever restores asks anew. Nor does anybody know who read releases since: what was
live counts as read.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from sqlmodel import col, select

from pdms.audit.catalogue import EventKind
from pdms.consent import replay as consent
from pdms.errors import Conflict, InvalidInput, NotFound
from pdms.publish import service as publish
from pdms.rights import erase, intake
from pdms.rights.clocks import due_on, is_provisional
from pdms.rights.ledger import STOPPING, Line, Position, What, broken
from pdms.rights.tables import ErasureStepRow, SubjectRequestRow
from pdms.rights.withdraw import queue_orphans
from pdms.taxonomy import MemberId, RequestState, RequestType, RestrictionKind, Scope, new_id
from pdms.unit_of_work import UnitFactory, UnitOfWork
from pdms.vault import service as vault
from pdms.views import copies

BATCH = 200
BY_LEDGER = "RIGHTS_LEDGER"
"""How the requester's identity was checked: before, as the ledger shows."""
_NEEDS_A_KEY = "hold"
"""The step that opens the member: what the law keeps is saved, and what stops a re-import is written."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was done again, by count. `without_key`: erased members of whom nothing could be opened any more."""

    lines: int
    withdrawals: int
    refusals: int
    restrictions_set: int
    restrictions_lifted: int
    corrections_restricted: int
    """Members whose data were corrected."""
    erasures: int
    without_key: int
    absent: int
    """Lines of members whom the backup does not hold."""
    skipped: int
    """Restrictions of a purpose that the policy has dropped."""
    invalidations: int = 0


def check(lines: Iterable[Line], *, backup: Position, newest: int) -> int:
    """Tell whether a ledger goes on from a backup and is not older than a checkpoint; return its last number.

    :param lines: all of the ledger. :param backup: where the ledger stood when the backup was made.
    :param newest: leaves of the newest checkpoint that the caller knows.
    :raises IntegrityBroken: LEDGER_BROKEN: it is the ledger of another home, or was rewritten.
    :raises Conflict: LEDGER_STALE: rights that were used later may be missing from it.
    """
    number = size = 0
    for line in lines:
        number, size = line.number, max(size, line.size)
        if number == backup.number and line.mac != backup.mac:
            raise broken()
    if number < backup.number:
        raise Conflict("rights ledger: older than the backup", code="LEDGER_STALE")
    if size < newest:
        raise Conflict("rights ledger: older than the newest checkpoint", code="LEDGER_STALE")
    return number


def replay(units: UnitFactory, lines: Iterable[Line], *, progress: Callable[[str], None] = lambda _: None) -> Replayed:
    """Do again what the lines say. :param lines: those that came after the backup, in order."""
    with units() as uow:
        uow.require(Scope.ADMIN)
        uow.lock_anon_first()
        copies.presume_taken(uow)  # while what was live in the backup still is
    counts = dict.fromkeys((*What, "lines", "without_key", "absent", "skipped"), 0)
    erased: dict[MemberId, Line] = {}
    corrected: dict[MemberId, Line] = {}
    coming = iter(lines)
    while some := list(islice(coming, BATCH)):
        with units() as uow:
            uow.lock_anon_first()
            for line in some:
                counts["lines"] += 1
                if line.what is What.ERASURE and line.member_id is not None:
                    erased[line.member_id] = line
                elif line.what is What.CORRECTION and line.member_id is not None:
                    corrected[line.member_id] = line
                elif line.member_id is not None:
                    counts[_again(uow, line, line.member_id)] += 1
            publish.mark_stale_for(uow, purpose=None)
    waiting = iter(corrected.items())
    while late := list(islice(waiting, BATCH)):  # after every line: a lift of then was of the value that was right
        with units() as uow:
            for member, line in late:
                counts[_restrict_corrected(uow, line, member)] += 1
    for number, (member, line) in enumerate(erased.items(), 1):
        progress(f"erasure {number} of {len(erased)}")
        counts[_erase_again(units, member, request=line.request, at=line.at)] += 1
    with units() as uow:  # erasures that the backup caught half-way; the sweep goes on with them
        under_way = select(SubjectRequestRow).where(
            col(SubjectRequestRow.type) == RequestType.DELETION.value,
            col(SubjectRequestRow.state) == RequestState.EXECUTING.value,
        )
        for row in uow.session.exec(under_way).all():
            counts["without_key"] += _pass_over(uow, row.request_id, MemberId(row.member_id))
    return Replayed(
        lines=counts["lines"],
        withdrawals=counts[What.WITHDRAWAL],
        refusals=counts[What.REFUSAL],
        invalidations=counts[What.INVALIDATION],
        restrictions_set=counts[What.RESTRICTION_SET],
        restrictions_lifted=counts[What.RESTRICTION_LIFTED],
        corrections_restricted=counts[What.CORRECTION],
        erasures=counts[What.ERASURE] + counts["without_key"],
        without_key=counts["without_key"],
        absent=counts["absent"],
        skipped=counts["skipped"],
    )


def _again(uow: UnitOfWork, line: Line, member: MemberId) -> str:
    """Do one line again; return under what it counts."""
    if not _held(uow, member):
        return "absent"
    state = STOPPING.get(line.what)
    if state is not None:
        consent.stop_again(uow, consent.Stop(0, member, line.purpose, line.recipient, state, line.at))
        queue_orphans(uow, member)
    elif line.what in (What.RESTRICTION_SET, What.RESTRICTION_LIFTED):
        kind, active = RestrictionKind(line.restriction), line.what is What.RESTRICTION_SET
        change = consent.RestrictionChange(0, member, kind, line.purpose, line.channel, active, line.at)
        try:
            consent.restriction_again(uow, change)
        except InvalidInput:
            return "skipped"
    return line.what  # an opt-out's own effect, a withdrawal or a restriction, has the next line


def _restrict_corrected(uow: UnitOfWork, line: Line, member: MemberId) -> str:
    """Restrict a member whose value is the old, wrong one again; return under what it counts."""
    if not _held(uow, member):
        return "absent"
    whole = consent.RestrictionChange(0, member, RestrictionKind.RESTRICTION, "", "", True, line.at)
    consent.restriction_again(uow, whole)
    return line.what


def _held(uow: UnitOfWork, member: MemberId) -> bool:
    try:
        vault.state(uow, member)
    except NotFound:
        return False
    return True


def _erase_again(units: UnitFactory, member: MemberId, *, request: str, at: datetime) -> str:
    with units() as uow:
        if not _held(uow, member):
            # The keys were copied last, so that the key of a member who came later may be here.
            uow.keys.fence([member])
            uow.keys.destroy([member])
            return "absent"
        request = request or new_id("req")
        row = uow.session.get(SubjectRequestRow, request)
        if row is None:
            due = due_on(at, calendars=uow.policy.calendars)
            row = SubjectRequestRow(
                request_id=request,
                number=intake.next_number(uow),
                member_id=member,
                type=RequestType.DELETION.value,
                state=RequestState.EXECUTING.value,
                received_at=at,
                due_on=due,
                due_provisional=is_provisional(at, due, calendars=uow.policy.calendars),
                identity_method=BY_LEDGER,
            )
        row.state = RequestState.EXECUTING.value
        uow.session.add(row)
        uow.record(EventKind.ERASE_INTENT, member=member, refs={"request": request})
        keyless = _pass_over(uow, request, member)
    erase.execute(units, request_id=request)
    return "without_key" if keyless else What.ERASURE


def _pass_over(uow: UnitOfWork, request: str, member: MemberId) -> bool:
    """Tell whether a member's key is gone, and if so acknowledge the steps that need it.

    It was destroyed between the copies of the data and of the keys: what needs plaintext can be done by nobody. What
    stops a silent re-import is made from the index digests that are left.
    """
    if uow.keys.deks([member]):
        return False
    if uow.session.get(ErasureStepRow, (request, _NEEDS_A_KEY)) is None:
        vault.suppress_keyless(uow, member)
        uow.session.add(ErasureStepRow(request_id=request, step=_NEEDS_A_KEY, done_at=uow.now, counts="{}"))
    return True
