"""New data keys for members: their fields are sealed anew under them; and the other suite, which needs other keys.

Order for each batch, so that every crash point is safe: the coming key is durable before anything is sealed under it,
the old key is destroyed after nothing is; in between the member has both and opens with either. Guarantees: resumable
by the same command, which first finishes the members who have two keys and renews nobody twice; every other process
reads and writes on.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pdms.audit.catalogue import EventKind
from pdms.audit.events import Outcome
from pdms.crypto import SuiteName
from pdms.keystore import member_keys as keys
from pdms.keystore.walks import Walk, begin_walk, end_walk, walk_of
from pdms.rotation.epochs import Progress, store_of
from pdms.taxonomy import MemberId, Scope
from pdms.unit_of_work import UnitFactory, UnitOfWork
from pdms.vault import service as vault

BATCH = 500
"""Members a transaction: sealing a member anew costs some hundred microseconds, and others wait for the lock."""
DEKS = "deks"


@dataclass(frozen=True, slots=True)
class DekPlan:
    """What a rotation of members' keys would do."""

    members: int
    begun: int
    """Members with two keys, left by a run that was cut off."""
    suite: SuiteName


@dataclass(frozen=True, slots=True)
class DeksRotated:
    """What a rotation of members' keys did."""

    members: int
    suite: SuiteName
    left: int
    """Members who still have a key for another suite: made meanwhile by a process that did not know yet."""


def plan_deks(uow: UnitOfWork, *, suite: SuiteName | None = None) -> DekPlan:
    """Count what `rotate_deks` would do. :param suite: only members whose key is for another suite."""
    uow.require(Scope.ADMIN)
    store = store_of(uow)
    to = suite or store.suite.name
    members = keys.count_stale(store, until=None if suite else uow.now, suite=to)
    return DekPlan(members, keys.count_coming(store), to)


def rotate_deks(
    units: UnitFactory, *, suite: SuiteName | None = None, progress: Progress | None = None, batch: int = BATCH
) -> DeksRotated:
    """Seal every member anew under a new key, or go on with a rotation that was cut off.

    :param suite: put this suite in force, and renew only the keys that are for another one.
    """
    with units() as uow:
        uow.require(Scope.ADMIN)
        store, now = store_of(uow), uow.now
        what = {"what": "suite" if suite else "deks"}
        uow.record(EventKind.KEY_ROTATED, outcome=Outcome.INTENDED, refs=what)
    if suite is not None and store.suite.name is not suite:
        keys.choose_suite(store, suite, now=now)
    store.system.look()
    to = store.suite.name
    until = _until(units, suite)
    # Instants of keys are whole seconds: what is minted in the second of the beginning is to be told from what was.
    minted = max(now, until + timedelta(seconds=1)) if until is not None else now
    total, done, after = keys.count_stale(store, until=until, suite=to), 0, b""
    for members in iter(lambda: keys.coming(store, limit=batch), []):
        if not _renewed(units, members):
            break
        done += len(members)
    while members := keys.stale(store, until=until, suite=to, after=after, limit=batch):
        keys.mint_next(store, members, now=minted)
        done += _renewed(units, members)
        after = members[-1]
        if progress is not None:
            progress(done, total)
    with units() as uow:
        uow.record(EventKind.KEY_ROTATED, refs=what, numbers={"members": done})
    if suite is None:  # last: cut off before it, the same command finds nothing to do, and renews nobody again
        with store.engine.begin() as connection:
            end_walk(connection, DEKS, now=now)
    return DeksRotated(done, to, keys.count_stale(store, until=None, suite=to))


def _until(units: UnitFactory, suite: SuiteName | None) -> datetime | None:
    """Return until when keys must have been minted to be renewed: that of the run that is gone on with, else now."""
    if suite is not None:
        return None
    with units() as uow:
        store, now = store_of(uow), uow.now
    walk: Walk | None = walk_of(store.engine, DEKS)
    if walk is not None:
        return walk.started_at
    until = max(now, keys.last_minted(store) or now)  # all that there are, also where a clock was ahead
    with store.engine.begin() as connection:
        begin_walk(connection, DEKS, now=until)
    return until


def _renewed(units: UnitFactory, members: list[MemberId]) -> int:
    with units() as uow:
        store = store_of(uow)
        done = vault.reseal(uow, members)
        if done:
            uow.record(EventKind.KEY_ROTATED, refs={"what": "deks"}, numbers={"members": len(done)})
    return keys.promote(store, done)
