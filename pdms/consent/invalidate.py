"""Consents that turn out to be none: found by where they were given, recorded as invalidated (DPV ConsentInvalidated).

Guarantee: only what stands is touched, by one more record for each member; the records before it stay, so that the past
is answered as before. A consent dated ahead of this host's clock is invalidated as of its own instant. Called again it
goes on where it was, since what is done stands no longer. Deliberately not here:
that a notice no longer reaches what is done now, which the gate sees by itself (RECONSENT); and what stood on the
consents (`rights.invalidate`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, func, select

from pdms.audit.catalogue import EventKind
from pdms.consent.evidence import DEFECT, UI_HASH
from pdms.consent.notices import all_terms
from pdms.consent.store import CURRENT, RECORD, SHAPE, append
from pdms.crypto import set_digest
from pdms.db import member_alone
from pdms.errors import IntegrityBroken, InvalidInput, NotFound
from pdms.taxonomy import ConsentState, ConsentType, MemberId, Scope, new_id_bytes
from pdms.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Defect:
    """Where the consents were given that are none. At least one of the three is said; of several, all must fit."""

    purpose: str
    notice_version: str = ""
    """The text that was wrong, SHA-256, hex."""
    channel: str = ""
    ui_hash: str = ""
    """The page that was wrong, SHA-256, hex."""


def standing_under(uow: UnitOfWork, defect: Defect) -> int:
    """Return how many consents stand that the defect concerns.

    :raises InvalidInput: it says nothing but the purpose. :raises NotFound: no such notice version.
    """
    uow.require(Scope.COMPLIANCE)
    found = _standing(uow, defect).subquery()
    return int(uow.session.connection().execute(select(func.count()).select_from(found)).scalar_one())


def invalidate_some(uow: UnitOfWork, defect: Defect, *, ticket: str, limit: int) -> Sequence[MemberId]:
    """Invalidate up to `limit` of them; return the members, none when all is done. One event with count and digest.

    :raises IntegrityBroken: STILL_STANDING: a record that outweighs theirs was written, and the state is as before.
    """
    uow.require(Scope.COMPLIANCE)
    run = uow.session.connection().execute
    members = [row.member_id for row in run(_standing(uow, defect).limit(limit)).all()]
    member_alone(uow.session.connection(), [MemberId(one) for one in members])
    rows = []
    for row in run(_standing(uow, defect).where(CURRENT.c.member_id.in_(members))).mappings():
        copied = {name: row[name] for name in ("member_id", "purpose", "recipient", "notice_no", "categories")}
        rows.append(
            copied
            | {
                "record_id": new_id_bytes(),
                "state": ConsentState.INVALIDATED.value,
                "type": ConsentType(row["type"]).value,
                "occurred_at": max(uow.now, row["occurred_at"]),  # another host's clock may run ahead
                "known_at": uow.now,
                "channel": "",
                "source": DEFECT,
                "evidence": "",
                "guardian": row["guardian"],
                "actor": uow.actor.id,
                "policy_digest": uow.policy.digest,
                "import_key": None,
            }
        )
    append(uow.session, rows)
    if run(_standing(uow, defect).where(CURRENT.c.member_id.in_(members)).limit(1)).first() is not None:
        # Whoever asks until nobody is left would otherwise write records for ever.
        raise IntegrityBroken("consents: some stand although their invalidation was written", code="STILL_STANDING")
    if rows:
        uow.record(
            EventKind.CONSENT_INVALIDATED,
            purpose=defect.purpose,
            numbers={"members": len({row["member_id"] for row in rows}), "records": len(rows)},
            digest=set_digest(uow.keys.system_key("audit-digest"), [row["member_id"] for row in rows]).hex(),
            refs={"policy": uow.policy.digest},
            ticket=ticket,
        )
    return [MemberId(one) for one in sorted({row["member_id"] for row in rows})]


def _standing(uow: UnitOfWork, defect: Defect) -> Select[tuple[object, ...]]:
    if not (defect.notice_version or defect.channel or defect.ui_hash):
        raise InvalidInput("defect: name the notice version, the channel or the page", code="DEFECT_UNSAID")
    query = (
        select(RECORD)
        .select_from(CURRENT)
        .join(SHAPE, SHAPE.c.shape == CURRENT.c.shape)
        .join(RECORD, RECORD.c.seq == CURRENT.c.seq)
        .where(CURRENT.c.purpose == defect.purpose, SHAPE.c.state == ConsentState.GIVEN.value)
        .order_by(CURRENT.c.member_id, CURRENT.c.recipient)
    )
    if defect.notice_version:
        numbers = [no for no, told in all_terms(uow.session).items() if told.version == defect.notice_version]
        if not numbers:
            raise NotFound("no such notice version")
        query = query.where(RECORD.c.notice_no.in_(numbers))
    if defect.channel:
        query = query.where(RECORD.c.channel == defect.channel)
    if defect.ui_hash:
        if not UI_HASH.fullmatch(defect.ui_hash):
            raise InvalidInput("ui_hash: 64 hex digits in lower case", code="UI_HASH_FORM")
        query = query.where(RECORD.c.evidence.like(f"%sha256:{defect.ui_hash}"))
    return query
