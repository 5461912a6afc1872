"""The rights ledger: what members decided, in a file outside every backup, for a restore to replay.

One line for each erasure, withdrawal, refusal, opt-out, restriction set or lifted and correction (the field's name,
never a value), and marks that say how far the log had come. Guarantees: a line is on disk before the operation that it
tells of is acknowledged; lines are never changed, each authenticates all before it (HMAC under the system key
`rights-ledger`). What a crash kept out of the file is added from the log and the records by the next `extend`.

Lines cut off its end are not missed by the file itself: who restores compares it with the backup and with any newer
checkpoint at hand. It holds random member ids; keep copies of it with the care due to the databases.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.audit.events import Event, Outcome
from pdms.audit.store import rows as audit_rows
from pdms.consent import replay as consent
from pdms.crypto import BlindIndex, same_bytes
from pdms.db import Lock, Session, await_holders, begin, on_postgres
from pdms.disk import sync_folder
from pdms.errors import Conflict, IntegrityBroken
from pdms.taxonomy import ConsentState, MemberId

LABEL: Final = "rights-ledger"
_START: Final = b"pdms-rights-ledger-1"
_LONGEST_LINE: Final = 2048
_MARK_EVERY: Final = 10_000
"""Rows that concern no right are passed over once: after so many a mark notes that they were looked at."""
_BATCH: Final = 4096
_TEXTS: Final = ("purpose", "recipient", "restriction", "channel", "field", "request")
_TAIL: Final = re.compile(rb',"mac":"([0-9a-f]{64})"\}\n')


class What(StrEnum):
    """Kinds of line."""

    ERASURE = "erasure"
    WITHDRAWAL = "withdrawal"
    REFUSAL = "refusal"
    INVALIDATION = "invalidation"
    OPT_OUT = "opt-out"
    RESTRICTION_SET = "restriction-set"
    RESTRICTION_LIFTED = "restriction-lifted"
    CORRECTION = "correction"
    MARK = "mark"
    """How far the log had come; concerns nobody."""
    RESTORED = "restored"
    """From here on the sequence numbers are those of a restored home."""


STOPPING: Final = {
    What.WITHDRAWAL: ConsentState.WITHDRAWN,
    What.REFUSAL: ConsentState.REFUSED,
    What.INVALIDATION: ConsentState.INVALIDATED,
}
_FROM_LOG: Final = {
    EventKind.ERASE_INTENT: What.ERASURE,
    EventKind.OPTOUT_USED: What.OPT_OUT,
    EventKind.MEMBER_CORRECTED: What.CORRECTION,
}
_FROM_RECORDS: Final = frozenset(
    {
        EventKind.CONSENT_WITHDRAWN,
        EventKind.CONSENT_IMPORTED,
        EventKind.CONSENT_INVALIDATED,
        EventKind.RESTRICTION_SET,
        EventKind.RESTRICTION_LIFTED,
    }
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `log`, `consents`, `restrictions`: the last rows of each that the ledger has seen with this line."""

    number: int
    what: What
    at: datetime
    log: int
    consents: int
    restrictions: int
    size: int
    """Leaves of the newest checkpoint when it was written."""
    member_id: MemberId | None = None
    purpose: str = ""
    recipient: str = ""
    restriction: str = ""
    channel: str = ""
    field: str = ""
    request: str = ""
    mac: str = ""

    def body(self) -> bytes:
        """Return the line without its authentication: JSON, ASCII, keys sorted, empty parts left out."""
        parts: dict[str, Any] = {
            "n": self.number,
            "what": self.what.value,
            "at": self.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "log": self.log,
            "consents": self.consents,
            "restrictions": self.restrictions,
            "size": self.size,
            "member": self.member_id.hex() if self.member_id is not None else "",
            "purpose": self.purpose,
            "recipient": self.recipient,
            "restriction": self.restriction,
            "channel": self.channel,
            "field": self.field,
            "request": self.request,
        }
        kept = {name: part for name, part in parts.items() if part != ""}
        return json.dumps(kept, sort_keys=True, separators=(",", ":")).encode("ascii")

    @classmethod
    def parse(cls, raw: bytes) -> "Line":
        """Read a line; whether it is authentic is for the caller to check. :raises IntegrityBroken: not a line."""
        tail = _TAIL.search(raw)
        try:
            parts = json.loads(raw)
            line = cls(
                parts["n"],
                What(parts["what"]),
                datetime.fromisoformat(parts["at"]),
                parts["log"],
                parts["consents"],
                parts["restrictions"],
                parts["size"],
                MemberId(bytes.fromhex(parts["member"])) if "member" in parts else None,
                mac=parts["mac"],
            )
            line = replace(line, **{name: parts[name] for name in _TEXTS if name in parts})
        except (ValueError, KeyError, TypeError, AttributeError):
            raise broken() from None
        if tail is None or tail.end() != len(raw) or line.rendered() != raw:
            raise broken()
        return line

    def rendered(self) -> bytes:
        """Return the line as it stands in the file."""
        return self.body()[:-1] + b',"mac":"' + self.mac.encode("ascii") + b'"}\n'


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a ledger: number and authentication of a line (0 and "" before the first), leaves then known."""

    number: int
    mac: str
    size: int


def concerns(event: Event) -> bool:
    """Tell whether an event may call for a line."""
    if event.kind is EventKind.CONSENT_RECORDED:
        return event.refs.get("state") in (ConsentState.REFUSED, ConsentState.WITHDRAWN)
    return event.kind in _FROM_LOG or event.kind in _FROM_RECORDS


def extend(session: Session, *, path: Path, key: bytes, now: datetime, mark: bool = False) -> Position:
    """Bring the file up to what is committed, durably; return its end.

    :param session: on the identified database; it wrote nothing that is not committed. :param key: of `rights-ledger`.
    :param mark: end with a mark, if the last line does not know the newest checkpoint.
    :raises IntegrityBroken: LEDGER_BROKEN: the end of the file is not what was written. DATABASE_ROLLED_BACK: an old
        database stands in the place of the one that the ledger tells of (a restore makes both anew).
    """
    chain = BlindIndex(key)
    with _opened(path) as file, _newest(session) as session:
        last = _last_line(file, chain)
        # Which rows exist is asked before they are read: what is committed later belongs to the next extension.
        log = int(audit_rows(session, "SELECT COALESCE(MAX(seq), 0) FROM audit_event")[0][0])
        consents, restrictions = consent.newest(session)
        await_holders(session.connection(), Lock.NUMBERS)  # rows of smaller numbers may be committed after these
        head = audit.checkpoint(session)
        size = head.size if head is not None else 0
        seen = last or Line(0, What.MARK, now, 0, 0, 0, 0)
        if size < seen.size and _leaves_now(session) < seen.size:
            raise IntegrityBroken(
                "rights ledger: it knows a later state of the log than the database holds, which was put back",
                code="DATABASE_ROLLED_BACK",
            )
        batch: list[bytes] = []

        def put(line: Line) -> None:
            nonlocal seen
            seen = _chained(chain, seen, replace(line, number=seen.number + 1, size=size))
            batch.append(seen.rendered())
            if len(batch) >= _BATCH:
                _write(file, batch)

        for seq, body in _log_rows(session, after=seen.log, until=log):
            put(_of_event(replace(seen, log=seq), Event.from_canonical(body)))
        for stop in consent.stops(session, after=seen.consents, until=consents):
            put(_of_stop(seen, stop))
        for change in consent.restriction_changes(session, after=seen.restrictions, until=restrictions):
            put(_of_restriction(seen, change))
        far = max(log - seen.log, consents - seen.consents, restrictions - seen.restrictions) >= _MARK_EVERY
        if far or (mark and size > seen.size):
            reached = {
                "log": max(log, seen.log),
                "consents": max(consents, seen.consents),
                "restrictions": max(restrictions, seen.restrictions),
            }
            put(_blank(seen, What.MARK, now, **reached))
        _write(file, batch)
    return Position(seen.number, seen.mac, seen.size)


def _leaves_now(session: Session) -> int:
    """Return the leaves of the newest checkpoint, asked anew: the session may have begun to read before it was made."""
    with begin(session.connection().engine, read_only=True) as reading:
        head = audit.checkpoint(reading)
    return head.size if head is not None else 0


@contextmanager
def _newest(session: Session) -> Iterator[Session]:
    """Give a session that sees what is committed while it waits: on PostgreSQL another, the caller's has one state."""
    engine = session.connection().engine
    if not on_postgres(engine):
        yield session
        return
    with begin(engine, read_only=True, newest=True) as reading:
        yield reading


