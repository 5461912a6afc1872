"""What time makes due and what a crash left open. Safe to run at any moment, as often as wanted.

It finishes interrupted erasures, publications and sends; removes what lost its last basis; expires releases, links and
held months; drops keys whose member never arrived and facts whose pseudonym leads to nobody; sequences the log.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import col, delete, select

from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.clock import SHANGHAI
from pdms.dispatch import service as dispatch
from pdms.errors import Conflict
from pdms.facts import service as facts
from pdms.facts.names import FactTable
from pdms.publish import service as publish
from pdms.rights import erase, held, ledger, packages
from pdms.rights.tables import PurgeRow, SubjectRequestRow
from pdms.rights.withdraw import given_purposes, orphaned_tables
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
    publications_closed: int
    sends_closed: int
    purged_tables: int
    releases_expired: int
    packages_dropped: int
    held_expired: int
    keys_dropped: int
    facts_orphaned: int
    ages_settled: int


def sweep(units: UnitFactory) -> Swept:
    """Run everything once. :raises Denied: the actor is neither administrator nor compliance officer."""
    with units() as uow:
        uow.require(Scope.ADMIN, Scope.COMPLIANCE)
    units = _as_system(units)
    erased = len(finish_erasures(units))
    closed = publish.close_open_intents(units)
    sends = dispatch.close_open_intents(units)
    done = Swept(
        erased,
        len(closed.abandoned) + len(closed.completed),
        sends,
        _in_unit(units, _purge_orphaned),
        _in_unit(units, lambda uow: len(views.expire(uow))),
        _in_unit(units, packages.drop_expired),
        _in_unit(units, _expire_held),
        _in_unit(units, _drop_keys),
        _in_unit(units, _drop_facts),
        _in_unit(units, vault.settle_ages),
    )
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


def finish_erasures(units: UnitFactory) -> tuple[str, ...]:
    """Go on with every erasure that was begun and cut off; returns their receipts."""
    with units() as uow:
        uow.require(Scope.SUPPORT, Scope.COMPLIANCE, Scope.ADMIN)
        query = select(SubjectRequestRow.request_id).where(
            col(SubjectRequestRow.type) == RequestType.DELETION.value,
            (col(SubjectRequestRow.state) == RequestState.EXECUTING.value)
            | (
                col(SubjectRequestRow.state).in_([RequestState.FULFILLED.value, RequestState.PARTIAL.value])
                & col(SubjectRequestRow.receipt).is_(None)
            ),
        )
        open_ones = uow.session.exec(query).all()
    return tuple(erase.execute(units, request_id=request_id) for request_id in open_ones)


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


def _expire_held(uow: UnitOfWork) -> int:
    today = uow.now.astimezone(SHANGHAI).date()
    months = [month.month for month in held.months(uow) if month.month < f"{today:%Y-%m}"]
    for month in months:
        uow.keys.destroy_held_month(month)
    return held.expire(uow, today=today)


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
