"""Key epochs: a new root for all living keys, and the end of the old root; with it, of what old backups can open.

Guarantees: what is about to be done is in the log before it is done, and what was done after it; cut off anywhere, the
same command (or the sweep) goes on; readers and writers are served meanwhile. No root is destroyed while a key that is
needed hangs on it, and none that is not confirmed by its number.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.audit.events import Outcome
from pdms.crypto import RootsOf, successor_uri
from pdms.errors import Conflict, InvalidInput, KeyUnavailable
from pdms.keystore import KeyStore
from pdms.keystore import rotation as keys
from pdms.keystore.walks import begin_walk, end_walk, walk_of
from pdms.taxonomy import Scope
from pdms.unit_of_work import UnitFactory, UnitOfWork

EPOCH = "epoch"
Progress = Callable[[int, int], None]
"""Told (done, total) keys after each batch."""


@dataclass(frozen=True, slots=True)
class EpochPlan:
    """What a rotation would do."""

    epoch: int
    """The epoch under which keys will be wrapped."""
    begins: bool
    """False: that epoch was begun by a run that was cut off, or still has keys to take over."""
    members: int
    system: int
    held_months: int


@dataclass(frozen=True, slots=True)
class EpochRotated:
    """What a rotation did."""

    epoch: int
    root: str
    begun: bool
    members: int
    system: int
    held_months: int
    to_destroy: tuple[int, ...]
    """Older epochs on which nothing hangs any more: `pdms keys destroy` ends what their backups open."""


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """An epoch that was ended."""

    epoch: int
    root: str
    horizon: bool
    """False: the root is not ours to destroy; remove it, and every copy, yourself."""
    purged: bool
    """False: another process held the file; destroyed keys leave it with the next rewriting."""


def store_of(uow: UnitOfWork) -> KeyStore:
    """Return the key store behind a unit's keys."""
    return cast("KeyStore", uow.keys)


def plan_epoch(uow: UnitOfWork) -> EpochPlan:
    """Count what a rotation of the epoch would do; nothing is changed."""
    uow.require(Scope.ADMIN)
    store = store_of(uow)
    newest, unfinished = keys.newest(store), _unfinished(store)
    some = [one for one in keys.counts(store) if one.epoch != newest or not unfinished]
    return EpochPlan(
        newest if unfinished else max(one.id for one in store.epochs()) + 1,
        not unfinished,
        sum(one.members for one in some),
        sum(one.system for one in some),
        sum(one.held_months for one in some),
    )


def rotate_epoch(
    units: UnitFactory, *, root_uri: str | None = None, progress: Progress | None = None, batch: int = keys.BATCH
) -> EpochRotated:
    """Wrap every living key under a new root, or go on with a rotation that was cut off.

    Cut off anywhere, the same command goes on: a root that was made and has no epoch yet is taken, none is made twice.

    :param root_uri: where the new root is made; default: beside the old one, under a new name.
    :raises InvalidInput: `ROOT_NEEDED`: the scheme of the old root has no default place for the next.
    :raises Conflict: `ROOT_EXISTS`, `ROOT_IN_USE`. :raises KeyUnavailable: a root cannot be made or reached.
    """
    with units() as uow:
        uow.require(Scope.ADMIN)
        store = store_of(uow)
        current = _newest_root(store)
        begins = not _unfinished(store) or (root_uri not in (None, current) and not keys.any_left(store))
    if begins:
        _begin(units, store, root_uri)
    elif root_uri not in (None, current):
        raise Conflict("rotation: an earlier one is to be finished first, without --root", code="ROTATION_RUNNING")
    members, system, held = _rewrap(units, store, progress, batch)
    _end_walk(units, store)
    newest = keys.newest(store)
    states = {one.id: one for one in store.epochs()}
    return EpochRotated(
        newest, states[newest].root_uri, begins, members, system, held,
        tuple(n for n, one in states.items() if n != newest and one.destroyed_at is None),
    )  # fmt: skip


def _newest_root(store: KeyStore) -> str:
    return [one.root_uri for one in store.epochs() if one.destroyed_at is None][-1]


def _unfinished(store: KeyStore) -> bool:
    """Tell whether the newest epoch still has keys to take over, or the run that began it did not come to its end."""
    walk = walk_of(store.engine, EPOCH)
    return keys.any_left(store) or (walk is not None and walk.target == _newest_root(store))


def _end_walk(units: UnitFactory, store: KeyStore) -> None:
    with units() as uow:
        now = uow.now
    with store.engine.begin() as connection:
        end_walk(connection, EPOCH, now=now)


