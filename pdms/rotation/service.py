"""The operations on keys, in one place. Long ones take a unit factory and may be asked again after any crash."""

from pdms.crypto import SuiteName
from pdms.rotation.epochs import (
    EpochEnded,
    EpochPlan,
    EpochRotated,
    destroy_epoch,
    plan_epoch,
    rotate_epoch,
    take_over,
)
from pdms.rotation.horizons import EpochHorizon, horizon_at, horizons
from pdms.rotation.indexes import (
    INDEX,
    Signed,
    SignerRotated,
    WalkDone,
    WalkPlan,
    plan_index,
    plan_suppression,
    rotate_index,
    rotate_signer,
    rotate_suppression,
)
from pdms.rotation.members import DekPlan, DeksRotated, plan_deks, rotate_deks
from pdms.rotation.resuming import resume
from pdms.rotation.searches import rotate_search
from pdms.rotation.suites import SuitePlan, SuiteRotated, plan_suite, rotate_suite, rotated_labels

__all__ = [
    "INDEX",
    "DekPlan",
    "DeksRotated",
    "EpochEnded",
    "EpochHorizon",
    "EpochPlan",
    "EpochRotated",
    "Signed",
    "SignerRotated",
    "SuiteName",
    "SuitePlan",
    "SuiteRotated",
    "WalkDone",
    "WalkPlan",
    "destroy_epoch",
    "horizon_at",
    "horizons",
    "plan_deks",
    "plan_epoch",
    "plan_index",
    "plan_suite",
    "plan_suppression",
    "resume",
    "rotate_deks",
    "rotate_epoch",
    "rotate_index",
    "rotate_search",
    "rotate_signer",
    "rotate_suite",
    "rotate_suppression",
    "rotated_labels",
    "take_over",
]
