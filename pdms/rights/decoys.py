"""Honey members, as officers keep them: which members are decoys is marked and listed here, and nowhere shown else.

A decoy is made by loading its row among others, with the shop's ordinary file, and then marking it: a row that came
alone, at an hour of its own, would tell by itself.
"""

from collections.abc import Sequence

from pdms.errors import InvalidInput, NotFound
from pdms.taxonomy import ID_BYTES, MemberId, MemberStatus, Scope
from pdms.unit_of_work import UnitOfWork
from pdms.vault import service as vault


def list_decoys(uow: UnitOfWork) -> tuple[MemberId, ...]:
    """Return all honey members."""
    uow.require(Scope.COMPLIANCE, Scope.ADMIN)
    return tuple(sorted(vault.decoys(uow)))


def change_decoys(uow: UnitOfWork, *, members: Sequence[str], drop: bool = False) -> int:
    """Mark members as decoys, or with `drop` as ordinary ones again; return how many changed.

    Not a look-up: an event that named them would tell a reader of the log who the decoys are.

    :param members: ids (32 hex digits) or `system:number`. :raises NotFound: one of them is nobody.
    """
    uow.require(Scope.COMPLIANCE, Scope.ADMIN)
    return vault.mark_decoys(uow, [_member(uow, text) for text in members], drop=drop)


def _member(uow: UnitOfWork, text: str) -> MemberId:
    if ":" in text:
        system, _, number = text.partition(":")
        found = vault.find_external(uow, system=system, external_id=number)
        if found is None:
            raise NotFound("member: none has this number in this system")
        return found
    try:
        member_id = MemberId(bytes.fromhex(text))
    except ValueError:
        member_id = MemberId(b"")
    if len(member_id) != ID_BYTES:
        raise InvalidInput("member: 32 hex digits, or SYSTEM:NUMBER as in shop:H00042")
    if vault.state(uow, member_id).status is MemberStatus.ERASED:
        raise NotFound("member: no such member")
    return member_id
