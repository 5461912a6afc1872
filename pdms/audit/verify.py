"""Verification of the log where it lies: everything is computed again and compared with everything that is stored.

Guarantee: memory stays flat however long the log. Found and placed at its leaf: a changed, moved or removed event, a
changed column beside it, a tile or checkpoint that does not fit, an opening that vanished without the event that says
so. Not found without something held outside (an earlier checkpoint): a log written anew from its beginning and signed
again by its own key, or cut at an older checkpoint; hence the assurance in the report.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from pdms.audit import store
from pdms.audit.catalogue import EventKind
from pdms.audit.checkpoint import SignedCheckpoint, parse_signed_checkpoint
from pdms.audit.events import Event, leaf_of, micros
from pdms.audit.merkle import DIGEST_BYTES, Frontier
from pdms.audit.note import NoteKey, verify_note
from pdms.audit.tiles import FULL_BYTES, WIDTH, Edge, TileKey
from pdms.audit.verifier import Assurance, Problem, Problems
from pdms.errors import IntegrityBroken

_CHUNK = WIDTH * 256


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was found. `unsequenced` events are committed and wait for the sequencer; that alone is no problem."""

    size: int
    root: bytes
    openings: int
    shredded: int
    unsequenced: int
    checkpoints: int
    problems: tuple[Problem, ...]
    problem_count: int
    assurance: Assurance

    @property
    def ok(self) -> bool:
        """True when nothing was found."""
        return self.problem_count == 0


@dataclass(slots=True)
class _Openings:
    living: int = 0
    shredded: int = 0
    accounted: int = 0
    """Shredded openings that an event tells of."""

    def tell(self, event: Event) -> None:
        self.living += 1
        if event.kind is EventKind.AUDIT_OPENINGS_SHREDDED:
            self.accounted += event.numbers.get("openings", 0)


def verify(session: Session, *, key: NoteKey, earlier: SignedCheckpoint | None = None) -> VerifyReport:
    """Check the whole log.

    :param key: the log's public key. :param earlier: a checkpoint kept outside, by a receipt or an export.
    """
    found, openings = Problems(), _Openings()
    runs = store.read_runs(session)
    states = _checkpoints(session, key, found)
    if earlier is not None:
        _check_earlier(earlier, key, runs.size, found)
    tree = Frontier()
    edge = Edge(0, {})
    due = sorted({*states, *({earlier.size} if earlier is not None else ())})
    for chunk in _leaves(session, runs, openings, found):
        for leaf in chunk:
            tree.append(leaf)
            if due and tree.size == due[0]:
                due.pop(0)
                _compare_root(tree, states.get(tree.size), earlier, found)
        _compare_tiles(session, edge.append(b"".join(chunk)), found, whole_only=True)
    _compare_tiles(session, edge.partial(), found, whole_only=False)
    _stray_tiles(session, tree.size, found)
    if tree.size and tree.size not in states:
        found.add("CHECKPOINT_MISSING", "no checkpoint speaks for the whole tree")
    for size in due:
        if size > tree.size:
            found.add("CHECKPOINT_BEYOND", f"a checkpoint speaks of {size} leaves, the log holds fewer", leaf=tree.size)
    unsequenced = _unsequenced(session, runs, openings, found)
    if openings.shredded > openings.accounted:
        found.add("OPENINGS_MISSING", f"{openings.shredded - openings.accounted} openings are gone unaccounted for")
    assurance = Assurance.EARLIER if earlier is not None else Assurance.SELF_CONSISTENT
    return VerifyReport(
        tree.size,
        tree.root(),
        openings.living,
        openings.shredded,
        unsequenced,
        len(states),
        found.listed(),
        found.count,
        Assurance.BROKEN if found.count else assurance,
    )


def _checkpoints(session: Session, key: NoteKey, found: Problems) -> dict[int, bytes]:
    states: dict[int, bytes] = {}
    for size, root, text in store.rows(session, "SELECT size, root, note FROM audit_checkpoint ORDER BY size"):
        states[size] = root
        try:
            signed = parse_signed_checkpoint(text.encode())
            verify_note(signed.note, key)
        except IntegrityBroken as error:
            found.add(error.code, f"checkpoint of {size} leaves: {error.message}")
            continue
        if (signed.size, signed.root, signed.checkpoint.origin) != (size, root, key.name):
            found.add("CHECKPOINT_DIFFERS", f"checkpoint of {size} leaves: its note says something else")
            states[size] = signed.root
    return states


def _check_earlier(earlier: SignedCheckpoint, key: NoteKey, size: int, found: Problems) -> None:
    try:
        verify_note(earlier.note, key)
    except IntegrityBroken as error:
        found.add(error.code, f"earlier checkpoint: {error.message}")
    if earlier.checkpoint.origin != key.name:
        found.add("CHECKPOINT_DIFFERS", "earlier checkpoint: it is of another log")
    if earlier.size > size:
        found.add("LOG_SHORTER", f"the log holds {size} leaves, the earlier checkpoint {earlier.size}", leaf=size)


def _compare_root(tree: Frontier, stored: bytes | None, earlier: SignedCheckpoint | None, found: Problems) -> None:
    root = tree.root()
    if stored is not None and stored != root:
        found.add("ROOT_DIFFERS", f"the first {tree.size} leaves do not lead to the checkpoint's root")
    if earlier is not None and earlier.size == tree.size and earlier.root != root:
        found.add("HISTORY_DIFFERS", f"the first {tree.size} leaves are not those of the earlier checkpoint")


