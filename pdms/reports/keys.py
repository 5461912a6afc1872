"""The state of the key store, for administrators: counts and places, never a key."""

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from pdms.keystore import KeyStore, rotation
from pdms.rotation import service as horizons
from pdms.taxonomy import Scope
from pdms.unit_of_work import UnitOfWork


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
