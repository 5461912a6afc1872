"""The state of the key store, for administrators: counts and places, never a key."""

from dataclasses import dataclass

from pdms.taxonomy import Scope
from pdms.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class KeyOverview:
    """What may be known of the keys."""

    root: str
    member_keys: int
    erasure_horizon: str


def overview(uow: UnitOfWork, *, root_uri: str) -> KeyOverview:
    """Count members' keys and name the root."""
    uow.require(Scope.ADMIN, Scope.COMPLIANCE)
    count = sum(1 for _ in uow.keys.member_ids())
    return KeyOverview(root_uri, count, "none: no epoch has been rotated and destroyed yet")
