"""Operations that open sealed values: masked view, identity check, reveal, correction.

Guarantees: plaintext is returned for a Permit that names this member, these fields, this actor and this moment, and
for nothing else; each opening and each masked view has its event in the same transaction, so that whoever hands the
result out after the commit hands out nothing unlogged; an operator's reveals are counted by the hour, in that
transaction too, so that processes side by side cannot exceed the limit together.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pdms.audit.catalogue import EventKind
from pdms.clock import SHANGHAI
from pdms.crypto import same_bytes
from pdms.db import for_update
from pdms.errors import Denied, InvalidInput
from pdms.policy.permit import Permit
from pdms.policy.reasons import reason
from pdms.taxonomy import MemberId, Operation, Pseudonym, Scope
from pdms.unit_of_work import ActorKind, UnitOfWork
from pdms.vault.decoys import alarm
from pdms.vault.masks import mask
from pdms.vault.reading import living_member, only_self, pseudonym_of
from pdms.vault.rows import CHANGED, sqlite_instant, turning_columns
from pdms.vault.sealing import EXTERNAL, FieldCodes, Indexes, dek_of, open_member
from pdms.vault.writing import write_member

REVEALING = frozenset({Operation.REVEAL, Operation.SEND, Operation.PROVIDE, Operation.EXPORT})
"""Operations whose Permit opens values. USE and PROFILE work on states and pseudonyms."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """A field was corrected; `fields` are all values as they stand now, for whoever derives from them inside."""

    member_id: MemberId
    pseudonym: Pseudonym
    field: str
    changed: bool
    fields: Mapping[str, str] = dataclasses.field(repr=False)


def masked(uow: UnitOfWork, member_id: MemberId) -> dict[str, str]:
    """Return what is held of a member, each value under its field's mask; fields without value are absent.

    :raises NotFound: no such member. :raises Denied: the actor is neither staff for it nor the member.
    """
    only_self(uow, member_id)
    uow.require(Scope.SUPPORT, Scope.COMPLIANCE, Scope.ADMIN, Scope.MEMBER)
    stored = living_member(uow, member_id)
    alarm(uow, [member_id], act="view")
    opened = FieldCodes(uow.policy).named(open_member(dek_of(uow.keys, member_id), stored.sealed))
    fields = uow.policy.fields
    shown = {name: mask(fields[name].mask, opened[name]) for name in fields if opened.get(name)}
    shown[EXTERNAL] = mask("login", opened.get(EXTERNAL, ""))
    uow.record(EventKind.MEMBER_VIEWED, member=member_id, numbers={"fields": len(shown)})
    return shown


def matches(uow: UnitOfWork, member_id: MemberId, *, field: str, value: str) -> bool:
    """Tell whether a claimed (normalised) value is the one held: identity is checked with data held (NDR-23).

    Indexed fields are compared by digest and not opened.
    """
    only_self(uow, member_id)
    stored = living_member(uow, member_id)
    alarm(uow, [member_id], act="identity-check")
    indexes = Indexes(uow.keys, uow.policy)
    definition = uow.policy.fields.get(field)
    if definition is not None and definition.index is not None:
        held_digest = stored.digests.get(definition.code)
        asked = indexes.looked_up(definition.index, [value])
        return held_digest is not None and any(same_bytes(held_digest, digest) for digest, _ in asked)
    code = FieldCodes(uow.policy).code(field)
    held = open_member(dek_of(uow.keys, member_id), stored.sealed, codes=[code]).get(code)
    return held is not None and same_bytes(held.encode(), value.encode())


def reveal(uow: UnitOfWork, permit: Permit, *, member_id: MemberId, fields: Sequence[str]) -> dict[str, str]:
    """Return plaintext of the fields asked for; those without value are absent. Hand it out after the commit only.

    :param fields: field names, `external` and `registered_at` included where the Permit names them.
    :raises Denied: the Permit does not cover it, its time is over, or this hour's reveals are used up.
    """
    only_self(uow, member_id)
    try:
        if permit.operation not in REVEALING or permit.actor != uow.actor.id:
            raise Denied(  # noqa: TRY301 - every refusal here is committed below, before it is told
                "the permit does not cover this", reasons=(reason("PERMIT_SCOPE"),)
            )
        permit.require(now=uow.now, operation=permit.operation, member_id=member_id, fields=tuple(fields))
    except Denied as denied:
        uow.refuse(denied, member=member_id, purpose=permit.purpose, refs={"permit": permit.id})
    if permit.operation is Operation.REVEAL:
        count_reveal(uow, permit, member_id=member_id)
        alarm(uow, [member_id], act="reveal")
    codes = FieldCodes(uow.policy)
    stored = living_member(uow, member_id)
    wanted = [codes.code(name) for name in fields]
    opened = codes.named(open_member(dek_of(uow.keys, member_id), stored.sealed, codes=wanted))
    if permit.operation is not Operation.SEND:  # a message has its own intent event
        uow.record(
            EventKind.REVEAL,
            member=member_id,
            purpose=permit.purpose,
            reasons=(permit.reason,) if permit.reason else (),
            refs={"permit": permit.id},
            numbers={"fields": len(opened)},
            ticket=permit.ticket,
        )
    return opened


def count_reveal(uow: UnitOfWork, permit: Permit, *, member_id: MemberId | None = None) -> None:
    """Count one reveal or search of an operator against this hour. :raises Denied: REVEAL_RATE."""
    if uow.actor.kind is not ActorKind.OPERATOR:
        return
    limit = uow.policy.reveal.per_hour
    hour = uow.now.strftime("%Y-%m-%dT%H")
    run = uow.session.connection().exec_driver_sql
    run("DELETE FROM reveal_count WHERE hour < ?", (hour,))
    # The row stays locked until this unit ends: another process counts on from what is committed, or waits.
    used = run(
        "INSERT INTO reveal_count (actor, hour, reveals) VALUES (?, ?, 1)"
        " ON CONFLICT (actor, hour) DO UPDATE SET reveals = reveal_count.reveals + 1 RETURNING reveals",
        (uow.actor.id, hour),
    ).scalar_one()
    if used > limit:
        uow.refuse(
            Denied(
                f"reveal: at most {limit} an hour for one operator",
                reasons=(reason("REVEAL_RATE"),),
            ),
            member=member_id,
            purpose=permit.purpose,
            refs={"permit": permit.id},
        )


def correct(uow: UnitOfWork, member_id: MemberId, *, field: str, value: str) -> Corrected:
    """Put a corrected (normalised) value in place of the held one; "" removes it.

    An old source file does not undo it: only a value that the source did not say before does. The caller brings facts
    derived from it along. Correcting to what is held already changes nothing.

    :raises NotFound: no such member. :raises InvalidInput: the policy knows no such field.
    """
    only_self(uow, member_id)
    if field not in uow.policy.fields:
        raise InvalidInput(f"field {field}: the policy knows none of that name", code="UNKNOWN_FIELD")
    stored = living_member(uow, member_id, lock=True)
    uow.keys.refresh()
    codes, indexes = FieldCodes(uow.policy), Indexes(uow.keys, uow.policy)
    dek = dek_of(uow.keys, member_id)
    held = codes.named(open_member(dek, stored.sealed))
    before = held.get(field, "")
    pseudonym = pseudonym_of(uow, member_id)
    if before == value:
        return Corrected(member_id, pseudonym, field, False, held)
    fields = {name: one for name, one in (held | {field: value}).items() if one}
    code = codes.code(field)
    corrections = dict(stored.corrections)
    # A second correction keeps the source's own value as the one to disregard.
    corrections.setdefault(code, indexes.row(member_id, code + before.encode()))
    write_member(uow, codes, indexes, dek, stored, fields, source_digest=stored.source_digest, corrections=corrections)
    uow.record(EventKind.MEMBER_CORRECTED, member=member_id, refs={"field": field.replace("_", "-")})
    return Corrected(member_id, pseudonym, field, True, fields)


def settle_ages(uow: UnitOfWork) -> int:
    """Replace turning dates that have passed by the sentinel, so that a grown member's birth month is forgotten.

    :return: members settled.
    """
    today = uow.now.astimezone(SHANGHAI).date().isoformat()
    passed = turning_columns("1900-01-01", uow.now.astimezone(SHANGHAI).date())[0]
    run = uow.session.connection().exec_driver_sql
    over = " OR ".join(f"({column} <= ? AND {column} <> ?)" for column in ("turns_14", "turns_18"))
    # One statement, rows locked in order: two over the same members could wait for each other.
    lock = for_update(uow.session.connection())
    bound = (today, passed, today, passed)
    run(f"INSERT INTO {CHANGED} (member_id) SELECT member_id FROM member WHERE {over}", bound)
    return run(
        "UPDATE member SET turns_14 = CASE WHEN turns_14 <= ? THEN ? ELSE turns_14 END,"
        " turns_18 = CASE WHEN turns_18 <= ? THEN ? ELSE turns_18 END, updated_at = ?"
        f" WHERE row_no IN (SELECT row_no FROM member WHERE {over} ORDER BY row_no{lock})",
        (*bound, sqlite_instant(uow.now), *bound),
    ).rowcount
