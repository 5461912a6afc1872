"""New keys for the searches by part of a value that the policy declares.

A search's plan changes with its key, so that members indexed under the old one are known; until the last is indexed
anew a search is refused, never incomplete. Guarantee: resumable by the same command, which makes no further key.
"""

from pdms.audit.catalogue import EventKind
from pdms.audit.events import Outcome
from pdms.errors import InvalidInput
from pdms.keystore.walks import walk_of
from pdms.rotation.epochs import Progress, store_of
from pdms.rotation.indexes import WalkDone
from pdms.taxonomy import Scope
from pdms.unit_of_work import UnitFactory
from pdms.vault import service as vault
from pdms.vault.searches import index_label

SEARCH = "search"


def rotate_search(units: UnitFactory, *, progress: Progress | None = None, batch: int = 1000) -> WalkDone:
    """Index every member anew under new keys of the declared searches, or go on where a run was cut off.

    A rotation that was cut off before the policy dropped its last search ends without anything left to index.

    :raises InvalidInput: NO_SEARCH: the policy declares none, and no rotation is under way.
    """
    with units() as uow:
        uow.require(Scope.ADMIN)
        store, labels = store_of(uow), [index_label(name) for name in uow.policy.searches]
        if not labels and walk_of(store.engine, SEARCH) is None:
            raise InvalidInput("search: the policy declares none", code="NO_SEARCH")
        uow.record(EventKind.KEY_ROTATED, outcome=Outcome.INTENDED, refs={"what": SEARCH})
    for label in labels:  # made on first use: a key that nobody asked for yet would begin with its second version
        store.system_key(label)
    with units() as uow:
        made = store.system.rotate(labels, now=uow.now, walk=SEARCH)
    done = vault.reindex(units, batch=batch, progress=progress).members
    with units() as uow:
        store.system.retire(labels, now=uow.now, walk=SEARCH)
        uow.record(EventKind.KEY_ROTATED, refs={"what": SEARCH}, numbers={"members": done, "keys": len(made)})
    return WalkDone(done, len(made))
