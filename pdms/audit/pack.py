"""The log's part of a pack: which leaves a period has, their lines, and the proofs between its checkpoints.

Guarantee: the leaves run from a checkpoint signed before the period to one that covers everything sequenced by its end,
so that no event of the period lies outside, also where its opening was shredded; a few before and after lie inside.
Memory stays flat. The archive around it is made in `reports`; what it means is checked by `verifier`.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from pdms.audit import store
from pdms.audit.catalogue import EventKind
from pdms.audit.checkpoint import SignedCheckpoint, parse_signed_checkpoint
from pdms.audit.events import micros
from pdms.audit.export import contents_of, framed, leaf_rows
from pdms.audit.merkle import consistency_path, consistency_ranges, inclusion_path, inclusion_ranges, subtrees
from pdms.audit.verifier import NoteKey, canonical, pack_header
from pdms.errors import Conflict

_ID_BYTES = 16
_MILLISECONDS = 6
"""Bytes of an event id that are its time."""


@dataclass(frozen=True, slots=True)
class Span:
    """The leaves `first..end` and the checkpoints at both ends; `before` is None where the log begins with them."""

    before: SignedCheckpoint | None
    after: SignedCheckpoint

    @property
    def first(self) -> int:
        """Index of the first leaf."""
        return self.before.size if self.before is not None else 0

    @property
    def end(self) -> int:
        """Index after the last leaf."""
        return self.after.size


def span_of(session: Session, *, since: datetime, until: datetime) -> Span:
    """Return the leaves that a period needs.

    :param since: inclusive. :param until: exclusive. :raises Conflict: the log has no checkpoint yet.
    """
    before = _note(session, "at < ? ORDER BY size DESC", micros(since))
    covering = _note(session, "at >= ? ORDER BY size", micros(until)) or _note(
        session, "size >= ? ORDER BY size DESC", 0
    )
    if covering is None:
        raise Conflict("audit log: no checkpoint yet; sequence first", code="NOT_SEQUENCED")
    last = _last_leaf(session, until)
    if last is not None and last >= covering.size:  # it waited for the sequencer beyond the period's end
        covering = _note(session, "size > ? ORDER BY size", last) or covering
    return Span(before, covering)


def _note(session: Session, where: str, value: int) -> SignedCheckpoint | None:
    found = store.rows(session, f"SELECT note FROM audit_checkpoint WHERE {where} LIMIT 1", (value,))
    return parse_signed_checkpoint(found[0][0].encode()) if found else None


def _last_leaf(session: Session, until: datetime) -> int | None:
    """Return the leaf of the last living event before `until`; event ids ascend with time, so their index tells."""
    bound = (micros(until) // 1000).to_bytes(_MILLISECONDS, "big") + bytes(_ID_BYTES - _MILLISECONDS)
    runs = store.read_runs(session)
    newest = store.rows(
        session,
        "SELECT seq FROM audit_event WHERE event_id < ? ORDER BY event_id DESC LIMIT ?",
        (bound, store.READ_ROWS),
    )
    return max((leaf for (seq,) in newest if (leaf := runs.leaf_of(seq)) is not None), default=None)


def event_lines(session: Session, span: Span, *, key: NoteKey, tell: Callable[[bytes | None], None]) -> Iterator[bytes]:
    """Yield the lines of `events.jsonl`; `tell` hears of each leaf's event, None where its opening is gone."""
    first, end = span.first, span.end
    node = store.nodes_over(session, [(0, first)] if first else [])
    peaks = [node(level, index) for level, index in subtrees(0, first)]
    told = store.rows(session, "SELECT count(*) FROM audit_checkpoint WHERE size BETWEEN ? AND ?", (max(first, 1), end))
    header = pack_header(key.vkey, first=first, peaks=peaks, leaves=end - first, checkpoints=told[0][0])
    runs = store.read_runs(session)
    for line in framed(contents_of(session, runs, header, first=first, end=end)):
        yield line
        if line.startswith(b'{"leaf"'):
            at = line.find(b'"event":')
            tell(None if at < 0 else line[at + 8 : line.rindex(b',"line":')])


def consistency_json(session: Session, *, old: int, new: int) -> bytes:
    """Return the consistency proof between two sizes of the log."""
    path = consistency_path(old, new, store.nodes_over(session, consistency_ranges(old, new)))
    return canonical({"old": old, "new": new, "path": [step.hex() for step in path]})


def accounting(session: Session, span: Span) -> SignedCheckpoint | None:
    """Return the checkpoint under which the events after the span are proved that tell of shredded openings.

    None where there is none, or where the span has all its openings.
    """
    runs = store.read_runs(session)
    if all(body is not None for _, _, body in leaf_rows(session, runs, first=span.first, end=span.end)):
        return None
    last = max(_accounts(session, runs, span.end), default=None)
    return None if last is None else _note(session, "size > ? ORDER BY size", last[0])


def account_lines(session: Session, span: Span, under: SignedCheckpoint) -> Iterator[bytes]:
    """Yield those events with their inclusion proofs, in the order of the log."""
    runs = store.read_runs(session)
    for leaf, seq in sorted(_accounts(session, runs, span.end)):
        if leaf >= under.size:
            return
        salt, body = store.rows(session, "SELECT leaf_salt, body FROM audit_event WHERE seq = ?", (seq,))[0]
        path = inclusion_path(leaf, under.size, store.nodes_over(session, inclusion_ranges(leaf, under.size)))
        told: dict[str, Any] = {"event": json.loads(body), "leaf": leaf, "path": [p.hex() for p in path]}
        yield canonical(told | {"salt": salt.hex()}) + b"\n"


def _accounts(session: Session, runs: store.Runs, first: int) -> Iterator[tuple[int, int]]:
    found = store.rows(
        session,
        "SELECT seq FROM audit_event WHERE kind = ? ORDER BY seq",
        (EventKind.AUDIT_OPENINGS_SHREDDED.value,),
    )
    for (seq,) in found:
        leaf = runs.leaf_of(seq)
        if leaf is not None and leaf >= first:
            yield leaf, seq
