"""Consent coverage: who agreed to what, shown which text, by purpose, version, language and channel."""

from pdms.audit.catalogue import EventKind
from pdms.consent import service as consent
from pdms.consent.service import CoverageRow
from pdms.taxonomy import Scope
from pdms.unit_of_work import UnitOfWork
from pdms.vault import service as vault


def coverage(uow: UnitOfWork) -> tuple[CoverageRow, ...]:
    """Return the number of members in each state of each purpose, with the notice version and channel; exact, honey
    members left out."""
    uow.require(Scope.COMPLIANCE)
    uow.record(EventKind.REPORT_READ, refs={"report": "consent"})
    return consent.coverage(uow, apart=vault.decoys(uow))
