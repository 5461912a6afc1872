"""Correction (PIPL-46, PIPL-8): the new value is sealed, and brought to what was derived from the old one."""

from datetime import UTC

from pdms.crypto import open_blob
from pdms.errors import IntegrityBroken
from pdms.ingest.normalise import normalise_value
from pdms.ingest.service import rewrite_attributes
from pdms.publish import service as publish
from pdms.rights import intake
from pdms.rights.tables import SubjectRequestRow
from pdms.taxonomy import MemberId
from pdms.unit_of_work import UnitOfWork
from pdms.vault import service as vault


def execute(uow: UnitOfWork, row: SubjectRequestRow) -> dict[str, object]:
    """Carry a correction out; returns the document of its receipt, which names the field and never the value.

    May be repeated: correcting to what is held changes nothing. The sealed value goes with the receipt, not before.
    """
    if row.field is None or row.detail is None:
        raise IntegrityBroken("request: a correction without field or value")
    context = f"request:{row.request_id}".encode()
    value = open_blob(uow.keys.system_key(intake.DETAIL_LABEL), row.detail, context=context).decode()
    normalised = normalise_value(uow.policy, field=row.field, value=value, now=uow.now)
    corrected = vault.correct(uow, MemberId(row.member_id), field=row.field, value=normalised)
    stale = 0
    if corrected.changed:
        rewrite_attributes(uow, corrected.pseudonym, corrected.fields)
        stale = len(publish.mark_stale_for(uow, purpose=None))
    return {
        "type": "correction-receipt",
        "request": row.number,
        "request_id": row.request_id,
        "field": row.field,
        "completed_at": uow.now.astimezone(UTC).isoformat(timespec="seconds"),
        "stale_releases": stale,
        "article": "PIPL-46",
    }
