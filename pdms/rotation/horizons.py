"""From which date no backup can open an erased member, by the epochs of this home and the plan of its policy."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest

from pdms.crypto import Horizon, HorizonKind, RotationPlan, horizon_in, horizon_of, horizon_said
from pdms.policy.definitions import Policy
from pdms.taxonomy import Scope
from pdms.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class EpochHorizon:
    """The horizon of members who were erased while an epoch was the newest."""

    epoch: int
    root: str
    created_at: datetime
    superseded_at: datetime | None
    destroyed_at: datetime | None
    horizon: HorizonKind
    """Of members erased while it was the newest."""
    date: datetime | None
    said: str


def plan_of(policy: Policy) -> RotationPlan | None:
    """Return the policy's plan of key epochs."""
    if policy.keys is None:
        return None
    return RotationPlan(
        timedelta(days=policy.keys.rotate_epochs_after_days), timedelta(days=policy.keys.destroy_epochs_after_days)
    )


def horizon_at(uow: UnitOfWork, erased_at: datetime) -> tuple[Horizon, str]:
    """Return the horizon of members erased at an instant, and one sentence that says it."""
    found = horizon_of(uow.keys.epochs(), erased_at=erased_at, plan=plan_of(uow.policy))
    return found, horizon_said(found, now=uow.now)


def horizons(uow: UnitOfWork) -> list[EpochHorizon]:
    """Return each epoch with the horizon of those who were erased during it, oldest first."""
    uow.require(Scope.ADMIN, Scope.COMPLIANCE)
    epochs, plan = uow.keys.epochs(), plan_of(uow.policy)
    rows = []
    for one, following in zip_longest(epochs, epochs[1:]):
        found = horizon_in(epochs, newest=one.id, plan=plan)
        rows.append(
            EpochHorizon(
                one.id,
                one.root_uri,
                one.created_at,
                following.created_at if following else None,
                one.destroyed_at,
                found.kind,
                found.at,
                horizon_said(found, now=uow.now),
            )
        )
    return rows
