"""The state of the key store, for administrators: counts and places, never a key."""

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from pdms.crypto import SuiteName
from pdms.keystore import KeyStore, member_keys, rotation, suites
from pdms.keystore.walks import walk_of
from pdms.rotation import service as horizons
from pdms.taxonomy import Scope
from pdms.unit_of_work import UnitOfWork
from pdms.vault import service as vault


@dataclass(frozen=True, slots=True)
class KeyOverview:
    """What may be known of the keys."""

    root: str
    """Of the newest epoch."""
    epoch: int
    member_keys: int
    erasure_horizon: str
    """Of members who are erased now."""


@dataclass(frozen=True, slots=True)
class Resealing:
    """What is not yet under the newest keys: a rotation goes on, was cut off, or is to be asked for."""

    suite: SuiteName
    """In force."""
    other_suite: int
    """Members whose key is for another suite: `pdms keys rotate suite`."""
    between_keys: int
    """Members with two keys, whose fields are being sealed anew."""
    older_epoch: int
    """Keys that hang on an older epoch: `pdms keys rotate epoch` goes on."""
    unindexed: int
    """Members that a rotation of the index keys has not come to yet."""
    shallow: int
    """Suppression entries without the newest key around them."""
    other_mac: int
    """Uses of keys (indexes, searches, suppression) whose MAC is of another suite: `pdms keys rotate suite` goes on."""
    other_wraps: int
    """System keys that are wrapped by another suite."""

    @property
    def total(self) -> int:
        """All of it."""
        return (
            self.other_suite
            + self.between_keys
            + self.older_epoch
            + self.unindexed
            + self.shallow
            + self.other_mac
            + self.other_wraps
        )


@dataclass(frozen=True, slots=True)
class KeyVersions:
    """One use of system keys: how many versions there are, and how many are still tried by look-ups."""

    use: str
    versions: int
    in_use: int


@dataclass(frozen=True, slots=True)
class KeyState:
    """All of it: what stands under `needs_reseal` is 0 where no rotation is under way."""

    epochs: tuple["EpochOverview", ...]
    system_keys: tuple[KeyVersions, ...]
    """Those that were ever rotated."""
    needs_reseal: int
    resealing: Resealing


@dataclass(frozen=True, slots=True)
class EpochOverview:
    """One epoch, and how many keys are wrapped under it."""

    epoch: int
    root: str
    created_at: datetime
    destroyed_at: datetime | None
    member_keys: int
    system_keys: int
    held_months: int


def overview(uow: UnitOfWork) -> KeyOverview:
    """Count members' keys, name the root, say the horizon."""
    uow.require(Scope.ADMIN, Scope.COMPLIANCE)
    found = epochs(uow)
    living = [one for one in found if one.destroyed_at is None]
    return KeyOverview(
        living[-1].root, living[-1].epoch, sum(one.member_keys for one in found), horizons.horizon_at(uow, uow.now)[1]
    )


def epochs(uow: UnitOfWork) -> list[EpochOverview]:
    """Return the epochs, oldest first."""
    uow.require(Scope.ADMIN, Scope.COMPLIANCE)
    counted = {one.epoch: one for one in rotation.counts(cast("KeyStore", uow.keys))}
    return [
        EpochOverview(
            one.id,
            one.root_uri,
            one.created_at,
            one.destroyed_at,
            counted[one.id].members,
            counted[one.id].system,
            counted[one.id].held_months,
        )
        for one in uow.keys.epochs()
    ]


def needs_reseal(uow: UnitOfWork) -> Resealing:
    """Count what is not under the newest keys yet."""
    uow.require(Scope.ADMIN, Scope.COMPLIANCE)
    store = cast("KeyStore", uow.keys)
    store.system.look()
    walk = walk_of(store.engine, horizons.INDEX)
    return Resealing(
        store.suite.name,
        member_keys.count_stale(store, until=None, suite=store.suite.name),
        member_keys.count_coming(store),
        rotation.left(store),
        vault.members_after(uow, walk.position) if walk is not None else 0,
        vault.shallow_suppressions(uow),
        sum(len(suites.other_mac(store, labels)) for labels in horizons.rotated_labels(uow).values()),
        suites.count_other_wraps(store),
    )


def state(uow: UnitOfWork) -> KeyState:
    """Return epochs, versions of system keys, and what is still to be sealed, indexed or wrapped anew."""
    uow.require(Scope.ADMIN, Scope.COMPLIANCE)
    left = needs_reseal(uow)
    versions = cast("KeyStore", uow.keys).system.counts()
    rotated = tuple(KeyVersions(use, count, used) for use, (count, used) in versions.items() if count > 1)
    return KeyState(tuple(epochs(uow)), rotated, left.total, left)
