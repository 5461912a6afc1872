"""Invalidation of consents that turn out to be none, and of everything that stood on them.

Guarantee: in batches, each one unit: the records, the stale marks on releases and the queue of data that lost their
last basis are committed together with an event. Cut off and asked again it goes on. It survives a restore, since the
rights ledger keeps it like a withdrawal.
"""

from dataclasses import dataclass

from pdms.consent import service as consent
from pdms.publish import service as publish
from pdms.rights.withdraw import queue_orphans
from pdms.taxonomy import Scope
from pdms.unit_of_work import UnitFactory

BATCH = 500


@dataclass(frozen=True, slots=True)
class Invalidation:
    """What was done, or with `dry_run` would be."""

    purpose: str
    consents: int
    """Of those that stood when it began."""
    stale_releases: int
    dry_run: bool


def invalidate(units: UnitFactory, defect: consent.Defect, *, ticket: str, dry_run: bool = False) -> Invalidation:
    """Invalidate every standing consent that the defect concerns; whoever gave one may be asked again.

    :raises InvalidInput: the defect says too little, or the ticket has another form. :raises NotFound: no such version.
    """
    with units() as uow:
        uow.require(Scope.COMPLIANCE)
        total = consent.standing_under(uow, defect)
    if dry_run:
        return Invalidation(defect.purpose, total, 0, dry_run=True)
    stale: set[str] = set()
    while True:
        with units() as uow:
            uow.lock_anon_first()
            members = consent.invalidate_some(uow, defect, ticket=ticket, limit=BATCH)
            if not members:
                return Invalidation(defect.purpose, total, len(stale), dry_run=False)
            stale.update(publish.mark_stale_for(uow, purpose=defect.purpose))
            for member in members:
                queue_orphans(uow, member)
