"""The log in its database: append, sequence, prove, shred. Functions take a session and never commit.

Guarantee: what `append` was given is committed with whatever else the session did, or not at all. `sequence` puts
committed events, each once, into the one tree and signs its head; it runs in a transaction of its own, so that writers
never wait for the tree. Proofs speak about the newest signed checkpoint. It does not decide what is worth an event, and
it cannot be switched off.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlmodel import Session

from pdms.audit import store
from pdms.audit.catalogue import CATALOGUE, EventKind, Retention
from pdms.audit.checkpoint import Checkpoint, SignedCheckpoint, parse_signed_checkpoint, sign_checkpoint
from pdms.audit.events import SALT_BYTES, Event, micros
from pdms.audit.export import ExportResult, export
from pdms.audit.merkle import (
    consistency_ranges,
    inclusion_path,
    inclusion_ranges,
    join_peaks,
    range_digest,
)
from pdms.audit.note import NamedSigner, NoteKey, note_key, verify_note
from pdms.audit.reading import EventPage, StoredEvent, count_by_kind, decisions, list_events
from pdms.audit.retention import SHRED, shred_before
from pdms.audit.store import sql
from pdms.audit.tiles import Edge, edge_keys
from pdms.audit.verifier import Assurance, Problem
from pdms.audit.verify import VerifyReport, verify
from pdms.errors import Conflict, InvalidInput, NotFound

APPEND_ROWS = 4096
"""Rows a statement: enough to forget its overhead, few enough to stay in the processor's cache."""

__all__ = [
    "Assurance",
    "Checkpoint",
    "ConsistencyProof",
    "EventPage",
    "ExportResult",
    "InclusionProof",
    "Problem",
    "ShredResult",
    "SignedCheckpoint",
    "StoredEvent",
    "VerifyReport",
    "add_cosignature",
    "append",
    "checkpoint",
    "consistency",
    "count_by_kind",
    "decisions",
    "export",
    "list_events",
    "note_key",
    "prove",
    "purge_openings",
    "sequence",
    "shred_openings",
    "verify",
]


_PLACE_OF_EVENT = """
    SELECT e.leaf_salt, e.body, r.first_leaf + e.seq - r.first_seq,
           (SELECT c.note FROM audit_checkpoint c ORDER BY c.size DESC LIMIT 1)
    FROM audit_event e LEFT JOIN audit_run r ON r.first_seq <= e.seq AND e.seq < r.first_seq + r.length
    WHERE e.event_id = ?"""


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That an event is in the log: everything needed to check it, but for the log's public key."""

    event_id: str
    leaf_index: int
    salt: bytes
    event: bytes
    """Canonical bytes; the leaf digest is SHA-256(0x00, salt, event)."""
    path: tuple[bytes, ...]
    checkpoint: SignedCheckpoint

    def to_json(self) -> dict[str, Any]:
        """Return the proof as a receipt carries it."""
        return {
            "event": self.event.decode(),
            "salt": self.salt.hex(),
            "leaf_index": self.leaf_index,
            "path": [step.hex() for step in self.path],
            "checkpoint": self.checkpoint.render(),
        }


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """That the log of `old_size` leaves is the beginning of the log at `checkpoint`."""

    old_size: int
    old_root: bytes
    path: tuple[bytes, ...]
    checkpoint: SignedCheckpoint

    def to_json(self) -> dict[str, Any]:
        """Return the proof as JSON."""
        return {
            "old_size": self.old_size,
            "old_root": self.old_root.hex(),
            "path": [step.hex() for step in self.path],
            "checkpoint": self.checkpoint.render(),
        }


@dataclass(frozen=True, slots=True)
class ShredResult:
    """How many openings of one member were shredded, and how many stay as minimal proof."""

    shredded: int
    kept: int


def append(session: Session, events: Sequence[Event]) -> None:
    """Add events to the transaction of `session`; they reach the tree with the next `sequence` after its commit."""
    for start in range(0, len(events), APPEND_ROWS):
        store.insert_events(session, _rows(events[start : start + APPEND_ROWS]))


