"""What proves a consent: the id of the evidence, the digest of the page, the text that was shown, the event in the log.

Guarantees: evidence is an id or a digest, never a text, let alone a phone or ID number; the digest of the page (SHA-256
of what the member had before them when they clicked) stands beside the id and is told apart from it again. A bundle
holds all that is known of one consent and nothing that names the member. Deliberately not here: the page itself, and
whatever the id leads to, which the shop keeps.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.consent import receipt as receipts
from pdms.consent.deliveries import deliveries_of
from pdms.consent.notices import Terms, all_terms, notice_content, purpose_text
from pdms.consent.rules import Broken
from pdms.consent.store import RECORD
from pdms.errors import Conflict, NotFound
from pdms.taxonomy import MemberId, Scope
from pdms.unit_of_work import UnitOfWork

EVIDENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")
PHONE_LIKE = re.compile(r"(?<![0-9])1[3-9][0-9]{9}(?![0-9])|(?<![0-9])[0-9]{17}[0-9Xx](?![0-9])")
UI_HASH = re.compile(r"[0-9a-f]{64}")
_PAGE = re.compile(r"(?:(?P<id>.*)/)?sha256:(?P<hash>[0-9a-f]{64})")
BUNDLE = "pdms-consent-evidence-1"
DEFECT = "defect"
"""Source of a record that says of a consent that it is none; one event tells of the whole set."""
_PAGES = 10_000
"""Events of one member that are looked through for the one of a record."""


@dataclass(frozen=True, slots=True)
class EvidenceBundle:
    """Everything that proves one consent event; `document` is JSON-ready."""

    record_id: str
    document: Mapping[str, Any]

    def to_json(self) -> str:
        """Return the document as JSON text."""
        return json.dumps(self.document, ensure_ascii=False, indent=2)


def check_evidence(evidence: str, *, required: bool) -> None:
    """Check that evidence is an id and not a text, let alone a phone or ID number. :raises Broken: it is not."""
    if not evidence:
        if required:
            raise Broken("EVIDENCE_MISSING")
        return
    # A digest may hold eleven digits in a row by chance: only what is beside it is looked at.
    if not EVIDENCE.fullmatch(evidence) or PHONE_LIKE.search(parts(evidence)[0]):
        raise Broken("EVIDENCE_FORM")


def joined(evidence: str, ui_hash: str) -> str:
    """Return evidence as it is stored: the id, and beside it the digest of the page. :raises Broken: UI_HASH_FORM."""
    if not ui_hash:
        return evidence
    if not UI_HASH.fullmatch(ui_hash):
        raise Broken("UI_HASH_FORM")
    return f"{evidence}/sha256:{ui_hash}" if evidence else f"sha256:{ui_hash}"


def parts(evidence: str) -> tuple[str, str]:
    """Return the id and the digest of the page that stored evidence is made of, "" for what is not there."""
    found = _PAGE.fullmatch(evidence)
    return (found["id"] or "", found["hash"]) if found else (evidence, "")


def act_of(evidence: str) -> str:
    """Return what tells one act of a member from another: the id of the evidence, else the digest of the page."""
    return parts(evidence)[0] or evidence


def bundle(uow: UnitOfWork, *, record_id: str) -> EvidenceBundle:
    """Return all that proves one consent event: text shown, time, page, receipt, place in the log (GB/T 42574).

    The receipt is signed anew and carries the version of the notice, which is the SHA-256 of `notice`; so whoever has
    the public key checks the whole offline (`verify_receipt`). `log` is None where the event is not sequenced yet; a
    record that came with others in a bulk import is proved by the import's event, which holds a keyed digest of all;
    one that says that a consent is none, by the event of its set, which is given.
    :raises NotFound: no such record.
    """
    uow.require(Scope.COMPLIANCE)
    row = _row(uow, record_id)
    terms: Terms | None = all_terms(uow.session).get(row["notice_no"] or 0)
    content = notice_content(uow, version=terms.version) if terms else None
    member = MemberId(row["member_id"])
    evidence, ui_hash = parts(row["evidence"])
    document = {
        "format": BUNDLE,
        "record_id": record_id,
        "subject_ref": member.hex(),
        "purpose": row["purpose"],
        "recipient": row["recipient"] or None,
        "state": row["state"],
        "type": row["type"],
        "happened_at": _instant(row["occurred_at"]),
        "known_at": _instant(row["known_at"]),
        "channel": row["channel"],
        "source": row["source"],
        "evidence": evidence or None,
        "ui_hash": ui_hash or None,
        "guardian": row["guardian"] or None,
        "recorded_by": row["actor"],
        "policy": row["policy_digest"],
        "text_shown": purpose_text(content, row["purpose"]) if content else None,
        "notice": json.loads(content) if content else None,
        "shown": [
            {"version": one.version, "at": _instant(one.delivered_at), "channel": one.channel}
            for one in deliveries_of(uow, member)
            if terms and one.version == terms.version
        ],
        "receipt": receipts.make(uow, row, terms).document,
        "log": _log(uow, row, record_id) if row["source"] != "import" else None,
    }
    uow.record(EventKind.CONSENT_EXPORTED, member=member, refs={"record": record_id}, numbers={"records": 1})
    return EvidenceBundle(record_id, document)


def _row(uow: UnitOfWork, record_id: str) -> Mapping[str, Any]:
    try:
        raw = bytes.fromhex(record_id.removeprefix("cns-"))
    except ValueError:
        raw = b""
    run = uow.session.connection().execute
    live = select(RECORD).where(RECORD.c.record_id == raw, RECORD.c.source == "live")  # this one has an index
    found = run(live).mappings().first() or run(select(RECORD).where(RECORD.c.record_id == raw)).mappings().first()
    if found is None:
        raise NotFound("no such consent record")
    return dict(found)


def _log(uow: UnitOfWork, row: Mapping[str, Any], record_id: str) -> Mapping[str, Any] | None:
    if row["source"] == DEFECT:
        known = row["known_at"]
        kinds: tuple[EventKind, ...] = (EventKind.CONSENT_INVALIDATED,)
        until = known + timedelta(microseconds=1)
        page = audit.list_events(uow.session, kinds=kinds, purpose=row["purpose"], since=known, until=until, limit=1)
        found = page.items[0].event if page.items else None
    else:
        kinds = (EventKind.CONSENT_RECORDED, EventKind.CONSENT_WITHDRAWN)
        page = audit.list_events(uow.session, kinds=kinds, member_id=row["member_id"].hex(), limit=_PAGES)
        found = next((one.event for one in page.items if one.event.refs.get("record") == record_id), None)
    if found is None:
        return None
    try:
        return audit.prove(uow.session, found.event_id).to_json()
    except Conflict:  # committed, and not in the tree yet
        return None


def _instant(value: Any) -> str:
    return str(value.isoformat(timespec="microseconds").replace("+00:00", "Z"))
