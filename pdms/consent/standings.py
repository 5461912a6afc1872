"""Notices published and the state of every consent at an instant, for evidence: random ids and codes only.

Guarantee: the same fold as everywhere (`state`), over what had happened and was known before the instant; rows come in
the order of member, purpose and recipient, a thousand members at a time, so that memory stays flat.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import select
from sqlmodel import Session

from pdms.consent.evidence import DEFECT
from pdms.consent.receipt import record_id_text
from pdms.consent.state import Fact, winning
from pdms.consent.store import NOTICE
from pdms.db import stored_instant
from pdms.taxonomy import ConsentState, ConsentType, MemberId

_MEMBERS = 1000
_RECORDS = (
    "SELECT member_id, purpose, recipient, seq, record_id, state, type, occurred_at, known_at, notice_no, categories,"
    " channel, source FROM consent_record WHERE member_id >= ? AND member_id <= ?"
)
_NEXT = "SELECT member_id FROM consent_record WHERE member_id > ? GROUP BY member_id ORDER BY member_id LIMIT ?"


@dataclass(frozen=True, slots=True)
class ConsentStanding:
    """The record that counts for one member, purpose and recipient."""

    member_id: MemberId
    purpose: str
    recipient: str
    record_id: str
    state: ConsentState
    type: ConsentType
    occurred_at: datetime
    known_at: datetime
    notice_version: str
    categories: tuple[str, ...]
    channel: str
    source: str


@dataclass(frozen=True, slots=True)
class NoticeEvidence:
    """One published version, whole. `content` is the canonical JSON whose SHA-256 is `version`."""

    notice_id: str
    version: str
    language: str
    content: str
    published_at: datetime


def notices_before(session: Session, until: datetime) -> Iterator[NoticeEvidence]:
    """Yield every notice version published before `until`, oldest first."""
    query = select(NOTICE).where(NOTICE.c.published_at < until).order_by(NOTICE.c.notice_no)
    for row in session.connection().execute(query):
        yield NoticeEvidence(row.notice_id, row.version, row.language, row.content, row.published_at)


@dataclass(frozen=True, slots=True)
class Unproved:
    """Records that evidence leaves out, since what tells of them is not in it: by their ids, or as members of a set."""

    records: frozenset[str] = frozenset()
    sets: frozenset[tuple[str, datetime]] = frozenset()
    """Purpose and instant of consents found to be none."""

    def has(self, row: tuple[Any, ...]) -> bool:
        """Whether a record's row is one of them."""
        early = row[12] == "live" and row[5] == ConsentState.INVALIDATED.value  # as early versions wrote them
        told = self.sets and (row[12] == DEFECT or early) and (row[1], stored_instant(row[8])) in self.sets
        return bool(told or (self.records and record_id_text(row[4]) in self.records))


def standings(session: Session, *, before: datetime, unproved: Unproved | None = None) -> Iterator[ConsentStanding]:
    """Yield the consents as they stood just before `before`, judged by what was known then and is proved."""
    connection = session.connection()
    published = connection.exec_driver_sql("SELECT notice_no, version FROM notice")
    versions: dict[int, str] = {row[0]: row[1] for row in published}
    at = before - timedelta(microseconds=1)
    after = b""
    while members := [row[0] for row in connection.exec_driver_sql(_NEXT, (after, _MEMBERS))]:
        after = members[-1]
        found_rows = (tuple(row) for row in connection.exec_driver_sql(_RECORDS, (members[0], after)))
        rows = [row for row in found_rows if unproved is None or not unproved.has(row)]
        rows.sort(key=lambda row: row[:4])
        for _, group in groupby(rows, key=lambda row: row[:3]):
            found = _winning(list(group), at, versions)
            if found is not None:
                yield found


def _winning(rows: list[tuple[Any, ...]], at: datetime, versions: dict[int, str]) -> ConsentStanding | None:
    facts = [
        Fact(ConsentState(row[5]), ConsentType(row[6]), stored_instant(row[7]), stored_instant(row[8]), row[3])
        for row in rows
    ]
    fact = winning(facts, as_of=at, known=at)
    if fact is None:
        return None
    row = next(row for row in rows if row[3] == fact.seq)
    return ConsentStanding(
        MemberId(row[0]),
        row[1],
        row[2],
        record_id_text(row[4]),
        fact.state,
        fact.type,
        fact.occurred_at,
        fact.known_at,
        versions.get(row[9] or 0, ""),
        tuple(name for name in row[10].split(",") if name),
        row[11],
        row[12],
    )