def _rows(events: Sequence[Event]) -> list[tuple[Any, ...]]:
    salts = os.urandom(SALT_BYTES * len(events))
    rows: list[tuple[Any, ...]] = []
    instant_of, at_micros = None, 0
    for position, event in enumerate(events):
        salt = salts[position * SALT_BYTES : (position + 1) * SALT_BYTES]
        body = event.canonical()
        leaf = sha256(b"\x00" + salt + body).digest()  # leaf_of, without its two calls
        if event.at is not instant_of:  # a unit of work has one instant for all its events
            instant_of, at_micros = event.at, micros(event.at)
        rows.append(
            (
                bytes.fromhex(event.event_id),
                event.kind._value_,
                at_micros,
                None if event.member_id is None else bytes.fromhex(event.member_id),
                event.purpose,
                leaf,
                salt,
                body,
            )
        )
    return rows


def sequence(session: Session, *, signer: NamedSigner, now: datetime) -> Checkpoint | None:
    """Put committed events into the tree, in the order of their rows, and sign its new head.

    Give it a fresh session: it takes the write lock, so that of two processes one waits and then finds nothing to do.
    :returns: the new checkpoint, or None where nothing was new.
    :raises IntegrityBroken: the stored tree's edge does not match its size.
    """
    store.lock(session)
    runs = store.read_runs(session)
    edge = Edge(runs.size, store.read_tiles(session, edge_keys(runs.size)))
    for first, end in runs.outside():
        for batch in store.leaves_between(session, first, end):
            _add_runs(session, batch, first_leaf=edge.size)
            store.write_tiles(session, edge.append(b"".join([leaf for _, leaf in batch])))
    if edge.size == runs.size:
        return None
    head = Checkpoint(signer.name, edge.size, edge.root())
    sql(
        session,
        "INSERT INTO audit_checkpoint (size, root, note, at) VALUES (?, ?, ?, ?)",
        (head.size, head.root, sign_checkpoint(head, signer).render(), micros(now)),
    )
    return head


def _add_runs(session: Session, batch: list[tuple[int, bytes]], *, first_leaf: int) -> None:
    start = 0
    while start < len(batch):
        first_seq = batch[start][0]
        end = len(batch)
        if batch[-1][0] - first_seq != end - start - 1:  # rows are missing in between: look where
            end = next(at for at in range(start + 1, len(batch) + 1) if _breaks(batch, at))
        store.add_run(session, first_leaf=first_leaf + start, first_seq=first_seq, length=end - start)
        start = end


def _breaks(batch: list[tuple[int, bytes]], at: int) -> bool:
    return at == len(batch) or batch[at][0] != batch[at - 1][0] + 1


def checkpoint(session: Session) -> SignedCheckpoint | None:
    """Return the newest checkpoint, None while the tree is empty."""
    found = store.rows(session, "SELECT note FROM audit_checkpoint ORDER BY size DESC LIMIT 1")
    return parse_signed_checkpoint(found[0][0].encode()) if found else None


def prove(session: Session, event_id: str) -> InclusionProof:
    """Prove that an event is in the tree of the newest checkpoint.

    :raises NotFound: there is no such event, or its opening was shredded.
    :raises Conflict: it is committed but not sequenced yet.
    """
    try:
        key = bytes.fromhex(event_id)
    except ValueError:
        raise InvalidInput("event id: must be hex digits", code="EVENT_ID") from None
    found = store.rows(session, _PLACE_OF_EVENT, (key,))
    if not found:
        raise NotFound("audit event: none with this id has an opening")
    salt, body, index, note = found[0]
    if index is None or note is None:
        raise Conflict("audit event: committed, but not in the tree yet; sequence first", code="NOT_SEQUENCED")
    head = parse_signed_checkpoint(note.encode())
    node = store.nodes_over(session, inclusion_ranges(index, head.size))
    return InclusionProof(event_id, index, salt, body, inclusion_path(index, head.size, node), head)


