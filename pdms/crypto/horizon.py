"""The erasure horizon: from which date no backup can open an erased member, computed from the epochs of keys.

Guarantee: pure arithmetic on what is known of epochs; it never promises earlier than what every copy of the key store
needs. A backup holds members' keys wrapped under the epochs that lived when it was made. A member is beyond recall once
the roots of all epochs that began before the erasure are destroyed: a later epoch never held the member's key. Where
one of those roots may have been copied (`env:`), there is no such date, whatever was done since.

It does not know what was copied elsewhere against the rules: a root file kept in a backup of its folder opens for ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from pdms.clock import day_in_shanghai
from pdms.crypto.roots import has_horizon
from pdms.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class EpochState:
    """A key epoch, as anyone may know it. `destroyed_at`: when its key and its root were destroyed."""

    id: int
    root_uri: str
    created_at: datetime
    destroyed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RotationPlan:
    """How long an epoch is the newest, and how long after the next one began its root is destroyed at the latest."""

    rotate_after: timedelta
    destroy_after: timedelta


class HorizonKind(StrEnum):
    """What can be said."""

    REACHED = "reached"
    """Since `at`, no backup opens the member."""
    PLANNED = "planned"
    """From `at` on, if the policy's plan is kept; overdue where `at` has passed."""
    UNPLANNED = "unplanned"
    """When the roots of `epochs` are destroyed, for which nothing is planned."""
    NONE = "none"
    """Never to be claimed: a root lay where copies cannot be known."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """The horizon of members erased at one instant. `epochs`: those whose roots stand in the way."""

    kind: HorizonKind
    at: datetime | None
    epochs: tuple[int, ...]


def horizon_of(epochs: Sequence[EpochState], *, erased_at: datetime, plan: RotationPlan | None = None) -> Horizon:
    """Return the horizon of a member whose key was destroyed at `erased_at`.

    :param epochs: all epochs that ever were, destroyed ones too, in any order.
    """
    begun = [one.id for one in epochs if one.created_at <= erased_at]
    return horizon_in(epochs, newest=max(begun, default=0), plan=plan)


def horizon_in(epochs: Sequence[EpochState], *, newest: int, plan: RotationPlan | None = None) -> Horizon:
    """Return the horizon of members who were erased while the epoch `newest` was the newest one."""
    ordered = sorted(epochs, key=lambda one: one.id)
    held = [one for one in ordered if one.id <= newest]
    copied = tuple(one.id for one in held if not _certain(one))
    if copied or not held:
        return Horizon(HorizonKind.NONE, None, copied)
    living = tuple(one.id for one in held if one.destroyed_at is None)
    if not living:
        return Horizon(HorizonKind.REACHED, max(one.destroyed_at for one in held if one.destroyed_at), ())
    if plan is None:
        return Horizon(HorizonKind.UNPLANNED, None, living)
    ended = {one.id: following.created_at for one, following in pairwise(ordered)}
    due = max(
        ended.get(one.id, one.created_at + plan.rotate_after) + plan.destroy_after
        for one in held
        if one.destroyed_at is None
    )
    return Horizon(HorizonKind.PLANNED, due, living)


def _certain(epoch: EpochState) -> bool:
    try:
        return has_horizon(epoch.root_uri)
    except InvalidInput:  # of a provider that is no longer installed: nothing can be claimed
        return False


def said(horizon: Horizon, *, now: datetime) -> str:
    """Return one plain sentence; its day is that of Shanghai, as in every other document."""
    which = "epoch " + ", ".join(map(str, horizon.epochs)) if horizon.epochs else "no epoch"
    match horizon.kind:
        case HorizonKind.REACHED:
            return f"no backup opens the member since {_day(horizon.at)}"
        case HorizonKind.NONE:
            return f"none: copies of the root of {which} cannot be known; backups made before the erasure may open it"
        case HorizonKind.UNPLANNED:
            return f"not before the root of {which} is destroyed, for which the policy plans no date"
        case HorizonKind.PLANNED:
            late = " (overdue)" if horizon.at is not None and horizon.at < now else ""
            return f"planned: {_day(horizon.at)}{late}, when the root of {which} is to be destroyed"


def _day(at: datetime | None) -> str:
    return day_in_shanghai(at) if at is not None else ""