def _leaves(session: Session, runs: store.Runs, openings: _Openings, found: Problems) -> Iterator[list[bytes]]:
    """Yield the leaf digests in order, in chunks of whole tiles, checking each row against its tile on the way."""
    rows = _rows_by_leaf(session, runs)
    for start in range(0, runs.size, _CHUNK):
        end = min(start + _CHUNK, runs.size)
        stored = store.rows(
            session,
            "SELECT position, digests FROM audit_tile WHERE level = 0 AND position >= ? AND position < ?",
            (start // WIDTH, -(-end // WIDTH)),
        )
        tiles: dict[int, bytes] = dict(stored)
        chunk = []
        for index in range(start, end):
            row = next(rows)
            offset = index % WIDTH * DIGEST_BYTES
            kept = tiles.get(index // WIDTH, b"")[offset : offset + DIGEST_BYTES]
            chunk.append(_check_row(row, kept, index, openings, found))
        yield chunk


def _rows_by_leaf(session: Session, runs: store.Runs) -> Iterator[Any]:
    """Yield one row, or None where it is missing, for each leaf in order."""
    for run in runs.by_leaf():
        expected, end = run.first_seq, run.first_seq + run.length
        while expected < end:
            batch = _rows_between(session, expected, end)
            for row in batch:
                while expected < row[0]:
                    yield None
                    expected += 1
                yield row
                expected += 1
            if len(batch) < _CHUNK:
                for _ in range(expected, end):
                    yield None
                expected = end


def _rows_between(session: Session, first: int, end: int | None) -> list[tuple[Any, ...]]:
    return store.rows(
        session,
        "SELECT seq, event_id, kind, at, member_id, purpose, leaf, leaf_salt, body FROM audit_event"
        " WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT ?",
        (first, store.NO_END if end is None else end, _CHUNK),
    )


def _check_row(row: Any, kept: bytes, index: int, openings: _Openings, found: Problems) -> bytes:
    """Return the leaf digest to go on with: the tile's, so that one changed row does not hide what follows it."""
    if len(kept) != DIGEST_BYTES:
        found.add("TILE_MISSING", "the tree holds no digest for this leaf", leaf=index)
        kept = b""
    if row is None:
        found.add("EVENT_MISSING", "the row of this leaf is gone", leaf=index)
        return kept or bytes(DIGEST_BYTES)
    leaf: bytes = row[6]
    if kept and leaf != kept:
        found.add("LEAF_DIFFERS", "the row's digest is not the tree's", leaf=index)
    _check_opening(row, openings, found, leaf=index)
    return kept or leaf


def _check_opening(row: Any, openings: _Openings, found: Problems, *, leaf: int | None) -> None:
    _, event_id, kind, at, member_id, purpose, digest, salt, body = row
    if body is None or salt is None:
        if any(part is not None for part in (event_id, kind, at, member_id, purpose, salt, body)):
            found.add("OPENING_PARTIAL", "an opening is neither whole nor shredded", leaf=leaf)
        openings.shredded += 1
        return
    # SQLite stores any type in any column: whoever tampers may have left text where bytes belong.
    if not (isinstance(salt, bytes) and isinstance(body, bytes)) or leaf_of(salt, body) != digest:
        found.add("OPENING_DIFFERS", "the event is not the one whose digest is in the log", leaf=leaf)
        return
    try:
        event = Event.from_canonical(body)
    except IntegrityBroken as error:
        found.add(error.code, error.message, leaf=leaf)
        return
    openings.tell(event)
    member = None if event.member_id is None else bytes.fromhex(event.member_id)
    if (bytes.fromhex(event.event_id), event.kind.value, micros(event.at), member, event.purpose) != (
        event_id,
        kind,
        at,
        member_id,
        purpose,
    ):
        found.add("COLUMN_DIFFERS", "a column beside the event says something else", leaf=leaf)


def _compare_tiles(session: Session, tiles: dict[TileKey, bytes], found: Problems, *, whole_only: bool) -> None:
    # Level 0 was compared row by row; tiles still filling are compared once, at the end.
    wanted = {
        key: digests for key, digests in tiles.items() if key[0] and (len(digests) == FULL_BYTES or not whole_only)
    }
    stored = store.read_tiles(session, wanted)
    for key, digests in wanted.items():
        if stored.get(key) != digests:
            span = WIDTH ** (key[0] + 1)
            found.add("TILE_DIFFERS", f"level {key[0]} of the stored tree, over {span} leaves", leaf=key[1] * span)


def _stray_tiles(session: Session, size: int, found: Problems) -> None:
    expected, count = 0, size
    while count:
        expected += -(-count // WIDTH)
        count //= WIDTH
    if store.rows(session, "SELECT count(*) FROM audit_tile")[0][0] > expected:
        found.add("TILE_STRAY", "the stored tree has tiles beyond its size", leaf=size)


def _unsequenced(session: Session, runs: store.Runs, openings: _Openings, found: Problems) -> int:
    count = 0
    for first, end in runs.outside():
        while batch := _rows_between(session, first, end):
            for row in batch:
                _check_opening(row, openings, found, leaf=None)
            count += len(batch)
            first = batch[-1][0] + 1  # noqa: PLW2901 - the next page begins after this one
    return count
