"""The officer's access to the log: list, decisions, verify, prove, export. Verify and export are themselves events.

Guarantee: nothing here changes what was recorded. The verdict that counts is the one made on an export, elsewhere, by
`pdms.audit.verifier`, which needs neither this database nor trust in whoever runs it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind, Retention
from pdms.audit.checkpoint import parse_signed_checkpoint
from pdms.audit.events import Event
from pdms.audit.note import COSIGNATURE_V1, NoteKey, note_key
from pdms.db import begin
from pdms.errors import Conflict, InvalidInput
from pdms.rights import ledger
from pdms.taxonomy import MemberId, Scope
from pdms.unit_of_work import UnitOfWork

LARGEST_CHECKPOINT = 1 << 16
"""Bytes; the parser refuses far smaller ones, so that none is cut to a valid one."""


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One event as officers read it: ids, codes and numbers only."""

    seq: int
    leaf_index: int | None
    event_id: str
    at: datetime
    kind: str
    actor: str
    member_id: str | None
    purpose: str | None
    outcome: str
    reasons: tuple[str, ...]
    refs: dict[str, str]
    numbers: dict[str, int]


@dataclass(frozen=True, slots=True)
class LogPage:
    """A page of events; `next` is the cursor of the following page, None on the last."""

    items: tuple[LogEvent, ...]
    next: int | None


@dataclass(frozen=True, slots=True)
class LogHead:
    """The newest signed checkpoint, and the public key that checks it."""

    note: str
    size: int
    vkey: str


def list_events(
    uow: UnitOfWork,
    *,
    kinds: Sequence[str] = (),
    member_id: MemberId | None = None,
    purpose: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    after: int | None = None,
    limit: int = 100,
) -> LogPage:
    """List events, newest first.

    :raises InvalidInput: an unknown kind or purpose, a period that ends before it begins, a limit out of bounds.
    """
    uow.require(Scope.COMPLIANCE)
    _check(uow, purpose, since, until)
    unknown = [kind for kind in kinds if kind not in set(EventKind)]
    if unknown:
        raise InvalidInput("kind: not an event kind of the catalogue")
    page = audit.list_events(
        uow.session,
        kinds=[EventKind(kind) for kind in kinds],
        member_id=member_id.hex() if member_id else None,
        purpose=purpose,
        since=since,
        until=until,
        after=after,
        limit=limit,
    )
    return _page(page)


def decisions(
    uow: UnitOfWork,
    *,
    purpose: str | None = None,
    denied: bool | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    after: int | None = None,
    limit: int = 100,
) -> LogPage:
    """List permits and denials with their reasons, newest first. :raises InvalidInput: as `list_events`."""
    uow.require(Scope.COMPLIANCE)
    _check(uow, purpose, since, until)
    page = audit.decisions(
        uow.session, purpose=purpose, denied=denied, since=since, until=until, after=after, limit=limit
    )
    return _page(page)


def _check(uow: UnitOfWork, purpose: str | None, since: datetime | None, until: datetime | None) -> None:
    """Refuse what nothing can ever be found for: an officer would read it as "it never happened"."""
    if since is not None and until is not None and since >= until:
        raise InvalidInput("period: its end must lie after its beginning", code="PERIOD_EMPTY")
    known = purpose is None or purpose in uow.policy.purposes
    if not known and not audit.list_events(uow.session, purpose=purpose, limit=1).items:
        raise InvalidInput("purpose: neither the policy in force nor the log knows one of that name")


def head(uow: UnitOfWork) -> LogHead:
    """Return the newest checkpoint, for keeping outside: it convicts whoever rewrites the log later."""
    uow.require(Scope.COMPLIANCE)
    signed = audit.checkpoint(uow.session)
    if signed is None:
        raise Conflict("log: nothing is sequenced yet")
    # A checkpoint that is kept elsewhere lets a restore tell an old copy of the ledger: so the ledger must know it.
    ledger_key = uow.keys.system_key(ledger.LABEL)
    ledger.extend(uow.session, path=uow.home.rights_ledger, key=ledger_key, now=uow.now, mark=True)
    return LogHead(signed.note.render(), signed.checkpoint.size, _key(uow).vkey)


