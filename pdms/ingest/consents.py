"""Kind `consents`: rows become consent records through `consent`, which judges their evidence and their dates."""

from typing import Any, ClassVar

from pdms.consent import service as consent
from pdms.consent.service import ImportRow
from pdms.facts.names import FactTable
from pdms.ingest.kind import Stored, column_name, with_members
from pdms.ingest.mapping import Batch
from pdms.ingest.readers import Rejected
from pdms.policy.definitions import Source
from pdms.unit_of_work import UnitOfWork

_OPTIONAL = ("type", "channel", "recipient", "notice", "notice_version", "language", "ui_hash")


class Consents:
    """Consent records with evidence. Rows may repeat: the same record twice is one."""

    tables: ClassVar[tuple[FactTable, ...]] = ()

    def __init__(self, source: Source, load_id: str) -> None:
        self._source, self._load_id = source, load_id

    def store(self, uow: UnitOfWork, batch: Batch, *, write: bool) -> Stored:
        """Import one batch."""
        if not write:
            return Stored()
        batch, members = with_members(uow, batch, self._source, disabled_too=True)
        rows = []
        for at, (number, keys) in enumerate(zip(batch.numbers, members, strict=True)):
            more: dict[str, Any] = {
                target: batch.values[target][at]
                for target in _OPTIONAL
                if target in batch.values and batch.values[target][at]
            }
            rows.append(
                ImportRow(
                    row=number,
                    member_id=keys.member_id,
                    purpose=batch.values["purpose"][at],
                    state=batch.values["state"][at],
                    at=batch.values["at"][at],
                    evidence=batch.values["evidence"][at],
                    **more,
                )
            )
        if not rows:
            return Stored(rejected=batch.rejected)
        result = consent.import_records(uow, rows, evidence_store=self._source.evidence or "")
        wrong = [Rejected(one.row, column_name(self._source, one.field), one.rule) for one in result.rejected]
        return Stored(accepted=result.accepted, rejected=[*batch.rejected, *wrong], declined=result.declined)

    def finish(self, uow: UnitOfWork, batch: int) -> None:
        """Nothing is left over."""
