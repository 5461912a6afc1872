"""What a crash left of rotations, finished by whoever comes next, such as the nightly sweep.

Guarantee: only what a command began and did not end is gone on with, as the same command would; one that cannot go on
now waits for the next time. Whether a rotation is cut off or under way in another process cannot be told: two at once
share its batches and do no harm.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

from pdms.errors import Conflict, InvalidInput, KeyUnavailable
from pdms.keystore import KeyStore, member_keys, suites
from pdms.keystore.walks import walk_of
from pdms.rotation.epochs import resume_epochs, store_of
from pdms.rotation.indexes import INDEX, SUPPRESSION, rotate_index, rotate_suppression
from pdms.rotation.members import DEKS, rotate_deks
from pdms.rotation.searches import SEARCH, rotate_search
from pdms.rotation.suites import rotate_suite, rotated_labels
from pdms.unit_of_work import UnitFactory

_WALKS: Final[dict[str, Callable[[UnitFactory], Any]]] = {
    DEKS: rotate_deks,
    INDEX: rotate_index,
    SEARCH: rotate_search,
    SUPPRESSION: rotate_suppression,
}


def resume(units: UnitFactory) -> tuple[str, ...]:
    """Go on with every rotation that was cut off; return which, by the names that `pdms keys rotate` knows."""
    done = ["epoch"] if resume_epochs(units) else []
    with units() as uow:
        store, labels = store_of(uow), rotated_labels(uow)
    # What is refused here (no search is declared any more, another process ends it) must not hold up the others.
    for what in _begun(store, labels):
        with suppress(Conflict, InvalidInput, KeyUnavailable):
            if what == "suite":
                rotate_suite(units, suite=store.suite.name)
            else:
                _WALKS[what](units)
            done.append(what)
    return tuple(done)


def _begun(store: KeyStore, labels: dict[str, list[str]]) -> Iterator[str]:
    store.system.look()
    if store.system.suite is not None and (
        member_keys.stale(store, until=None, suite=store.suite.name, after=b"", limit=1)
        or suites.count_other_wraps(store)
        or any(suites.other_mac(store, some) for some in labels.values())
    ):
        yield "suite"
    for what in _WALKS:
        if walk_of(store.engine, what) is not None:  # asked when its turn comes: a change of suite ends walks itself
            yield what
