"""Bulk import of consents that were collected elsewhere: each with its evidence, each rejected row with its reason.

Guarantees: idempotent (the same row twice adds nothing); an import never supersedes a withdrawal or refusal unless it
is dated later (the fold sees to it); dates in the future, rows without evidence and rows that break a rule of `rules`
are rejected, the rest is kept. A day without a time counts from its beginning where it gives, to its end where not.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import func, select

from pdms.audit.catalogue import EventKind
from pdms.audit.events import Outcome
from pdms.clock import SHANGHAI
from pdms.consent import rules
from pdms.consent.evidence import act_of, check_evidence, joined
from pdms.consent.notices import Terms, all_terms, day_of, version_at
from pdms.consent.rules import Broken
from pdms.consent.store import CHUNK, CURRENT, RECORD, append
from pdms.crypto import set_digest
from pdms.db import Lock, Session, alone
from pdms.errors import InvalidInput
from pdms.policy.definitions import Policy
from pdms.taxonomy import ConsentState, ConsentType, Language, MemberId, new_id_bytes
from pdms.unit_of_work import UnitOfWork

CHANNEL = re.compile(r"[a-z][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True, repr=False)
class ImportRow:
    """One row of a consents file, codes already translated by its source. `member_id` None: the member is unknown.

    Not printed: nothing in it has been judged yet.
    """

    row: int
    member_id: MemberId | None
    purpose: str
    state: str
    at: datetime | date | None
    evidence: str
    type: str = ConsentType.CONSENT.value
    channel: str = ""
    recipient: str = ""
    notice: str = ""
    notice_version: str = ""
    language: str = Language.ZH.value
    guardian: str = ""
    ui_hash: str = ""
    """SHA-256 of the page that the member had before them, 64 hex digits."""


@dataclass(frozen=True, slots=True)
class RejectedConsent:
    """One row that was not imported: its number, the field, the rule. No value."""

    row: int
    field: str
    rule: str


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What became of a batch."""

    accepted: int
    """Records added."""
    repeated: int
    """Rows that were there already."""
    superseded: int
    """Of those added, the ones that do not count, since a weightier record stands."""
    rejected: tuple[RejectedConsent, ...]
    declined: tuple[tuple[MemberId, str], ...] = field(default=(), repr=False)
    """Of those added, each no: the member's, to a purpose."""


def import_records(uow: UnitOfWork, rows: Sequence[ImportRow], *, evidence_store: str) -> ImportResult:
    """Import one batch; the caller commits it with its progress.

    :param evidence_store: where the evidence ids lead to, as the source says. :raises InvalidInput: it is not said.
    """
    if not evidence_store:
        raise InvalidInput("evidence: the source must say where its evidence is kept", code="EVIDENCE_MISSING")
    terms = all_terms(uow.session)
    made: dict[bytes, dict[str, Any]] = {}
    rejected = []
    repeated = 0
    separate: dict[tuple[bytes, str], tuple[str, str]] = {}
    for row in rows:
        try:
            record = _record(uow, row, terms)
            _unbundled(record, separate)
        except Broken as broken:
            rejected.append(RejectedConsent(row.row, broken.field, broken.code))
            continue
        repeated += record["import_key"] in made
        made[record["import_key"]] = record
    alone(uow.session.connection(), Lock.CONSENT_IMPORT)  # the same rows, imported twice at once, are there once
    known = _known_keys(uow.session, list(made))
    fresh = [record for key, record in made.items() if key not in known]
    numbers = append(uow.session, fresh)
    winners = _winners(uow.session, numbers)
    result = ImportResult(
        accepted=len(fresh),
        repeated=repeated + len(known),
        superseded=len(fresh) - winners,
        rejected=tuple(rejected),
        declined=tuple(
            (MemberId(one["member_id"]), one["purpose"]) for one in fresh if one["state"] in rules.DECLINING
        ),
    )
    if rows:
        uow.record(
            EventKind.CONSENT_IMPORTED,
            outcome=Outcome.PARTIAL if rejected else Outcome.DONE,
            numbers={
                "rows": len(rows),
                "accepted": result.accepted,
                "repeated": result.repeated,
                "superseded": result.superseded,
                "rejected": len(rejected),
            },
            digest=set_digest(
                uow.keys.system_key("audit-digest"), [record["member_id"] for record in made.values()]
            ).hex(),
            refs={"policy": uow.policy.digest},
        )
    return result


def _winners(session: Session, numbers: Sequence[int]) -> int:
    if not numbers:
        return 0
    same = (
        (CURRENT.c.purpose == RECORD.c.purpose)
        & (CURRENT.c.recipient == RECORD.c.recipient)
        & (CURRENT.c.member_id == RECORD.c.member_id)
        & (CURRENT.c.seq == RECORD.c.seq)
    )
    query = select(func.count()).select_from(RECORD).join(CURRENT, same)
    found = 0
    for start in range(0, len(numbers), CHUNK):
        some = query.where(RECORD.c.seq.in_(numbers[start : start + CHUNK]))
        found += int(session.connection().execute(some).scalar_one())
    return found


