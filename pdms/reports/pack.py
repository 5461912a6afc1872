"""The audit pack: one archive for a regulator, checked by the one file of code that lies in it.

Guarantee: what is in it is named by a manifest that the log's key signed; it holds random ids, codes, counts and the
texts of policies and notices, no member's data. The same state of the home and the same period give the same bytes
(with the same zlib), once the log tells of something after the period; before, the manifest tells when it was packed.
Written whole or not at all; memory stays flat. Its layout is told by `audit.verifier`.
"""

import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from sqlmodel import Session

from pdms.audit import pack as log
from pdms.audit import verifier
from pdms.audit.catalogue import EventKind
from pdms.audit.files import new_file
from pdms.audit.note import NoteKey, note_key, sign_note
from pdms.audit.verifier import canonical
from pdms.consent.standings import NoticeEvidence, Unproved, notices_before, standings
from pdms.db import begin
from pdms.errors import InvalidInput
from pdms.gate.versions import PolicyText, policies_between
from pdms.reports.pack_page import Contents, page, readme
from pdms.reports.pack_tally import Tally
from pdms.taxonomy import Language, Scope
from pdms.unit_of_work import UnitOfWork

_LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The oldest date that a zip can say; a real one would make two packs of the same period differ."""
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class PackResult:
    """Where the pack lies and what it covers. `manifest`: the SHA-256 that the log signed; `sha256`: of the file."""

    path: Path
    first: int
    end: int
    events: int
    shredded: int
    consents: int
    policies: int
    notices: int
    manifest: str
    sha256: str
    open: bool
    """Nothing of after the period is in the log yet that would show that all of it is here: pack it again later."""


def pack(uow: UnitOfWork, *, since: datetime, until: datetime, path: Path) -> PackResult:
    """Write the pack of `[since, until)` to `path`.

    :raises InvalidInput: the period is empty, the file cannot be written. :raises Conflict: it exists already.
    :raises Conflict: NOT_SEQUENCED, the log has no checkpoint yet.
    """
    uow.require(Scope.COMPLIANCE)
    if since >= until:
        raise InvalidInput("period: its end must lie after its beginning", code="PERIOD_EMPTY")
    # A read-only transaction of its own: nobody waits for a long archive, and it shows one state.
    with new_file(path) as file, begin(uow.main_engine, read_only=True) as session:
        result = _write(file, uow, session, since.astimezone(UTC), until.astimezone(UTC), path)
    uow.record(
        EventKind.AUDIT_PACKED,
        refs={"manifest": result.manifest},
        numbers={"leaves": result.end - result.first, "events": result.events, "consents": result.consents},
    )
    return result


def _write(
    file: BinaryIO, uow: UnitOfWork, session: Session, since: datetime, until: datetime, path: Path
) -> PackResult:
    key = note_key(uow.log_signer)
    span = log.span_of(session, since=since, until=until)
    tally = Tally(since=since, until=until)
    policies, notices = policies_between(session, since=since, until=until), list(notices_before(session, until))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        parts = _Archive(archive)
        parts.add(verifier.EVENTS, log.event_lines(session, span, key=key, tell=tally.event))
        parts.add(verifier.STATE, _states(session, until, tally, _unproved(session, span)))
        if span.before is not None:
            parts.add(verifier.BEFORE, [span.before.render().encode()])
        parts.add(verifier.AFTER, [span.after.render().encode()])
        parts.add(verifier.CONSISTENCY, [log.consistency_json(session, old=span.first, new=span.end)])
        _accounts(session, span, parts)
        for policy in {one.digest: one for one in policies}.values():
            parts.add(f"policies/{policy.digest}.json", [policy.content.encode()])
        for notice in notices:
            parts.add(f"notices/{notice.version}.json", [notice.content.encode()])
        contents = Contents(uow.origin, key.vkey, span, tally, policies, tuple(notices))
        for language in Language:
            parts.add(f"summary.{language.value}.html", [page(contents, language).encode()])
        parts.add("README.txt", [readme(key.vkey).encode()])
        parts.add("verifier.py", [Path(verifier.__file__).read_bytes()])
        manifest = canonical(_manifest(key, uow.origin, span, since, until, uow.now, parts.files, policies, notices))
        parts.add(verifier.MANIFEST, [manifest])
        signed = sign_note(verifier.manifest_text(uow.origin, manifest), uow.log_signer)
        parts.add(verifier.MANIFEST_NOTE, [signed.render().encode()])
        archive.comment = b"0" * verifier.COMMENT_BYTES
    return PackResult(
        path,
        span.first,
        span.end,
        tally.events,
        tally.shredded,
        tally.consents,
        len({one.digest for one in policies}),
        len(notices),
        sha256(manifest).hexdigest(),
        _seal(file),
        span.open,
    )


def _accounts(session: Session, span: log.Span, parts: "_Archive") -> None:
    under = log.accounting(session, span)
    if under is None:
        return
    parts.add(verifier.LATEST, [under.render().encode()])
    parts.add(verifier.LATEST_PROOF, [log.consistency_json(session, old=span.end, new=under.size)])
    parts.add(verifier.ACCOUNTS, log.account_lines(session, span, under))


def _manifest(
    key: NoteKey,
    origin: str,
    span: log.Span,
    since: datetime,
    until: datetime,
    packed_at: datetime,
    files: dict[str, dict[str, Any]],
    policies: Iterable[PolicyText],
    notices: Iterable[NoticeEvidence],
) -> dict[str, Any]:
    return {
        "format": verifier.PACK_FORMAT,
        "log": origin,
        "key": key.vkey,
        "older": [one.vkey for one in key.older],
        "since": _instant(since),
        "until": _instant(until),
        "open": _instant(packed_at) if span.open else "",
        "first": span.first,
        "end": span.end,
        "files": files,
        "policies": [{"digest": one.digest, "activated_at": _instant(one.activated_at)} for one in policies],
        "notices": [
            {"version": one.version, "notice": one.notice_id, "language": one.language,
             "published_at": _instant(one.published_at)}
            for one in notices
        ],
    }  # fmt: skip


def _unproved(session: Session, span: log.Span) -> Unproved:
    """Return the records whose events are not among the leaves: written since the log was last signed."""
    kinds = (EventKind.CONSENT_RECORDED, EventKind.CONSENT_WITHDRAWN, EventKind.CONSENT_INVALIDATED)
    records: set[str] = set()
    sets: set[tuple[str, datetime]] = set()
    for event in log.untold(session, span, kinds=kinds):
        if event["kind"] == EventKind.CONSENT_INVALIDATED:
            sets.add((event["purpose"], datetime.fromisoformat(event["at"])))
        else:
            records.add(event["refs"]["record"])
    return Unproved(frozenset(records), frozenset(sets))


def _states(session: Session, until: datetime, tally: Tally, unproved: Unproved) -> Iterator[bytes]:
    yield canonical({"as_of": _instant(until), "format": verifier.STATE_FORMAT}) + b"\n"
    for one in standings(session, before=until, unproved=unproved):
        tally.consent(one.purpose, one.state.value)
        yield (
            canonical(
                {
                    "member": one.member_id.hex(),
                    "purpose": one.purpose,
                    "recipient": one.recipient,
                    "record": one.record_id,
                    "state": one.state.value,
                    "type": one.type.value,
                    "at": _instant(one.occurred_at),
                    "known": _instant(one.known_at),
                    "notice": one.notice_version,
                    "categories": list(one.categories),
                    "channel": one.channel,
                    "source": one.source,
                }
            )
            + b"\n"
        )


class _Archive:
    """A zip whose bytes depend on its contents only."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.files: dict[str, dict[str, Any]] = {}

    def add(self, name: str, chunks: Iterable[bytes]) -> None:
        info = zipfile.ZipInfo(name, _LONG_AGO)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.create_system = 3
        info.external_attr = 0o100600 << 16
        digest, size = sha256(), 0
        with self._archive.open(info, "w", force_zip64=True) as out:
            for chunk in chunks:
                digest.update(chunk)
                size += len(chunk)
                out.write(chunk)
        self.files[name] = {"bytes": size, "sha256": digest.hexdigest()}


def _seal(file: BinaryIO) -> str:
    """Put the digest of all other bytes into the archive's comment; return the digest of the whole file, hex."""
    left = file.seek(0, 2) - verifier.COMMENT_BYTES
    file.seek(0)
    digest = sha256()
    while left:
        chunk = file.read(min(left, _CHUNK))
        digest.update(chunk)
        left -= len(chunk)
    comment = digest.hexdigest().encode()
    file.seek(-verifier.COMMENT_BYTES, 2)
    file.write(comment)
    digest.update(comment)
    return digest.hexdigest()


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
