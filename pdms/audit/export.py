"""The export: the whole log in one file of JSON lines, which `verify_export` checks without the database.

Guarantee: deterministic (the same log gives the same bytes), written whole or not at all, memory flat. Openings that
were shredded are there as leaf digests only. Events not yet in the tree are counted, not exported: no signature speaks
for them. The form of the lines is `export_form`'s.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from sqlmodel import Session

from pdms.audit import store
from pdms.audit.export_form import FORMAT, checked_line, checkpoint_content, end_line, leaf_content
from pdms.audit.note import NoteKey
from pdms.errors import IntegrityBroken


@dataclass(frozen=True, slots=True)
class ExportResult:
    """Where the export lies and what is in it. `sha256` is of the whole file, hex."""

    path: Path
    leaves: int
    checkpoints: int
    unsequenced: int
    sha256: str


def export(session: Session, path: Path, *, key: NoteKey) -> ExportResult:
    """Write the log to `path`, whole or not at all.

    :param key: the log's public key, named in the file for convenience; who verifies should have it from elsewhere.
    :raises IntegrityBroken: an event's row is missing; `verify` says which.
    """
    runs = store.read_runs(session)
    checkpoints = store.rows(session, "SELECT count(*) FROM audit_checkpoint")[0][0]
    unsequenced = sum(len(batch) for span in runs.outside() for batch in store.leaves_between(session, *span))
    header = (
        f'{{"format":"{FORMAT}","key":{json.dumps(key.vkey)},"leaves":{runs.size},"checkpoints":{checkpoints}'
        f',"unsequenced":{unsequenced}'
    )
    draft = path.with_name(path.name + ".part")
    try:
        whole = _write(draft, _contents(session, runs, header))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return ExportResult(path, runs.size, checkpoints, unsequenced, whole)


def _write(draft: Path, contents: Iterator[bytes]) -> str:
    """Write the lines and the last one; return the digest of all, hex."""
    whole, lines = sha256(), 0
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        for content in contents:
            line = checked_line(content)
            whole.update(line)
            file.write(line)
            lines += 1
        last = end_line(lines, whole.hexdigest())
        whole.update(last)
        file.write(last)
        file.flush()
        os.fsync(file.fileno())
    return whole.hexdigest()


def _contents(session: Session, runs: store.Runs, header: str) -> Iterator[bytes]:
    yield header.encode()
    notes = store.rows(session, "SELECT size, note FROM audit_checkpoint ORDER BY size DESC")
    index = 0
    for run in runs.by_leaf():
        first, end = run.first_seq, run.first_seq + run.length
        while first < end:
            rows = store.rows(
                session,
                "SELECT seq, leaf, leaf_salt, body FROM audit_event WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT ?",
                (first, end, store.READ_ROWS),
            )
            if len(rows) != min(end - first, store.READ_ROWS) or rows[-1][0] != first + len(rows) - 1:
                raise IntegrityBroken("audit log: the row of a leaf is gone; verify it", code="EVENT_MISSING")
            for _, leaf, salt, body in rows:
                yield leaf_content(index, leaf, salt, body)
                index += 1
                while notes and notes[-1][0] <= index:
                    yield checkpoint_content(notes.pop()[1])
            first += len(rows)
    for _, note in reversed(notes):  # speaks of more leaves than there are: the verifier will say so
        yield checkpoint_content(note)