def _begin(units: UnitFactory, store: KeyStore, root_uri: str | None) -> None:
    if store.roots is None:
        raise KeyUnavailable("root key: this key store cannot make roots", code="ROOT_UNREACHABLE")
    states = store.epochs()
    number = states[-1].id + 1
    walk = walk_of(store.engine, EPOCH)
    noted = walk.target if walk is not None and all(one.root_uri != walk.target for one in states) else None
    uri = root_uri or noted or successor_uri(states[-1].root_uri, epoch=number)
    if uri is None:
        raise InvalidInput("root: name the new root's URI, pdms makes none of this scheme", code="ROOT_NEEDED")
    if any(one.root_uri == uri for one in states):
        raise Conflict("root key: an epoch has it already; a new epoch takes a new root", code="ROOT_IN_USE")
    if uri != noted:
        _refuse_existing(store.roots, uri, epoch=number)
        with units() as uow:
            uow.record(EventKind.KEY_EPOCH_CREATED, outcome=Outcome.INTENDED, numbers={"epoch": number})
            now = uow.now
        with store.engine.begin() as connection:
            begin_walk(connection, EPOCH, now=now, target=uri)
    try:
        root = store.roots.create(uri, suite=store.suite.name)
    except Conflict as error:
        if error.code != "ROOT_EXISTS" or uri != noted:
            raise
        root = store.roots.open(uri)  # made by the run that noted it and was cut off before the epoch's row
    with units() as uow:
        begun = keys.begin(store, root=root, now=uow.now)
        uow.record(EventKind.KEY_EPOCH_CREATED, numbers={"epoch": begun})


def _refuse_existing(roots: RootsOf, uri: str, *, epoch: int) -> None:
    """Before it is noted as ours to make. Where pdms makes no roots (`env:`) it is there already, and taken."""
    if successor_uri(uri, epoch=epoch) is None:
        return
    try:
        roots.reach(uri)
    except KeyUnavailable as error:
        if error.code == "ROOT_MISSING":
            return
        raise
    raise Conflict("root key: there is one already", code="ROOT_EXISTS")


def _rewrap(units: UnitFactory, store: KeyStore, progress: Progress | None, batch: int) -> tuple[int, int, int]:
    total, members, system, held = keys.left(store), 0, 0, 0
    while keys.any_left(store):  # again, since a process that had not seen the new epoch may have minted under the old
        after: int | bytes | None = None
        while True:
            with units() as uow:
                done, after = keys.rewrap_some(store, batch=batch, after=after)
                if done:
                    some = done.members + done.coming
                    numbers = {"members": some, "system": done.system, "held_months": done.held_months}
                    uow.record(EventKind.KEY_ROTATED, refs={"what": "epoch"}, numbers=numbers)
            members, system, held = members + done.members + done.coming, system + done.system, held + done.held_months
            if progress is not None:
                progress(members + system + held, total)
            if not done.members:
                break
    return members, system, held


def take_over(units: UnitFactory) -> None:
    """Note, in a home just made from a backup, that every root in it is the other home's, too.

    So is a root that a rotation had noted and not put in place when the backup was made: it is not ours to take.
    """
    with units() as uow:
        uow.require(Scope.ADMIN)
        store, now = store_of(uow), uow.now
    keys.share(store, now=now)
    walk = walk_of(store.engine, EPOCH)
    if walk is not None and all(one.root_uri != walk.target for one in store.epochs()):
        _end_walk(units, store)


def destroy_epoch(units: UnitFactory, *, epoch: int, other_home_gone: bool = False) -> EpochEnded:
    """Destroy the root of an epoch, and the epoch's key: whatever still hangs on it, in any backup, is lost for good.

    :param other_home_gone: of an epoch that a restore took over: whoever asks knows that the home which the backup is
        of is needed no more; without it that home's root is not destroyed.
    :raises NotFound: no such epoch. :raises Conflict: `EPOCH_ENDED`, `EPOCH_NEWEST`, `EPOCH_IN_USE`, `ROOT_SHARED`.
    :raises KeyUnavailable: the root cannot be reached; nothing was destroyed.
    """
    with units() as uow:
        uow.require(Scope.ADMIN)
        store = store_of(uow)
        keys.check_end(store, epoch, other_home_gone=other_home_gone)
        uri = next(one.root_uri for one in store.epochs() if one.id == epoch)
        uow.record(EventKind.KEY_EPOCH_DESTROYED, outcome=Outcome.INTENDED, numbers={"epoch": epoch})
    with units() as uow:
        horizon = keys.end(store, epoch, now=uow.now, other_home_gone=other_home_gone)
        uow.record(EventKind.KEY_EPOCH_DESTROYED, numbers={"epoch": epoch, "horizon": int(horizon)})
    try:
        store.purge()
        purged = True
    except Conflict:
        purged = False
    return EpochEnded(epoch, uri, horizon, purged)


def resume_epochs(units: UnitFactory) -> int:
    """Finish what was cut off: keys not yet under the newest epoch, ends begun, and ends the log does not tell.

    An end whose root is out of reach waits for the next time; one of a root that another home may hang on, for whoever
    says that none does.

    :return: keys wrapped anew.
    """
    with units() as uow:
        uow.require(Scope.ADMIN, Scope.COMPLIANCE)
        store = store_of(uow)
        for number in keys.endings(store):
            with suppress(KeyUnavailable, Conflict):  # Conflict: another process has just ended it, or ROOT_SHARED
                keys.end(store, number, now=uow.now)
        ended = [one.id for one in store.epochs() if one.destroyed_at is not None]
        told = audit.list_events(uow.session, kinds=[EventKind.KEY_EPOCH_DESTROYED], limit=1000).items if ended else ()
        known = {item.event.numbers.get("epoch") for item in told if item.event.outcome is Outcome.DONE}
        for number in ended:
            if number not in known:
                uow.record(EventKind.KEY_EPOCH_DESTROYED, numbers={"epoch": number})
    done = sum(_rewrap(units, store, None, keys.BATCH)) if keys.any_left(store) else 0
    if _unfinished(store):
        _end_walk(units, store)
    return done
