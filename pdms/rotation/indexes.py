"""New keys for indexes, suppression entries and signatures.

Index keys: the new one stands beside the old one until every member is indexed under it; look-ups try both meanwhile,
and identity stays unique. The suppression key: one more is nested around every entry. Signing keys: the new one signs,
old ones verify. Guarantees: resumable by the same command; every process sees a new key before it is used.
"""

from dataclasses import dataclass
from enum import StrEnum

from pdms.audit.catalogue import EventKind
from pdms.audit.events import Outcome
from pdms.db import Lock, alone
from pdms.errors import Conflict
from pdms.keystore.walks import advance_walk, walk_of
from pdms.rotation.epochs import Progress, store_of
from pdms.taxonomy import Scope
from pdms.unit_of_work import UnitFactory, UnitOfWork
from pdms.vault import service as vault

BATCH = 1000
INDEX = "index"
SUPPRESSION = "suppression"


class Signed(StrEnum):
    """Kinds of document that are signed."""

    LOG = "log"
    RECEIPTS = "receipts"
    MANIFESTS = "manifests"


@dataclass(frozen=True, slots=True)
class WalkPlan:
    """What a rotation that walks through the vault would do."""

    rows: int
    begun: bool
    """A run that was cut off is gone on with; no further key is made."""


@dataclass(frozen=True, slots=True)
class WalkDone:
    """What such a rotation did. `rows`: members indexed anew, or suppression entries nested, by this run."""

    rows: int
    keys: int
    """Keys that were made; 0: it went on with those of a run that was cut off."""


@dataclass(frozen=True, slots=True)
class SignerRotated:
    """A new signing key. Give the public key to whoever verifies; documents of before verify under the old one."""

    signs: Signed
    version: int
    public_key: str


def plan_index(uow: UnitOfWork) -> WalkPlan:
    """Count what `rotate_index` would do."""
    uow.require(Scope.ADMIN)
    walk = walk_of(store_of(uow).engine, INDEX)
    return WalkPlan(vault.members_after(uow, walk.position if walk is not None else 0), walk is not None)


def rotate_index(units: UnitFactory, *, progress: Progress | None = None, batch: int = BATCH) -> WalkDone:
    """Index every member anew under new keys of identity and look-up, or go on where a run was cut off.

    Who comes after the beginning is under the new keys already, and is not walked to.
    """
    with units() as uow:
        uow.require(Scope.ADMIN)
        store, labels = store_of(uow), vault.index_labels(uow)
        uow.record(EventKind.KEY_ROTATED, outcome=Outcome.INTENDED, refs={"what": INDEX})
    for label in labels:  # made on first use: a key that nobody asked for yet would begin with its second version
        store.system_key(label)
    with units() as uow:
        alone(uow.session.connection(), Lock.REINDEX)  # behind whoever enters members by the old key alone
        made = store.system.rotate(labels, now=uow.now, walk=INDEX)
    walk = walk_of(store.engine, INDEX)
    if walk is None:
        raise Conflict("rotation: another process has just finished it", code="ROTATION_RUNNING")
    with units() as uow:
        # Whoever wrote by the old key alone has committed: the lock was waited for before there was a new one.
        total, until = vault.members_between(uow, walk.position)
    position, done = walk.position, 0
    while True:
        with units() as uow:
            count, last = vault.reindex_some(uow, after=position, until=until, batch=batch)
            if last is None:
                break
            uow.record(EventKind.KEY_ROTATED, refs={"what": INDEX}, numbers={"members": count})
        advance_walk(store.engine, INDEX, position=last, done=count)
        position, done = last, done + count
        if progress is not None:
            progress(done, total)
    with units() as uow:
        store.system.retire(labels, now=uow.now, walk=INDEX)
        uow.record(EventKind.KEY_ROTATED, refs={"what": INDEX}, numbers={"members": done, "keys": len(made)})
    return WalkDone(done, len(made))


def plan_suppression(uow: UnitOfWork) -> WalkPlan:
    """Count what `rotate_suppression` would do."""
    uow.require(Scope.ADMIN)
    begun = walk_of(store_of(uow).engine, SUPPRESSION) is not None
    return WalkPlan(vault.shallow_suppressions(uow) if begun else vault.suppression_entries(uow), begun)


def rotate_suppression(units: UnitFactory, *, progress: Progress | None = None, batch: int = BATCH) -> WalkDone:
    """Nest a new key around every suppression entry, or go on where a run was cut off."""
    with units() as uow:
        uow.require(Scope.ADMIN)
        store = store_of(uow)
        uow.record(EventKind.KEY_ROTATED, outcome=Outcome.INTENDED, refs={"what": SUPPRESSION})
    with units() as uow:
        # Behind whoever enters members knowing the old keys alone: an entry nested meanwhile would be none to them.
        alone(uow.session.connection(), Lock.REINDEX)
        made = store.system.rotate([SUPPRESSION], now=uow.now, walk=SUPPRESSION)
    with units() as uow:
        total = vault.shallow_suppressions(uow)
    done = 0
    while True:
        with units() as uow:
            count = vault.nest_suppressions(uow, batch=batch)
            if not count:
                break
            uow.record(EventKind.KEY_ROTATED, refs={"what": SUPPRESSION}, numbers={"entries": count})
        done += count
        if progress is not None:
            progress(done, total)
    with units() as uow:
        store.system.retire([SUPPRESSION], now=uow.now, walk=SUPPRESSION)
        uow.record(EventKind.KEY_ROTATED, refs={"what": SUPPRESSION}, numbers={"entries": done, "keys": len(made)})
    return WalkDone(done, len(made))


def rotate_signer(units: UnitFactory, *, signs: Signed) -> SignerRotated:
    """Make a new signing key; what was signed before is verified under the old ones."""
    label, what = f"sign:{signs}", {"what": f"sign-{signs}"}
    with units() as uow:
        uow.require(Scope.ADMIN)
        store = store_of(uow)
        uow.record(EventKind.KEY_ROTATED, outcome=Outcome.INTENDED, refs=what)
    with units() as uow:
        version = store.system.rotate([label], now=uow.now)[label]
        public = store.public_keys(signs)[0]
        uow.record(EventKind.KEY_ROTATED, refs=what, numbers={"version": version}, digest=public.hex())
    return SignerRotated(signs, version, public.hex())
