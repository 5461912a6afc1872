"""The log's part of a pack: which leaves a period has, their lines, and the proofs between its checkpoints.

Guarantee: the leaves run from a checkpoint signed before the period to one that covers everything sequenced by its end,
so that no event of the period lies outside, also where its opening was shredded; the first living event is older than
the period and the last one younger, which shows it, but where the log begins or ends there.
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
    open: bool
    """The log tells of nothing at or after the period's end yet: its newest checkpoint is the end."""

    @property
    def first(self) -> int:
        """Index of the first leaf."""
        return self.before.size if self.before is not None else 0

    @property
    def end(self) -> int:
        """Index after the last leaf."""
        return self.after.size


def span_of(session: Session, *, since: datetime, until: datetime) -> Span:
    """Return the leaves that a period needs: so many that an event before it and one after it show that all is there.

    Where openings of its edges are gone, it reaches as far as the next that lives, or the log's beginning or end.
    :param since: inclusive. :param until: exclusive. :raises Conflict: the log has no checkpoint yet.
    """
    runs = store.read_runs(session)
    newest = _note(session, "size >= ? ORDER BY size DESC", 0)
    if newest is None:
        raise Conflict("audit log: no checkpoint yet; sequence first", code="NOT_SEQUENCED")
    before = _note(session, "at < ? ORDER BY size DESC", micros(since))
    after = _note(session, "at >= ? ORDER BY size", micros(until)) or newest
    last = _last_leaf(session, until)
    if last is not None and last >= after.size:  # it waited for the sequencer beyond the period's end
        after = _note(session, "size > ? ORDER BY size", last) or newest
    end = newest.size
    while before is not None:
        opened = _living(session, runs, first=before.size, end=end)
        if opened is not None and opened < since:
            break
        end = before.size if opened is None else end
        before = _note(session, "size < ? ORDER BY size DESC", before.size)
    first, last_at = before.size if before is not None else 0, None
    while True:
        last_at = _living(session, runs, first=first, end=after.size, newest=True) or last_at
        if (last_at is not None and last_at >= until) or after.size == newest.size:
            return Span(before, after, open=last_at is None or last_at < until)
        first = after.size
        after = _note(session, "size > ? ORDER BY size", after.size) or newest


def _living(session: Session, runs: store.Runs, *, first: int, end: int, newest: bool = False) -> datetime | None:
    """Return the instant of the first living event of the leaves `first..end`, or of the last; None: none lives."""
    order = "DESC" if newest else "ASC"
    for run in sorted(runs.by_leaf(), key=lambda run: run.first_leaf, reverse=newest):
        seq = run.first_seq + max(0, first - run.first_leaf)
        last = run.first_seq + min(run.length, end - run.first_leaf)
        found = seq < last and store.rows(
            session,
            "SELECT body FROM audit_event WHERE seq >= ? AND seq < ? AND body IS NOT NULL"
            f" ORDER BY seq {order} LIMIT 1",
            (seq, last),
        )
        if found:
            return datetime.fromisoformat(json.loads(found[0][0])["at"])
    return None


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


def untold(session: Session, span: Span, *, kinds: tuple[EventKind, ...]) -> Iterator[dict[str, Any]]:
    """Yield the living events of these kinds that lie after the span, or in no tree yet."""
    runs = store.read_runs(session)
    ranges = list(runs.outside())
    ranges += [
        (run.first_seq + max(0, span.end - run.first_leaf), run.first_seq + run.length)
        for run in runs.by_seq
        if run.first_leaf + run.length > span.end
    ]
    marks = ",".join("?" * len(kinds))
    for first, end in ranges:
        for (body,) in store.rows(
            session,
            f"SELECT body FROM audit_event WHERE seq >= ? AND seq < ? AND kind IN ({marks}) AND body IS NOT NULL",
            (first, store.NO_END if end is None else end, *(kind.value for kind in kinds)),
        ):
            yield json.loads(body)


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
