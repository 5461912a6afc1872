"""The store of records kept by statute: under fresh ids, each with a key of its own, wrapped by its month of expiry.

Guarantees: a held record carries no member id, pseudonym or external id; destroying a month's key ends all of its
records at once. Marketing, service and analytics never reach it; opening one takes a ticket, a
compliance officer, and the approval of a second one.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlmodel import col, delete, func, select, update

from pdms.access import approvals
from pdms.audit.catalogue import EventKind
from pdms.crypto import BlindIndex, new_key, open_blob, seal_blob, sealing_suite
from pdms.errors import Denied, InvalidInput, NotFound
from pdms.policy.reasons import reason
from pdms.rights.holds import Hold
from pdms.rights.tables import HeldRecordRow
from pdms.taxonomy import GuardedAct, Scope, new_id
from pdms.unit_of_work import UnitOfWork

BATCH_LABEL = "held-batches"
ORDER_LABEL = "index:held-order"


@dataclass(frozen=True, slots=True)
class HeldMonth:
    """How much is held until one month, under one article."""

    month: str
    article: str
    records: int


@dataclass(frozen=True, slots=True)
class HeldRecord:
    """One held record, unopened."""

    held_id: str
    month: str
    article: str


def hold(uow: UnitOfWork, holds: Sequence[Hold], *, request_id: str, fields: Mapping[str, str]) -> int:
    """Store `holds` of one erasure; asked again for the same erasure, replaces its own rows. Returns how many.

    :param fields: the member fields that any of the holds names, in plaintext; each record takes only its own.
    """
    batch = _batch(uow, request_id)
    uow.held.exec(delete(HeldRecordRow).where(col(HeldRecordRow.batch) == batch))
    for item in holds:
        month = _month(item.until)
        held_id, key = new_id("held"), new_key()
        body = json.dumps(
            {
                "order": item.order_id,
                "article": item.article,
                "until": item.until,
                "rows": item.rows,
                "consignee": {name: fields[name] for name in item.fields if fields.get(name)},
            },
            default=str,
        )
        uow.held.add(
            HeldRecordRow(
                held_id=held_id,
                batch=batch,
                month=month,
                article=item.article,
                order_digest=_order_digest(uow, item.order_id),
                wrapped_key=seal_blob(uow.keys.held_month_key(month), bytes(key), context=f"key:{held_id}".encode()),
                sealed=seal_blob(
                    key,
                    body.encode(),
                    context=f"body:{held_id}".encode(),
                    suite=sealing_suite(uow.keys.held_month_key(month)),
                ),
            )
        )
    if holds:
        uow.record(EventKind.HOLD_CREATED, refs={"request": request_id}, numbers={"orders": len(holds)})
    return len(holds)


def untie(uow: UnitOfWork, *, request_id: str) -> None:
    """Blank what tells which erasure made a record: with the system's keys it could be computed from any request."""
    uow.held.exec(update(HeldRecordRow).where(col(HeldRecordRow.batch) == _batch(uow, request_id)).values(batch=""))


def overview(uow: UnitOfWork) -> tuple[HeldMonth, ...]:
    """Return how much is held, by month of expiry and article; opens nothing."""
    uow.require(Scope.COMPLIANCE)
    return months(uow)


def months(uow: UnitOfWork) -> tuple[HeldMonth, ...]:
    """Return the same for scheduled work."""
    query = (
        select(HeldRecordRow.month, HeldRecordRow.article, func.count())
        .group_by(col(HeldRecordRow.month), col(HeldRecordRow.article))
        .order_by(col(HeldRecordRow.month))
    )
    return tuple(HeldMonth(month, article, count) for month, article, count in uow.held.exec(query))


def find_held(uow: UnitOfWork, *, order: str) -> tuple[HeldRecord, ...]:
    """Return what is held of one order, by the number that an authority or the subject names; opens nothing."""
    uow.require(Scope.COMPLIANCE)
    query = select(HeldRecordRow).where(col(HeldRecordRow.order_digest) == _order_digest(uow, order))
    return tuple(HeldRecord(row.held_id, row.month, row.article) for row in uow.held.exec(query))


def open_held(uow: UnitOfWork, *, held_id: str, ticket: str) -> dict[str, Any]:
    """Open one held record for a regulator, a tax office or a court, as a second officer approved for this ticket.

    :raises Denied: APPROVAL_MISSING, TRAINING_LAPSED. :raises NotFound: none, or its month is over.
    """
    uow.require(Scope.COMPLIANCE)
    if not ticket:
        raise InvalidInput("ticket: the case for which it is opened, such as CASE-1234")
    if not approvals.trained(uow.actor, now=uow.now):
        uow.refuse(Denied("training", reasons=(reason("TRAINING_LAPSED"),)), refs={"hold": held_id})
    approvals.use(uow, act=GuardedAct.HOLD_ACCESS, parameters={"hold": held_id, "ticket": ticket})
    row = uow.held.get(HeldRecordRow, held_id)
    if row is None:
        raise NotFound("held record: none has this id")
    uow.record(EventKind.HOLD_OPENED, refs={"hold": held_id}, ticket=ticket)
    key = open_blob(uow.keys.held_month_key(row.month), row.wrapped_key, context=f"key:{held_id}".encode())
    body: dict[str, Any] = json.loads(open_blob(key, row.sealed, context=f"body:{held_id}".encode()))
    return body


def expire(uow: UnitOfWork, *, today: date) -> int:
    """Delete the records of months that are over; their keys are destroyed by the caller. Returns how many."""
    current = f"{today:%Y-%m}"
    over = uow.held.exec(select(HeldRecordRow.month).where(col(HeldRecordRow.month) < current)).all()
    uow.held.exec(delete(HeldRecordRow).where(col(HeldRecordRow.month) < current))
    if over:
        uow.record(EventKind.HOLD_EXPIRED, numbers={"orders": len(over)})
    return len(over)


def _order_digest(uow: UnitOfWork, order: str) -> bytes:
    return BlindIndex(uow.keys.system_key(ORDER_LABEL)).digest(order.encode()[:256])


def _batch(uow: UnitOfWork, request_id: str) -> str:
    return BlindIndex(uow.keys.system_key(BATCH_LABEL)).digest(request_id.encode()).hex()


def _month(day: date) -> str:
    return f"{day:%Y-%m}"
