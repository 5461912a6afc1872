"""Consent records as a file: every event that had happened and was known, one a line, for officers and regulators.

Guarantees: streamed in the order of writing, so that memory stays flat; each line is of the append-only records, never
of the materialised state; ids, codes, digests and instants only: no name, no contact, no free text. The file must not
exist, is its owner's alone, and is there whole or not at all (a killed run leaves a draft beside it, `.<name>.….part`,
its owner's alone too). The export is an event of the log, with the file's SHA-256. Deliberately not
here: the second operator's approval, which `gate.export_consents` takes first.
"""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import select

from pdms.audit.catalogue import EventKind
from pdms.audit.files import new_file
from pdms.consent.evidence import parts
from pdms.consent.notices import all_terms
from pdms.consent.receipt import record_id_text
from pdms.consent.store import RECORD
from pdms.db import Session, begin
from pdms.taxonomy import Scope
from pdms.unit_of_work import UnitOfWork

COLUMNS = (
    "record_id", "subject_ref", "purpose", "recipient", "state", "type", "happened_at", "known_at", "notice",
    "notice_version", "language", "categories", "channel", "source", "evidence", "ui_hash", "guardian", "recorded_by",
    "policy",
)  # fmt: skip
ROWS = 2000
Format = Literal["jsonl", "csv"]


@dataclass(frozen=True, slots=True)
class ConsentExport:
    """A file that was written."""

    records: int
    sha256: str
    """Of the file, hex."""


def export_records(
    uow: UnitOfWork,
    *,
    path: Path,
    format: Format = "jsonl",  # noqa: A002 - the word of the option
    as_of: datetime | None = None,
    known: datetime | None = None,
) -> ConsentExport:
    """Write every record that had happened by `as_of` and was known by `known` (default: now) to a new file.

    :raises Conflict: the file exists already. :raises InvalidInput: it cannot be written.
    """
    uow.require(Scope.COMPLIANCE)
    with begin(uow.main_engine, read_only=True) as session:  # of its own: nobody waits for a long file
        rows = _rows(session, as_of or uow.now, known or uow.now)
        lines = _json_lines(rows) if format == "jsonl" else _csv_lines(rows)
        records, digest = _write(path, lines)
    uow.record(EventKind.CONSENT_EXPORTED, numbers={"records": records}, digest=digest)
    return ConsentExport(records, digest)


def _write(path: Path, lines: Iterator[tuple[int, bytes]]) -> tuple[int, str]:
    seen, records = hashlib.sha256(), 0
    with new_file(path) as file:
        for count, line in lines:
            records += count
            seen.update(line)
            file.write(line)
    return records, seen.hexdigest()


def _rows(session: Session, as_of: datetime, known: datetime) -> Iterator[Mapping[str, Any]]:
    terms = all_terms(session)
    after = 0
    query = select(RECORD).where(RECORD.c.occurred_at <= as_of, RECORD.c.known_at <= known).order_by(RECORD.c.seq)
    while True:
        page = session.connection().execute(query.where(RECORD.c.seq > after).limit(ROWS)).mappings().all()
        for row in page:
            told = terms.get(row["notice_no"] or 0)
            evidence, ui_hash = parts(row["evidence"])
            yield {
                "record_id": record_id_text(row["record_id"]),
                "subject_ref": row["member_id"].hex(),
                "purpose": row["purpose"],
                "recipient": row["recipient"],
                "state": row["state"],
                "type": row["type"],
                "happened_at": _instant(row["occurred_at"]),
                "known_at": _instant(row["known_at"]),
                "notice": told.notice_id if told else "",
                "notice_version": told.version if told else "",
                "language": told.language.value if told else "",
                "categories": row["categories"],
                "channel": row["channel"],
                "source": row["source"],
                "evidence": evidence,
                "ui_hash": ui_hash,
                "guardian": row["guardian"],
                "recorded_by": row["actor"],
                "policy": row["policy_digest"],
            }
        if len(page) < ROWS:
            return
        after = page[-1]["seq"]


def _json_lines(rows: Iterator[Mapping[str, Any]]) -> Iterator[tuple[int, bytes]]:
    for row in rows:
        yield 1, json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _csv_lines(rows: Iterator[Mapping[str, Any]]) -> Iterator[tuple[int, bytes]]:
    line = io.StringIO()
    write: Callable[[list[Any]], Any] = csv.writer(line, lineterminator="\n").writerow

    def taken(values: list[Any]) -> bytes:
        line.seek(0)
        line.truncate()
        write(values)
        return line.getvalue().encode()

    yield 0, taken(list(COLUMNS))
    for row in rows:
        yield 1, taken([row[name] for name in COLUMNS])


def _instant(value: datetime) -> str:
    return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
