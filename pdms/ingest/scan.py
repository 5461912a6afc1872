"""Looking at a file before taking it in: what each column seems to hold. Stores nothing, logs no name and no value."""

from pathlib import Path

from pdms.audit.catalogue import EventKind
from pdms.discovery.columns import ColumnProposal
from pdms.discovery.scan import scan_table
from pdms.errors import InvalidInput
from pdms.ingest.mapping import TELLING
from pdms.ingest.readers import sample
from pdms.taxonomy import Scope
from pdms.unit_of_work import UnitOfWork


def scan(uow: UnitOfWork, *, path: Path, rows: int = 1000) -> tuple[ColumnProposal, ...]:
    """Propose a classification for each column of a file, from its first `rows` rows.

    :raises InvalidInput: the file cannot be read, or its first record holds values where names belong; the message
        names the rule.
    """
    uow.require(Scope.INGEST, Scope.COMPLIANCE)
    columns = sample(path, rows=rows)
    for position, name in enumerate(columns, 1):
        if TELLING.search(name):
            raise InvalidInput(f"file: column {position} has a value for a name; it needs a header", code="NO_HEADER")
    proposals = scan_table(columns)
    uow.record(EventKind.SCAN_DONE, numbers={"columns": len(proposals)})
    return proposals