def adopt(session: Session, lines: Iterator[Line], *, path: Path, key: bytes, now: datetime) -> Position:
    """Make the ledger of a restored home: the lines that were replayed, and one that says so.

    :raises Conflict: LEDGER_EXISTS.
    """
    chain = BlindIndex(key)
    consents, restrictions = consent.newest(session)
    log = int(audit_rows(session, "SELECT COALESCE(MAX(seq), 0) FROM audit_event")[0][0])
    seen = Line(0, What.MARK, now, 0, 0, 0, 0)
    with _opened(path) as file:
        if os.fstat(file).st_size:
            raise Conflict("rights ledger: there is one already", code="LEDGER_EXISTS")
        batch: list[bytes] = []
        for seen in lines:
            batch.append(seen.rendered())
            if len(batch) >= _BATCH:
                _write(file, batch)
        restored = _blank(seen, What.RESTORED, now, log=log, consents=consents, restrictions=restrictions)
        head = audit.checkpoint(session)
        size = head.size if head is not None else 0  # the log begins again from the backup's
        seen = _chained(chain, seen, replace(restored, number=seen.number + 1, size=size))
        batch.append(seen.rendered())
        _write(file, batch)
    return Position(seen.number, seen.mac, seen.size)


def read(path: Path, *, key: bytes) -> Iterator[Line]:
    """Yield the lines of a ledger, each authenticated; a half-written last line was never acknowledged and is left out.

    :raises IntegrityBroken: LEDGER_BROKEN: a line was altered, moved or removed from between others.
    """
    chain, before = BlindIndex(key), Line(0, What.MARK, datetime.min.replace(tzinfo=UTC), 0, 0, 0, 0)
    with path.open("rb") as file:
        while raw := file.readline(_LONGEST_LINE):
            if not raw.endswith(b"\n"):
                if len(raw) == _LONGEST_LINE or file.read(1):
                    raise broken()
                return
            line = Line.parse(raw)
            if line.number != before.number + 1 or not same_bytes(
                _chained(chain, before, line).mac.encode(), line.mac.encode()
            ):
                raise broken()
            before = line
            yield line


