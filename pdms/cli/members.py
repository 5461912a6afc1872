"""How a member is named on the command line: by member id, or by the shop's own number as `system:number`."""

from pdms.errors import InvalidInput, NotFound
from pdms.rights import service as rights
from pdms.taxonomy import ID_BYTES, MemberId, Scope
from pdms.unit_of_work import UnitOfWork


def parse_member(uow: UnitOfWork, text: str) -> MemberId:
    """Return the member that `text` names.

    :raises InvalidInput: neither 32 hex digits nor `system:number`. :raises NotFound: no such member.
    """
    # First of all: whoever may not look at members shall not learn from the answer who is one.
    uow.require(Scope.SUPPORT, Scope.COMPLIANCE, Scope.MEMBER)
    if ":" in text:
        system, _, number = text.partition(":")
        found = rights.find_by_number(uow, system=system, number=number)
        if found is None:
            uow.commit_intent()  # a number that is nobody's was tried: that is told, too
            raise NotFound("member: none has this number in this system")
        return found
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(raw) != ID_BYTES:
        raise InvalidInput("member: 32 hex digits, or SYSTEM:NUMBER as in shop:H00042")
    return MemberId(raw)
