"""Recording consent, one act at a time, and everything else that other packages ask of this one.

Guarantees: one live event is one purpose and one recipient, bound to the notice version in force; nothing is ever
changed or removed; a withdrawal needs no reason, no staff and no notice, and counts from the next decision on
(PIPL-15-1). What was done before stays valid (PIPL-15-2), since history is kept with both clocks.
Deliberately not here: ages (the caller gives the stage; `gate.record_consent` reads it from the vault), stale releases
and purges (`rights`).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from pdms.audit.catalogue import EventKind
from pdms.consent import receipt as receipts
from pdms.consent import rules
from pdms.consent.deliveries import Delivery, changes_for, deliver_notices, deliveries
from pdms.consent.evidence import DEFECT, EvidenceBundle, act_of, bundle, check_evidence, joined
from pdms.consent.export import ConsentExport, export_records
from pdms.consent.imports import (
    CHANNEL,
    ImportResult,
    ImportRow,
    RejectedConsent,
    import_records,
)
from pdms.consent.invalidate import Defect, invalidate_some, standing_under
from pdms.consent.notice_diff import NoticeDiff
from pdms.consent.notices import (
    DELIVERED,
    NoticeText,
    PublishedNotice,
    Terms,
    all_terms,
    in_force,
    notice_content,
    notice_diff,
    notice_text,
    publish_notices,
    versions,
)
from pdms.consent.reading import (
    Askable,
    CoverageRow,
    HistoryItem,
    Standing,
    askable,
    coverage,
    guardian_references,
    history,
    may_ask,
    state_of,
    states,
)
from pdms.consent.receipt import ConsentReceipt
from pdms.consent.restrictions import lift, own_or_staff, restrict, standing_restrictions
from pdms.consent.rules import DECLINING, Broken
from pdms.consent.store import CHANGED, CURRENT, RECORD, RESTRICTED, SHAPE, append, insert_or_update
from pdms.db import draw, mark, member_alone, spend
from pdms.errors import InvalidInput, NotFound
from pdms.taxonomy import AgeStage, ConsentState, ConsentType, Language, MemberId, Scope, new_id_bytes
from pdms.unit_of_work import ActorKind, UnitOfWork

__all__ = [
    "DECLINING",
    "Askable",
    "ConsentExport",
    "ConsentReceipt",
    "CoverageRow",
    "Defect",
    "Delivery",
    "EvidenceBundle",
    "HistoryItem",
    "ImportResult",
    "ImportRow",
    "NoticeDiff",
    "NoticeText",
    "PublishedNotice",
    "RejectedConsent",
    "Standing",
    "askable",
    "bundle",
    "changes_for",
    "coverage",
    "deliver_notices",
    "deliveries",
    "export_records",
    "forget_current",
    "guardian_references",
    "history",
    "import_records",
    "invalidate_some",
    "lift",
    "may_ask",
    "notice_content",
    "notice_diff",
    "notice_text",
    "publish_notices",
    "receipt",
    "receipt_keys",
    "record",
    "restrict",
    "standing_restrictions",
    "standing_under",
    "state_of",
    "states",
    "versions",
    "withdraw",
]


def record(
    uow: UnitOfWork,
    member_id: MemberId,
    *,
    purpose: str,
    state: ConsentState,
    age: AgeStage,
    type: ConsentType = ConsentType.CONSENT,  # noqa: A002 - the word of the standard
    channel: str = "web",
    language: Language = Language.ZH,
    recipient: str = "",
    evidence: str = "",
    guardian: str = "",
    preticked: bool = False,
    ui_hash: str = "",
) -> ConsentReceipt:
    """Record one live consent event and return its signed receipt.

    :param channel: where it was expressed (web, app, store, phone, …). :param evidence: id or digest of what the member
    saw and did; differs for each separate consent. :param guardian: reference of the guardian's proof, for children.
    :param ui_hash: SHA-256 of the page that the member had before them, 64 hex digits.
    :raises InvalidInput: a rule is broken; `code` names it (`rules.RULES`).
    """
    own_or_staff(uow, member_id)
    member_alone(uow.session.connection(), [member_id])
    try:
        row, terms = _checked(
            uow,
            member_id,
            purpose=purpose,
            state=state,
            age=age,
            kind=type,
            channel=channel,
            language=language,
            recipient=recipient,
            evidence=joined(evidence, ui_hash),
            guardian=guardian,
            preticked=preticked,
        )
    except Broken as broken:
        raise broken.as_error() from None
    append(uow.session, [row])
    if terms is not None and state is ConsentState.GIVEN:
        _shown(uow, member_id, terms, channel, row["evidence"])
    refs = {"record": receipts.record_id_text(row["record_id"]), "policy": uow.policy.digest}
    if terms is not None:
        refs |= {"notice": terms.notice_id, "version": terms.version}
    if recipient:
        refs["recipient"] = recipient.replace("_", "-")
    kind = EventKind.CONSENT_WITHDRAWN if state is ConsentState.WITHDRAWN else EventKind.CONSENT_RECORDED
    uow.record(kind, member=member_id, purpose=purpose, refs={**refs, "state": state.value})
    return receipts.make(uow, row, terms)


def _checked(
    uow: UnitOfWork,
    member_id: MemberId,
    *,
    purpose: str,
    state: ConsentState,
    age: AgeStage,
    kind: ConsentType,
    channel: str,
    language: Language,
    recipient: str,
    evidence: str,
    guardian: str,
    preticked: bool,
) -> tuple[dict[str, Any], Terms | None]:
    if preticked:
        raise Broken("PRETICKED")
    if state not in rules.DECIDING:
        raise Broken("STATE_UNKNOWN")
    if not CHANNEL.fullmatch(channel):
        raise InvalidInput("channel: a short lower-case word", code="CHANNEL_FORM")
    definition = rules.check_purpose(uow.policy, purpose, state=state, kind=kind)
    rules.check_recipient(definition, recipient, state=state)
    if state is ConsentState.REQUESTED and not may_ask(uow, member_id, purpose=purpose, recipient=recipient):
        raise Broken("ASKED_LATELY")
    unbundled = kind in rules.UNBUNDLED and state is ConsentState.GIVEN
    check_evidence(evidence, required=unbundled)
    check_evidence(guardian, required=False)
    if unbundled:
        _check_unbundled(uow, member_id, purpose, recipient, evidence)
    terms: Terms | None = None
    categories: tuple[str, ...] = ()
    # Another host's clock may have run ahead when the consent was given: a "no" that comes after it outweighs it.
    at = uow.now
    if state in rules.DECLINING:
        at = max(at, _newest(uow, member_id, purpose, recipient) or at)
    if state is ConsentState.WITHDRAWN or definition is None:
        last = _current(uow, member_id, purpose, recipient)
        if last is not None:
            kind, terms = ConsentType(last["type"]), all_terms(uow.session).get(last["notice_no"])
            categories = tuple(name for name in last["categories"].split(",") if name)
    else:
        rules.check_type(definition, kind, state=state, age=age)
        if kind is ConsentType.GUARDIAN and state is ConsentState.GIVEN and not guardian:
            raise Broken("GUARDIAN_PROOF")
        name = definition.child_notice if kind is ConsentType.GUARDIAN else definition.notice
        terms = in_force(uow.policy, uow.session, notice=name or "", language=language)
        categories = rules.check_terms(definition, terms, kind=kind, occurred_at=uow.now)
    row = {
        "record_id": new_id_bytes(),
        "member_id": member_id,
        "purpose": purpose,
        "recipient": recipient,
        "state": state.value,
        "type": kind.value,
        "occurred_at": at,
        "known_at": uow.now,
        "notice_no": terms.notice_no if terms else None,
        "categories": ",".join(sorted(categories)),
        "channel": channel,
        "source": "live",
        "evidence": evidence,
        "guardian": guardian,
        "actor": uow.actor.id,
        "policy_digest": uow.policy.digest,
        "import_key": None,
    }
    return row, terms


def _check_unbundled(uow: UnitOfWork, member_id: MemberId, purpose: str, recipient: str, evidence: str) -> None:
    query = (
        select(RECORD.c.purpose, RECORD.c.recipient, RECORD.c.evidence)
        .where(RECORD.c.member_id == member_id)
        .where(RECORD.c.state == ConsentState.GIVEN.value)
    )
    act = act_of(evidence)
    for other_purpose, other_recipient, other in uow.session.connection().execute(query):
        if (other_purpose, other_recipient) != (purpose, recipient) and act_of(other) == act:
            raise Broken("BUNDLED")


def _current(uow: UnitOfWork, member_id: MemberId, purpose: str, recipient: str) -> Mapping[str, Any] | None:
    query = (
        select(SHAPE)
        .join(CURRENT, CURRENT.c.shape == SHAPE.c.shape)
        .where(CURRENT.c.purpose == purpose, CURRENT.c.recipient == recipient, CURRENT.c.member_id == member_id)
    )
    row = uow.session.connection().execute(query).mappings().first()
    return None if row is None else dict(row)


def _newest(uow: UnitOfWork, member_id: MemberId, purpose: str, recipient: str) -> datetime | None:
    query = select(CURRENT.c.occurred_at).where(
        CURRENT.c.purpose == purpose, CURRENT.c.recipient == recipient, CURRENT.c.member_id == member_id
    )
    return uow.session.connection().execute(query).scalar()


def _shown(uow: UnitOfWork, member_id: MemberId, terms: Terms, channel: str, evidence: str) -> None:
    connection = uow.session.connection()
    connection.execute(
        insert_or_update(connection, DELIVERED).on_conflict_do_nothing(),
        [
            {
                "member_id": member_id,
                "notice_no": terms.notice_no,
                "delivered_at": uow.now,
                "channel": channel,
                "evidence": evidence,
                "seq": draw(connection, "notice_delivery")[0],
            }
        ],
    )


def withdraw(
    uow: UnitOfWork, member_id: MemberId, *, purpose: str, recipient: str | None = None, channel: str = "web"
) -> tuple[ConsentReceipt, ...]:
    """Withdraw a consent, of one recipient or (None) of all; return a receipt for each.

    Withdrawing what was never given records the wish all the same: it stands against older imports.
    :raises InvalidInput: PURPOSE_UNKNOWN, the name stands neither in the policy nor in a record of this member.
    """
    own_or_staff(uow, member_id)
    query = select(CURRENT.c.recipient).where(CURRENT.c.purpose == purpose, CURRENT.c.member_id == member_id)
    known = sorted({name for (name,) in uow.session.connection().execute(query)})
    if purpose not in uow.policy.purposes and not known:
        raise Broken("PURPOSE_UNKNOWN").as_error()
    names = (known or [""]) if recipient is None else [recipient]
    return tuple(
        record(
            uow,
            member_id,
            purpose=purpose,
            state=ConsentState.WITHDRAWN,
            age=AgeStage.UNKNOWN,
            channel=channel,
            recipient=name,
        )
        for name in names
    )


def receipt(uow: UnitOfWork, *, record_id: str) -> ConsentReceipt:
    """Return the receipt of a record again, freshly signed: of a live one, of one found to be none, or of one given
    back by a restore; imports never had one. :raises NotFound: no such record."""
    if uow.actor.kind is not ActorKind.MEMBER:
        uow.require(Scope.COMPLIANCE, Scope.SUPPORT)
    try:
        raw = bytes.fromhex(record_id.removeprefix("cns-"))
    except ValueError:
        raw = b""
    asked = select(RECORD).where(RECORD.c.record_id == raw)
    if uow.actor.kind is ActorKind.MEMBER:  # and only live ids have an index: a member's question reads their own rows
        asked = asked.where(RECORD.c.member_id == uow.actor.member_id)
    run = uow.session.connection().execute
    row = run(asked.where(RECORD.c.source == "live")).mappings().first()
    row = row or run(asked.where(RECORD.c.source.in_((DEFECT, "restore")))).mappings().first()
    if row is None:
        raise NotFound("no such consent record")
    return receipts.make(uow, dict(row), all_terms(uow.session).get(row["notice_no"] or 0))


def receipt_keys(uow: UnitOfWork) -> tuple[str, ...]:
    """Return the public keys under which receipts were ever signed, hex, newest first: what a member checks with."""
    return tuple(key.hex() for key in uow.keys.public_keys("receipts"))


def forget_current(uow: UnitOfWork, member_ids: Sequence[MemberId]) -> int:
    """Drop the materialised state of erased members; the records stay as minimal proof (Civil Code 188, PIPL-69)."""
    gone = 0
    spend(uow.session.connection(), DELIVERED.name, "seq")
    for member in member_ids:
        for table in (CURRENT, RESTRICTED, DELIVERED):
            gone += uow.session.connection().execute(table.delete().where(table.c.member_id == member)).rowcount
    mark(uow.session.connection(), CHANGED, member_ids)
    return gone