def broken() -> IntegrityBroken:
    """Return the error of a ledger that is not as it was written."""
    return IntegrityBroken("rights ledger: not as it was written", code="LEDGER_BROKEN")


def _chained(chain: BlindIndex, before: Line, line: Line) -> Line:
    previous = bytes.fromhex(before.mac) if before.number else _START
    return replace(line, mac=chain.digest(previous + line.body()).hex())


def _log_rows(session: Session, *, after: int, until: int) -> Iterator[tuple[int, bytes]]:
    kinds = tuple(kind.value for kind in _FROM_LOG)
    marks = ",".join("?" * len(kinds))
    while True:
        found = audit_rows(
            session,
            # An opening that was shredded belongs to a member whose erasure has a line already.
            "SELECT seq, body FROM audit_event WHERE seq > ? AND seq <= ?"
            f" AND kind IN ({marks}) AND body IS NOT NULL ORDER BY seq LIMIT ?",
            (after, until, *kinds, _BATCH),
        )
        yield from ((int(seq), bytes(body)) for seq, body in found)
        if len(found) < _BATCH:
            return
        after = found[-1][0]


def _blank(seen: Line, what: What, at: datetime, **places: int) -> Line:
    known = {"log": seen.log, "consents": seen.consents, "restrictions": seen.restrictions} | places
    return Line(0, what, at, known["log"], known["consents"], known["restrictions"], seen.size)


def _of_event(seen: Line, event: Event) -> Line:
    line = _blank(seen, _FROM_LOG[event.kind], event.at)
    if event.member_id is None or event.outcome is Outcome.DENIED:
        return replace(line, what=What.MARK)
    return replace(
        line,
        member_id=MemberId(bytes.fromhex(event.member_id)),
        purpose=event.purpose or "",
        field=event.refs.get("field", ""),
        request=event.refs.get("request", ""),
    )


def _of_stop(seen: Line, stop: consent.Stop) -> Line:
    what = next(what for what, state in STOPPING.items() if state is stop.state)
    line = _blank(seen, what, stop.at, consents=stop.seq)
    return replace(line, member_id=stop.member_id, purpose=stop.purpose, recipient=stop.recipient)


def _of_restriction(seen: Line, change: consent.RestrictionChange) -> Line:
    what = What.RESTRICTION_SET if change.active else What.RESTRICTION_LIFTED
    line = _blank(seen, what, change.at, restrictions=change.seq)
    return replace(
        line,
        member_id=change.member_id,
        restriction=change.kind.value,
        purpose=change.purpose,
        channel=change.channel,
    )


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    fresh = not path.exists()
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        if fresh:
            sync_folder(path.parent)
        yield file
    finally:
        os.close(file)


def _last_line(file: int, chain: BlindIndex) -> Line | None:
    """Return the last line, authenticated, and cut off a half-written one behind it."""
    length = os.fstat(file).st_size
    start = max(0, length - 3 * _LONGEST_LINE)
    tail = os.pread(file, length - start, start)
    whole = tail.rfind(b"\n") + 1
    if whole < len(tail):
        os.ftruncate(file, start + whole)
    os.lseek(file, 0, os.SEEK_END)
    lines = tail[:whole].splitlines(keepends=True)
    if not lines:
        if start:
            raise broken()
        return None
    last = Line.parse(lines[-1])
    if last.number > 1 and len(lines) < 2:
        raise broken()
    before = Line.parse(lines[-2]) if last.number > 1 else Line(0, What.MARK, last.at, 0, 0, 0, 0)
    if last.number != before.number + 1 or not same_bytes(
        _chained(chain, before, last).mac.encode(), last.mac.encode()
    ):
        raise broken()
    return last


def _write(file: int, lines: list[bytes]) -> None:
    if lines:
        data = b"".join(lines)
        while data:
            data = data[os.write(file, data) :]
        os.fsync(file)
        lines.clear()
