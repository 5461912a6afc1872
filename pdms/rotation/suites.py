"""The other suite for a whole home: members sealed anew, indexes, searches and suppression entries under its MAC, keys
wrapped by its cipher.

Guarantees: each step is resumable, and the same command goes on with whatever is left, by what stands in the key store;
from the first moment on, in every process, what is newly made is of the new suite. What keeps the old one is listed in
docs/sealed-values.md.
"""

from dataclasses import dataclass

from pdms.audit.catalogue import EventKind
from pdms.crypto import SuiteName
from pdms.keystore import member_keys, suites
from pdms.keystore.walks import walk_of
from pdms.rotation.epochs import Progress, store_of
from pdms.rotation.indexes import INDEX, SUPPRESSION, rotate_index, rotate_suppression
from pdms.rotation.members import plan_deks, rotate_deks
from pdms.rotation.searches import SEARCH, rotate_search
from pdms.taxonomy import Scope
from pdms.unit_of_work import UnitFactory, UnitOfWork
from pdms.vault import service as vault
from pdms.vault.searches import index_label


@dataclass(frozen=True, slots=True)
class SuitePlan:
    """What a change of suite would do."""

    suite: SuiteName
    members: int
    """To be sealed anew."""
    begun: int
    """Members with two keys, left by a run that was cut off."""
    indexed: int
    """Members to be indexed anew; 0: the index keys are for this suite already."""
    suppressions: int
    """Suppression entries to be nested in a MAC of this suite."""


@dataclass(frozen=True, slots=True)
class SuiteRotated:
    """What a change of suite did, by this run."""

    suite: SuiteName
    members: int
    left: int
    """Members who still have a key for another suite: made meanwhile by a process that did not know yet."""
    indexed: int
    searched: int
    suppressions: int
    wrapped: int
    """System keys and keys of held months, wrapped anew."""


def rotated_labels(uow: UnitOfWork) -> dict[str, list[str]]:
    """Return the uses of keys that get a MAC of the suite in force, by the rotation that brings it."""
    return {
        INDEX: vault.index_labels(uow),
        SEARCH: [index_label(name) for name in uow.policy.searches],
        SUPPRESSION: [SUPPRESSION],
    }


def plan_suite(uow: UnitOfWork, *, suite: SuiteName) -> SuitePlan:
    """Count what `rotate_suite` would do; nothing is changed."""
    uow.require(Scope.ADMIN)
    store, deks = store_of(uow), plan_deks(uow, suite=suite)
    behind = {
        what: any(store.system.of(label)[0].key.suite is not suite for label in labels)
        for what, labels in rotated_labels(uow).items()
    }
    return SuitePlan(
        suite,
        deks.members,
        deks.begun,
        vault.members_after(uow, 0) if behind[INDEX] else 0,
        vault.suppression_entries(uow) if behind[SUPPRESSION] else 0,
    )


def rotate_suite(units: UnitFactory, *, suite: SuiteName, progress: Progress | None = None) -> SuiteRotated:
    """Put a suite in force and bring the home to it, or go on where a run was cut off.

    :raises Conflict: another process finishes one of the rotations at this moment; ask again.
    """
    deks = rotate_deks(units, suite=suite, progress=progress)
    with units() as uow:
        store, labels = store_of(uow), rotated_labels(uow)
    done = dict.fromkeys(labels, 0)
    for what, rotate in ((INDEX, rotate_index), (SEARCH, rotate_search), (SUPPRESSION, rotate_suppression)):
        # Twice where a rotation was under way with keys of the suite before: that one is finished first.
        while walk_of(store.engine, what) is not None or suites.other_mac(store, labels[what]):
            done[what] += rotate(units, progress=progress).rows
    wrapped = suites.wrap_by_suite(store)
    with units() as uow:
        uow.record(EventKind.KEY_ROTATED, refs={"what": "suite"}, numbers={"wrapped": wrapped})
    return SuiteRotated(
        suite,
        deks.members,
        member_keys.count_stale(store, until=None, suite=suite),
        done[INDEX],
        done[SEARCH],
        done[SUPPRESSION],
        wrapped,
    )
