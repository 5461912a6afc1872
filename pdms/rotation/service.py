"""The operations on keys, in one place. Long ones take a unit factory and may be asked again after any crash."""

from pdms.rotation.epochs import (
    EpochEnded,
    EpochPlan,
    EpochRotated,
    destroy_epoch,
    plan_epoch,
    resume,
    rotate_epoch,
)
from pdms.rotation.horizons import EpochHorizon, horizon_at, horizons

__all__ = [
    "EpochEnded",
    "EpochHorizon",
    "EpochPlan",
    "EpochRotated",
    "destroy_epoch",
    "horizon_at",
    "horizons",
    "plan_epoch",
    "resume",
    "rotate_epoch",
]
