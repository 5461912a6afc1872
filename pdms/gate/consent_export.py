"""Consent records leave as a file only as a second operator approved: form and both clocks are what is approved.

Guarantee: the approval is used up, for good, before the first line is written, so that one approval never makes two
files, whatever is cut off in between. Deliberately not here: the file itself (`consent.export`).
"""

from datetime import UTC, datetime
from pathlib import Path

from pdms.access import approvals
from pdms.consent import service as consent
from pdms.consent.export import ConsentExport, Format
from pdms.disk import taken
from pdms.taxonomy import GuardedAct, Scope
from pdms.unit_of_work import UnitFactory


def to_export(*, format: Format, as_of: datetime | None = None, known: datetime | None = None) -> dict[str, str]:  # noqa: A002 - what the face and the approval call it
    """Return what a second operator approves for `export_consents`: parameters of GuardedAct.CONSENT_EXPORT.

    A clock that is not given is that of the export itself: the approval lasts a day.
    """
    clocks = {name: _text(instant) for name, instant in (("as_of", as_of), ("known", known)) if instant is not None}
    return {"format": format, **clocks}


def export_consents(
    units: UnitFactory,
    *,
    path: Path,
    format: Format = "jsonl",  # noqa: A002 - the word of the option
    as_of: datetime | None = None,
    known: datetime | None = None,
) -> ConsentExport:
    """Write every record that had happened by `as_of` and was known by `known` (default: now) to a new file.

    :raises Denied: APPROVAL_MISSING. :raises Conflict: the file exists already (the approval is kept). :raises
        InvalidInput: it cannot be written (the approval is used up).
    """
    with units() as uow:
        uow.require(Scope.COMPLIANCE)
        if path.exists():
            raise taken()
        parameters = to_export(format=format, as_of=as_of, known=known)
        approvals.use(uow, act=GuardedAct.CONSENT_EXPORT, parameters=parameters)
    with units() as uow:
        return consent.export_records(uow, path=path, format=format, as_of=as_of, known=known)


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
