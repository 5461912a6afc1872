"""What time makes due and what a crash left open. Safe to run at any moment, as often as wanted.

It finishes interrupted requests, publications, sends and rotations of keys; removes what lost its last basis;
expires releases, links and held months; drops keys whose member never arrived and facts whose pseudonym leads to
nobody; tells the log of requests past their due date, and sequences it.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import col, delete, select

from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.clock import SHANGHAI
from pdms.db import checkpoint_and_vacuum
from pdms.dispatch import service as dispatch
from pdms.errors import Conflict, PdmsError
from pdms.facts import service as facts
from pdms.facts.names import FactTable
from pdms.gate import service as gate
from pdms.publish import service as publish
from pdms.rights import execute, held, ledger, packages
from pdms.rights.clocks import due_on, is_provisional
from pdms.rights.machine import OPEN
from pdms.rights.tables import PurgeRow, SubjectRequestRow
from pdms.rights.withdraw import given_purposes, orphaned_tables
from pdms.rotation import service as rotation
from pdms.taxonomy import MemberId, RequestState, RequestType, Scope
from pdms.unit_of_work import Actor, UnitFactory, UnitOfWork
from pdms.vault import service as vault
from pdms.views import service as views

ORPHAN_AGE = timedelta(days=1)
"""A key this old whose member is not in the vault belongs to an ingest that died."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did, by count."""

    erasures_finished: int
    requests_finished: int
    """Of other kinds."""
    requests_left: int
    """Begun and cut off, and something is still in their way; the next sweep tries again."""
    publications_closed: int
    sends_closed: int
    purged_tables: int
    releases_expired: int
    packages_dropped: int
    held_expired: int
    keys_dropped: int
    facts_orphaned: int
    ages_settled: int
    overdue_told: int
    """Requests found past their due date; each is told of once."""
    due_dates_provisional: int
    """Open requests whose day rests on a year whose calendar is unpublished."""
    rotations_finished: int
    """Rotations of keys that a command began and did not end."""


def sweep(units: UnitFactory) -> Swept:
    """Run everything once. :raises Denied: the actor is neither administrator nor compliance officer."""
    with units() as uow:
        uow.require(Scope.ADMIN, Scope.COMPLIANCE)
    units = _as_system(units)
    erased, finished, left = _finish_requests(units)
    closed = publish.close_open_intents(units)
    sends = dispatch.close_open_intents(units)
    done = Swept(
        erased,
        finished,
        left,
        len(closed.abandoned) + len(closed.completed),
        sends,
        _in_unit(units, _purge_orphaned),
        _in_unit(units, lambda uow: len(views.expire(uow))),
        _in_unit(units, packages.drop_expired),
        _in_unit(units, _expire_held),
        _in_unit(units, _drop_keys),
        _in_unit(units, _drop_facts),
        _in_unit(units, vault.settle_ages),
        _in_unit(units, _tell_overdue),
        _in_unit(units, _count_again),
        len(rotation.resume(units)),
    )
    _in_unit(units, gate.settle_sets)
    if done.held_expired:
        _purge_held(units)
    with units() as uow:
        uow.lock_anon_first()
        views.remove_data(uow)
        uow.record(EventKind.SWEEP_CLOSED, numbers={"erasures": erased, "sends": sends})
    with units() as uow:
        audit.sequence(uow.session, signer=uow.log_signer, now=uow.now)
    with units() as uow:
        key = uow.keys.system_key(ledger.LABEL)
        ledger.extend(uow.session, path=uow.home.rights_ledger, key=key, now=uow.now, mark=True)
    return done


def _as_system(units: UnitFactory) -> UnitFactory:
    """Scheduled work acts as the system: whoever may start it need not be allowed what it finishes."""

    def unit() -> UnitOfWork:
        uow = units()
        uow.actor = Actor.system()
        return uow

    return unit