def _known_keys(session: Session, keys: Sequence[bytes]) -> set[bytes]:
    found: set[bytes] = set()
    for start in range(0, len(keys), CHUNK):
        query = select(RECORD.c.import_key).where(RECORD.c.import_key.in_(keys[start : start + CHUNK]))
        found.update(key for (key,) in session.connection().execute(query))
    return found


def _record(uow: UnitOfWork, row: ImportRow, terms: Mapping[int, Terms]) -> dict[str, Any]:
    if row.member_id is None:
        raise Broken("MEMBER_UNKNOWN")
    state, kind = _state(row.state), _type(row.type)
    purpose = rules.check_purpose(uow.policy, row.purpose, state=state, kind=kind)
    stated_at = _instant(row.at, state, uow.now)
    occurred_at = min(stated_at, uow.now)
    evidence = joined(row.evidence, row.ui_hash)
    check_evidence(evidence, required=True)
    rules.check_recipient(purpose, row.recipient, state=state)
    told = None
    categories: tuple[str, ...] = ()
    if purpose is not None:
        rules.check_type(purpose, kind, state=state, age=None)
        told = _notice(uow.policy, row, terms, kind, occurred_at)
        if told is not None and state is ConsentState.GIVEN:
            categories = rules.check_terms(purpose, told, kind=kind, occurred_at=occurred_at)
        elif state is ConsentState.GIVEN:
            raise Broken("NOTICE_UNKNOWN")
    channel = row.channel if CHANNEL.fullmatch(row.channel) else ""
    parts = [row.purpose, row.recipient, state, kind, stated_at.isoformat(), evidence]
    return {
        "record_id": new_id_bytes(),
        "member_id": row.member_id,
        "purpose": row.purpose,
        "recipient": row.recipient,
        "state": state.value,
        "type": kind.value,
        "occurred_at": occurred_at,
        "known_at": uow.now,
        "notice_no": told.notice_no if told else None,
        "categories": ",".join(sorted(categories)),
        "channel": channel,
        "source": "import",
        "evidence": evidence,
        "guardian": row.guardian,
        "actor": uow.actor.id,
        "policy_digest": uow.policy.digest,
        "import_key": hashlib.blake2b(row.member_id + "\x00".join(parts).encode(), digest_size=16).digest(),
    }


def _state(text: str) -> ConsentState:
    try:
        state = ConsentState(text)
    except ValueError:
        raise Broken("STATE_UNKNOWN") from None
    if state not in rules.DECIDING:
        raise Broken("STATE_UNKNOWN")
    return state


def _type(text: str) -> ConsentType:
    try:
        return ConsentType(text or ConsentType.CONSENT.value)
    except ValueError:
        raise Broken("TYPE_UNKNOWN") from None


def _instant(at: datetime | date | None, state: ConsentState, now: datetime) -> datetime:
    """Return the instant that a row states, the same whenever it is read; a no's may lie ahead, and counts from now."""
    if at is None or (isinstance(at, datetime) and at.tzinfo is None):
        raise Broken("INSTANT_FORM")
    declining = state in rules.DECLINING
    if isinstance(at, datetime):
        instant = at
    else:
        instant = datetime.combine(at, time.min, tzinfo=SHANGHAI)
        if declining:
            instant += timedelta(days=1, microseconds=-1)
    if instant > now and not declining:
        raise Broken("INSTANT_FUTURE")
    return instant


def _notice(
    policy: Policy, row: ImportRow, terms: Mapping[int, Terms], kind: ConsentType, occurred_at: datetime
) -> Terms | None:
    purpose = policy.purposes[row.purpose]
    if row.notice_version:
        return next((item for item in terms.values() if item.version == row.notice_version), None)
    name = row.notice or (purpose.notice or "")
    if kind is ConsentType.GUARDIAN and name == purpose.notice:
        name = purpose.child_notice or ""
    try:
        language = Language(row.language)
    except ValueError:
        raise Broken("NOTICE_UNKNOWN") from None
    found = version_at(terms, notice=name, language=language, day=day_of(occurred_at))
    if found is None and any(item.notice_id == name and item.language is language for item in terms.values()):
        raise Broken("NOTICE_LATER")
    return found


def _unbundled(record: Mapping[str, Any], seen: dict[tuple[bytes, str], tuple[str, str]]) -> None:
    if record["type"] not in rules.UNBUNDLED or record["state"] != ConsentState.GIVEN.value:
        return
    key = (record["member_id"], act_of(record["evidence"]))
    matter = (record["purpose"], record["recipient"])
    if seen.setdefault(key, matter) != matter:
        raise Broken("BUNDLED")
