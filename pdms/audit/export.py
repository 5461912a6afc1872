"""The export: the whole log in one file of JSON lines, which `verifier` checks without the database.

Guarantee: deterministic (the same log gives the same bytes), written whole or not at all, memory flat. Openings that
were shredded are there as leaf digests only. Events not yet in the tree are counted, not exported: no signature speaks
for them. The form of the lines is `verifier`'s.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from sqlmodel import Session

from pdms.audit import store
from pdms.audit.files import new_file
from pdms.audit.note import NoteKey
from pdms.audit.verifier import checked_line, checkpoint_content, end_line, export_header, leaf_content
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
    :raises Conflict: the file exists already. :raises InvalidInput: it cannot be written.
    """
    runs = store.read_runs(session)
    checkpoints = store.rows(session, "SELECT count(*) FROM audit_checkpoint")[0][0]
    unsequenced = sum(len(batch) for span in runs.outside() for batch in store.leaves_between(session, *span))
    header = export_header(key.vkey, leaves=runs.size, checkpoints=checkpoints, unsequenced=unsequenced)
    with new_file(path) as file:
        whole = _write(file, contents_of(session, runs, header))
    return ExportResult(path, runs.size, checkpoints, unsequenced, whole)


def _write(file: BinaryIO, contents: Iterator[bytes]) -> str:
    """Write the lines and the last one; return the digest of all, hex."""
    whole = sha256()
    for line in framed(contents):
        whole.update(line)
        file.write(line)
    return whole.hexdigest()


def framed(contents: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the lines with their checksums, and the last line."""
    whole, lines = sha256(), 0
    for content in contents:
        line = checked_line(content)
        whole.update(line)
        lines += 1
        yield line
    yield end_line(lines, whole.hexdigest())


def contents_of(
    session: Session, runs: store.Runs, header: bytes, *, first: int = 0, end: int | None = None
) -> Iterator[bytes]:
    """Yield the lines of the leaves `first..end` without their checksums, checkpoints among them.

    :raises IntegrityBroken: EVENT_MISSING, an event's row is gone.
    """
    yield header
    end = runs.size if end is None else end
    notes = store.rows(
        session,
        "SELECT size, note FROM audit_checkpoint WHERE size >= ? AND size <= ? ORDER BY size DESC",
        (first, end if end < runs.size else store.NO_END),
    )
    index = first
    while first and notes and notes[-1][0] == first:
        yield checkpoint_content(notes.pop()[1])
    for leaf, salt, body in leaf_rows(session, runs, first=first, end=end):
        yield leaf_content(index, leaf, salt, body)
        index += 1
        while notes and notes[-1][0] <= index:
            yield checkpoint_content(notes.pop()[1])
    for _, note in reversed(notes):  # speaks of more leaves than there are: the verifier will say so
        yield checkpoint_content(note)


def leaf_rows(
    session: Session, runs: store.Runs, *, first: int, end: int
) -> Iterator[tuple[bytes, bytes | None, bytes | None]]:
    """Yield (leaf digest, salt, body) of the leaves `first..end` in order, batch by batch.

    :raises IntegrityBroken: EVENT_MISSING, an event's row is gone.
    """
    for run in runs.by_leaf():
        seq = run.first_seq + max(0, first - run.first_leaf)
        last = run.first_seq + min(run.length, end - run.first_leaf)
        while seq < last:
            rows = store.rows(
                session,
                "SELECT seq, leaf, leaf_salt, body FROM audit_event WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT ?",
                (seq, last, store.READ_ROWS),
            )
            if len(rows) != min(last - seq, store.READ_ROWS) or rows[-1][0] != seq + len(rows) - 1:
                raise IntegrityBroken("audit log: the row of a leaf is gone; verify it", code="EVENT_MISSING")
            for _, leaf, salt, body in rows:
                yield leaf, salt, body
            seq += len(rows)
