"""Looking at a file before taking it in: what each column seems to hold. Stores nothing, logs no name and no value."""

from pathlib import Path

from pdms.audit.catalogue import EventKind
from pdms.discovery.columns import ColumnProposal
from pdms.discovery.scan import scan_table
from pdms.ingest.readers import sample
from pdms.taxonomy import Scope
from pdms.unit_of_work import UnitOfWork


def scan(uow: UnitOfWork, *, path: Path, rows: int = 1000) -> tuple[ColumnProposal, ...]:
    """Propose a classification for each column of a file, from its first `rows` rows.

    :raises InvalidInput: the file cannot be read; the message names the rule.
    """
    uow.require(Scope.INGEST, Scope.COMPLIANCE)
    proposals = scan_table(sample(path, rows=rows))
    uow.record(EventKind.SCAN_DONE, numbers={"columns": len(proposals)})
    return proposals