def verify(uow: UnitOfWork, *, earlier: Path | None = None) -> audit.VerifyReport:
    """Recompute the whole log. With an `earlier` checkpoint kept outside, a rewritten history is found too.

    :raises InvalidInput: the checkpoint's file cannot be read.
    """
    uow.require(Scope.COMPLIANCE)
    known = parse_signed_checkpoint(_small(earlier)) if earlier is not None else None
    with begin(uow.main_engine, read_only=True) as session:  # of its own: nobody waits for a long log
        report = audit.verify(session, key=_key(uow), earlier=known)
    uow.record(EventKind.AUDIT_VERIFIED, numbers={"leaves": report.size, "problems": len(report.problems)})
    return report


def prove(uow: UnitOfWork, *, event_id: str) -> dict[str, Any]:
    """Return the proof that an event is in the log, to be checked offline."""
    uow.require(Scope.COMPLIANCE)
    return audit.prove(uow.session, event_id).to_json()


def export(uow: UnitOfWork, *, path: Path) -> audit.ExportResult:
    """Write the whole log to one file. :raises Conflict: it exists. :raises InvalidInput: it cannot be written."""
    uow.require(Scope.COMPLIANCE)
    with begin(uow.main_engine, read_only=True) as session:  # of its own: nobody waits for a long file
        result = audit.export(session, path, key=_key(uow))
    uow.record(EventKind.AUDIT_EXPORTED, numbers={"leaves": result.leaves})
    return result


def cosign(uow: UnitOfWork, *, path: Path, witness: str) -> LogHead:
    """Take in a checkpoint of this log that a witness cosigned (C2SP); exports and packs carry it from then on.

    :param path: the cosigned note. :param witness: the witness's vkey.
    :raises InvalidInput: note or key cannot be read. :raises NotFound: it is none of this log's checkpoints.
    :raises IntegrityBroken: NOTE_UNSIGNED or BAD_SIGNATURE, the witness did not sign it.
    """
    uow.require(Scope.COMPLIANCE)
    key = NoteKey.from_vkey(witness)
    if key.kind != COSIGNATURE_V1:
        raise InvalidInput("witness: the key of a cosignature is needed", code="KEY_KIND")
    signed = audit.add_cosignature(uow.session, cosigned=_small(path), witness=key)
    uow.record(EventKind.AUDIT_COSIGNED, numbers={"leaves": signed.size})
    return LogHead(signed.render(), signed.size, _key(uow).vkey)


def purge(uow: UnitOfWork, *, retention: str, before: datetime) -> int:
    """Empty openings of one class that are older than `before`, and say so in the log; return how many.

    :param retention: network_log, record or proof. :raises InvalidInput: another class.
    :raises Conflict: RETENTION_FLOOR, the law keeps them longer (CSL-23(3), PIPL-56-2, Civil Code 188).
    """
    uow.require(Scope.COMPLIANCE)
    if retention not in set(Retention):
        raise InvalidInput("class: network_log, record or proof")
    return audit.purge_openings(
        uow.session, retention=Retention(retention), before=before, now=uow.now, actor=uow.actor.id
    )


def _small(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_CHECKPOINT + 1)
    except OSError as error:
        raise InvalidInput(f"checkpoint: cannot be read ({error.strerror})") from None


def _key(uow: UnitOfWork) -> NoteKey:
    return note_key(uow.log_signer)


def _page(page: audit.EventPage) -> LogPage:
    return LogPage(tuple(_shown(i.seq, i.leaf_index, i.event) for i in page.items), page.next)


def _shown(seq: int, leaf_index: int | None, event: Event) -> LogEvent:
    return LogEvent(
        seq,
        leaf_index,
        event.event_id,
        event.at,
        event.kind.value,
        event.actor,
        event.member_id,
        event.purpose,
        event.outcome.value,
        tuple(event.reasons),
        dict(event.refs),
        dict(event.numbers),
    )
