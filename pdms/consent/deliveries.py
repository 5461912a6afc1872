"""Deliveries: to whom a version of a notice was shown, by which channel, when first, and what changed since.

Guarantee: a delivery names the version, and the first one counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, select

from pdms.audit.catalogue import EventKind
from pdms.consent.notice_diff import NoticeDiff
from pdms.consent.notices import all_terms, in_force, notice_diff
from pdms.consent.restrictions import own_or_staff
from pdms.consent.store import CHANGED
from pdms.consent.tables import NoticeDelivery
from pdms.crypto import packed_set_digest
from pdms.db import Column, Same, cut, draw, insert_columns, mark, on_postgres
from pdms.errors import InvalidInput
from pdms.taxonomy import ID_BYTES, Language, MemberId, Scope
from pdms.unit_of_work import ActorKind, UnitOfWork

_ENTER: Final = (
    "INSERT INTO notice_delivery (member_id, notice_no, delivered_at, channel, evidence, seq)"
    " SELECT id, ?::int, ?::timestamp, ?::text, ?::text, ?::bigint"
    f" FROM (SELECT {cut(ID_BYTES)}) AS shown (id) ORDER BY id ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """That a member was shown a version."""

    notice_id: str
    version: str
    language: Language
    delivered_at: datetime
    channel: str


def deliver_notices(
    uow: UnitOfWork,
    member_ids: Sequence[MemberId],
    *,
    notice: str,
    language: Language = Language.ZH,
    channel: str,
    evidence: str = "",
    at: datetime | None = None,
) -> int:
    """Record that each member was shown the version in force; return how many deliveries are new. Bulk, idempotent.

    :param at: when, if earlier than now. :raises InvalidInput: unknown notice, or a date in the future.
    """
    uow.require(Scope.INGEST, Scope.SUPPORT, Scope.COMPLIANCE, Scope.MEMBER)
    for member_id in member_ids if uow.actor.kind is ActorKind.MEMBER else ():
        own_or_staff(uow, member_id)
    when = at or uow.now
    if when > uow.now:
        raise InvalidInput("at: lies in the future", code="INSTANT_FUTURE")
    if not member_ids:
        return 0
    terms = in_force(uow.policy, uow.session, notice=notice, language=language)
    ids = sorted(set(member_ids))  # along the table's key; and two who deliver to the same members never cross
    new = _enter(uow.session.connection(), ids, terms.notice_no, when.astimezone(UTC), channel, evidence)
    if new:
        mark(uow.session.connection(), CHANGED, ids)
    uow.record(
        EventKind.NOTICE_DELIVERED,
        member=member_ids[0] if len(member_ids) == 1 else None,
        refs={"notice": terms.notice_id, "version": terms.version},
        numbers={"members": len(member_ids)},
        digest=packed_set_digest(uow.keys.system_key("audit-digest"), b"".join(ids), width=ID_BYTES).hex(),
    )
    return new


def _enter(
    connection: Connection, ids: Sequence[MemberId], notice_no: int, at: datetime, channel: str, evidence: str
) -> int:
    """Enter deliveries that are not there yet; return how many. A load delivers to every member that it creates."""
    (seq,) = draw(connection, "notice_delivery")
    if on_postgres(connection):
        bound = (notice_no, at.replace(tzinfo=None), channel, evidence, seq, b"".join(ids), len(ids) - 1)
        return connection.exec_driver_sql(_ENTER, bound).rowcount
    columns: list[Column] = [
        ("member_id", "bytea", ids),
        ("notice_no", "int8", Same(notice_no)),
        ("delivered_at", "timestamp", Same(at)),
        ("channel", "text", Same(channel)),
        ("evidence", "text", Same(evidence)),
        ("seq", "int8", Same(seq)),
    ]
    return insert_columns(connection, "notice_delivery", columns, unless="member_id, notice_no")


def deliveries(uow: UnitOfWork, member_id: MemberId) -> tuple[Delivery, ...]:
    """Return what a member was shown, oldest first."""
    own_or_staff(uow, member_id)
    if uow.actor.kind is not ActorKind.MEMBER:
        uow.require(Scope.COMPLIANCE, Scope.SUPPORT)
    return deliveries_of(uow, member_id)


def deliveries_of(uow: UnitOfWork, member_id: MemberId) -> tuple[Delivery, ...]:
    """Return what a member was shown, oldest first, to a caller who has asked who acts."""
    terms = all_terms(uow.session)
    rows = uow.session.execute(
        select(NoticeDelivery).where(NoticeDelivery.member_id == member_id)  # type: ignore[arg-type] # a column, typed as its value
    ).scalars()
    found = [
        Delivery(
            notice_id=terms[row.notice_no].notice_id,
            version=terms[row.notice_no].version,
            language=terms[row.notice_no].language,
            delivered_at=row.delivered_at,
            channel=row.channel,
        )
        for row in rows
    ]
    return tuple(sorted(found, key=lambda item: item.delivered_at))


def changes_for(uow: UnitOfWork, member_id: MemberId) -> tuple[NoticeDiff, ...]:
    """Return what changed since the member was last shown each notice; a notice that is not newer is left out."""
    own_or_staff(uow, member_id)
    if uow.actor.kind is not ActorKind.MEMBER:
        uow.require(Scope.COMPLIANCE, Scope.SUPPORT)
    last = {(item.notice_id, item.language): item.version for item in deliveries(uow, member_id)}
    found = []
    for (name, language), version in sorted(last.items()):
        if language not in uow.policy.notices.get(name, {}):
            continue
        newest = in_force(uow.policy, uow.session, notice=name, language=language).version
        if newest != version:
            found.append(notice_diff(uow, before=version, after=newest))
    return tuple(found)