def _finish_requests(units: UnitFactory) -> tuple[int, int, int]:
    """Go on with every request that was begun and cut off; return erasures and others finished, and those left.

    Access requests wait for whoever asks again: their link would go to nobody.
    """
    with units() as uow:
        query = select(SubjectRequestRow.request_id, SubjectRequestRow.type).where(
            col(SubjectRequestRow.state) == RequestState.EXECUTING.value,
            col(SubjectRequestRow.type) != RequestType.ACCESS.value,
        )
        begun = uow.session.exec(query).all()
    done: Counter[bool] = Counter()
    for request_id, kind in begun:
        try:
            execute.execute(units, request_id=request_id)
        except PdmsError:  # one that cannot go on now must not hold up all that is due
            continue
        done[kind == RequestType.DELETION] += 1
    return done[True], done[False], len(begun) - done.total()


def _in_unit(units: UnitFactory, work: Callable[[UnitOfWork], int]) -> int:
    with units() as uow:
        uow.lock_anon_first()
        return work(uow)


def _purge_orphaned(uow: UnitOfWork) -> int:
    rows = uow.session.exec(select(PurgeRow)).all()
    done = 0
    for row in rows:
        member = MemberId(row.member_id)
        # Consent may have been given anew since it was queued.
        if row.fact_table in orphaned_tables(uow.policy, given_purposes(uow, member)):
            pseudonym = vault.pseudonyms_of(uow, [member]).get(member)
            if pseudonym is not None:
                facts.erase(uow.home, [pseudonym], tables=[FactTable(row.fact_table)])
                done += 1
        uow.session.exec(
            delete(PurgeRow).where(col(PurgeRow.member_id) == member, col(PurgeRow.fact_table) == row.fact_table)
        )
    return done


def _tell_overdue(uow: UnitOfWork) -> int:
    today = uow.now.astimezone(SHANGHAI).date()
    query = select(SubjectRequestRow).where(
        col(SubjectRequestRow.state).in_([state.value for state in OPEN]), col(SubjectRequestRow.due_on) < today
    )
    told = 0
    for row in uow.session.exec(query).all():
        member = MemberId(row.member_id)
        known = audit.list_events(uow.session, kinds=[EventKind.REQUEST_OVERDUE], member_id=member.hex(), limit=1000)
        if all(item.event.refs.get("request") != row.request_id for item in known.items):
            days = (today - row.due_on).days
            refs = {"request": row.request_id, "type": row.type}
            uow.record(EventKind.REQUEST_OVERDUE, member=member, refs=refs, numbers={"days": days})
            told += 1
    return told


def _expire_held(uow: UnitOfWork) -> int:
    today = uow.now.astimezone(SHANGHAI).date()
    months = [month.month for month in held.months(uow) if month.month < f"{today:%Y-%m}"]
    for month in months:
        uow.keys.destroy_held_month(month)
    return held.expire(uow, today=today)


def _purge_held(units: UnitFactory) -> None:
    """Rewrite both files: a destroyed key and what it opened would lie in their logs side by side."""
    with units() as uow:
        try:
            uow.keys.purge()
            checkpoint_and_vacuum(uow.held_engine)
        except Conflict:  # in use; the keys' bytes go with the next rewriting
            return


def _count_again(uow: UnitOfWork) -> int:
    """Count provisional due dates again where the calendar has come; a day once told is not put off."""
    calendars, left = uow.policy.calendars, 0
    query = select(SubjectRequestRow).where(
        col(SubjectRequestRow.due_provisional), col(SubjectRequestRow.state).in_([state.value for state in OPEN])
    )
    for row in uow.session.exec(query):
        due = due_on(row.received_at, calendars=calendars)
        if is_provisional(row.received_at, due, calendars=calendars):
            left += 1
            continue
        row.due_on, row.due_provisional = min(row.due_on, due), False
        uow.session.add(row)
    return left


def _drop_keys(uow: UnitOfWork) -> int:
    before = uow.now - ORPHAN_AGE
    known = {row[0] for row in vault.state_rows(uow)}
    orphans = [member for member in uow.keys.member_ids(minted_before=before) if member not in known]
    return uow.keys.drop_orphans(orphans, minted_before=before) if orphans else 0


def _drop_facts(uow: UnitOfWork) -> int:
    try:
        found = facts.pseudonyms(uow.home)
    except Conflict:  # a load is writing; the next sweep looks again
        return 0
    orphans = found - set(vault.members_of(uow, found))
    if orphans:
        facts.erase(uow.home, orphans)
    return len(orphans)