def consistency(session: Session, *, old_size: int) -> ConsistencyProof:
    """Prove that the log of `old_size` leaves is the beginning of the newest checkpoint's.

    :raises InvalidInput: the log was never that long. :raises NotFound: there is no checkpoint yet.
    """
    head = checkpoint(session)
    if head is None:
        raise NotFound("audit log: no checkpoint yet")
    ranges = consistency_ranges(old_size, head.size)
    # What the proof holds of the older tree are its complete subtrees, right to left: they lead to its root.
    inside = [place for place, (_, end) in enumerate(ranges) if end <= old_size]
    node = store.nodes_over(session, ranges if inside else [*ranges, (0, old_size)])
    path = tuple(range_digest(start, end, node) for start, end in ranges)
    old_root = join_peaks([path[place] for place in reversed(inside)]) if inside else range_digest(0, old_size, node)
    return ConsistencyProof(old_size, old_root, path, head)


def add_cosignature(session: Session, *, cosigned: bytes, witness: NoteKey) -> SignedCheckpoint:
    """Keep a witness's cosignature on a checkpoint of this log.

    :raises NotFound: no checkpoint of ours has that text. :raises IntegrityBroken: the cosignature does not hold.
    """
    theirs = parse_signed_checkpoint(cosigned)
    verify_note(theirs.note, witness)
    found = store.rows(session, "SELECT note FROM audit_checkpoint WHERE size = ?", (theirs.size,))
    ours = parse_signed_checkpoint(found[0][0].encode()) if found else None
    if ours is None or ours.note.text != theirs.note.text:
        raise NotFound("checkpoint: this log has none with that text")
    note = ours.note
    for signature in theirs.note.signatures:
        if (signature.name, signature.key_id) == (witness.name, witness.key_id) and signature not in note.signatures:
            note = note.signed(signature)
    sql(session, "UPDATE audit_checkpoint SET note = ? WHERE size = ?", (note.render(), ours.size))
    return SignedCheckpoint(ours.checkpoint, note)


def shred_openings(
    session: Session, member_id: str, *, now: datetime, actor: str, refs: Mapping[str, str] | None = None
) -> ShredResult:
    """Empty the openings that name an erased member, but for the minimal proof; their leaves stay in the tree.

    An event of its own says how many, so that verification can tell a shredded opening from a stolen one.
    :param member_id: 32 hex digits. :param refs: e.g. the request that asked for it.
    """
    try:
        key = bytes.fromhex(member_id)
    except ValueError:
        raise InvalidInput("member id: must be hex digits", code="MEMBER_ID") from None
    dying = [kind.value for kind, entry in CATALOGUE.items() if entry.dies_with_member]
    marks = ",".join("?" * len(dying))
    concerned, bound = store.of_member(session, key)
    shredded = sql(session, f"{SHRED} {concerned} AND kind IN ({marks})", (*bound, *dying)).rowcount
    kept = store.rows(session, f"SELECT count(*) FROM audit_event WHERE {concerned}", bound)[0][0]
    if shredded:
        event = Event(
            EventKind.AUDIT_OPENINGS_SHREDDED, now, actor, refs=refs or {}, numbers={"openings": shredded, "kept": kept}
        )
        append(session, [event])
    return ShredResult(shredded, kept)


def purge_openings(session: Session, *, retention: Retention, before: datetime, now: datetime, actor: str) -> int:
    """Empty openings whose time is over, with the event that says how many; return the number.

    :raises Conflict: RETENTION_FLOOR, the law keeps them longer.
    """
    shredded = shred_before(session, retention=retention, before=before, now=now)
    if shredded:
        refs = {"retention": retention.value}
        append(
            session, [Event(EventKind.AUDIT_OPENINGS_SHREDDED, now, actor, refs=refs, numbers={"openings": shredded})]
        )
    return shredded
