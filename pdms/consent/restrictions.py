"""What a member wants not to happen: restriction, objection, ADM opt-out, do-not-contact (PIPL-44, 24-2, ADL-43).

Guarantees: append-only records with the standing ones materialised in the same transaction; effective with the next
decision. Setting what stands, or lifting what does not, changes nothing and leaves no event.
"""

from pdms.audit.catalogue import EventKind
from pdms.consent.store import CHANGED, RESTRICTED, insert_or_update
from pdms.consent.tables import RestrictionRecord
from pdms.db import mark, mark_drawing, member_alone
from pdms.errors import Denied, InvalidInput
from pdms.policy.decide import RestrictionFact
from pdms.policy.reasons import reason
from pdms.taxonomy import Channel, MemberId, RestrictionKind, new_id_bytes
from pdms.unit_of_work import ActorKind, UnitOfWork


def own_or_staff(uow: UnitOfWork, member_id: MemberId) -> None:
    """Refuse a member who acts on another."""
    if uow.actor.kind is ActorKind.MEMBER and uow.actor.member_id != member_id:
        uow.refuse(Denied("a member acts for themself only", reasons=(reason("NOT_SELF"),)))


def restrict(
    uow: UnitOfWork,
    member_id: MemberId,
    *,
    kind: RestrictionKind,
    purpose: str = "",
    channel: str = "",
    request: str = "",
) -> bool:
    """Set a restriction; return whether it is new. "" = every purpose or channel. :param request: the request's id."""
    own_or_staff(uow, member_id)
    return _change(uow, member_id, _fact(uow, kind, purpose, channel), active=True, request=request)


def lift(
    uow: UnitOfWork,
    member_id: MemberId,
    *,
    kind: RestrictionKind,
    purpose: str = "",
    channel: str = "",
    request: str = "",
) -> bool:
    """Lift a restriction; return whether it stood."""
    own_or_staff(uow, member_id)
    return _change(uow, member_id, _fact(uow, kind, purpose, channel), active=False, request=request)


def standing_restrictions(uow: UnitOfWork, member_id: MemberId) -> tuple[RestrictionFact, ...]:
    """Return what stands for one member."""
    rows = uow.session.connection().exec_driver_sql(
        "SELECT kind, purpose, channel FROM restriction_current WHERE member_id = ?", (member_id,)
    )
    return tuple(RestrictionFact(RestrictionKind(kind), purpose, channel) for kind, purpose, channel in rows)


def _fact(uow: UnitOfWork, kind: RestrictionKind, purpose: str, channel: str) -> RestrictionFact:
    if purpose and purpose not in uow.policy.purposes:
        raise InvalidInput("purpose: no such purpose", code="PURPOSE_UNKNOWN")
    if channel and channel not in set(Channel):
        raise InvalidInput(f"channel: one of {', '.join(Channel)}", code="CHANNEL_UNKNOWN")
    if kind is RestrictionKind.DO_NOT_CONTACT:
        if purpose:
            raise InvalidInput("purpose: do-not-contact is by channel", code="PURPOSE_NOT_APPLICABLE")
    elif kind is RestrictionKind.NO_KIN and purpose:
        raise InvalidInput("purpose: no-kin is for all of the data", code="PURPOSE_NOT_APPLICABLE")
    elif channel:
        raise InvalidInput("channel: only do-not-contact is by channel", code="CHANNEL_NOT_APPLICABLE")
    return RestrictionFact(kind, purpose, channel)


def _change(uow: UnitOfWork, member_id: MemberId, fact: RestrictionFact, *, active: bool, request: str) -> bool:
    connection = uow.session.connection()
    member_alone(connection, [member_id])
    key = {"member_id": member_id, "kind": fact.kind.value, "purpose": fact.purpose, "channel": fact.channel}
    if active:
        statement = insert_or_update(connection, RESTRICTED).values({**key, "since": uow.now}).on_conflict_do_nothing()
        changed = connection.execute(statement.returning(RESTRICTED.c.kind)).first() is not None
    else:
        where = [RESTRICTED.c[name] == value for name, value in key.items()]
        changed = connection.execute(RESTRICTED.delete().where(*where)).rowcount > 0
    if not changed:
        return False
    mark(connection, CHANGED, [member_id])
    mark_drawing(connection, "restriction_record")
    uow.session.add(
        RestrictionRecord(
            record_id=new_id_bytes(),
            member_id=member_id,
            kind=fact.kind.value,
            purpose=fact.purpose,
            channel=fact.channel,
            active=active,
            occurred_at=uow.now,
            actor=uow.actor.id,
            request=request,
        )
    )
    uow.session.flush()
    refs = {"restriction": fact.kind.value.replace("_", "-")}
    if fact.channel:
        refs["channel"] = fact.channel
    if request:
        refs["request"] = request
    kind = EventKind.RESTRICTION_SET if active else EventKind.RESTRICTION_LIFTED
    uow.record(kind, member=member_id, purpose=fact.purpose or None, refs=refs)
    return True
