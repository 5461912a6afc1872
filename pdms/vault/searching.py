"""Members found by part of a value: candidates by bucket, each opened and compared before it counts.

Guarantees: what is returned fits what was asked, member by member; buckets that two members share merge nobody; no more
than `MOST` members come out and no more than `CANDIDATES` are opened, so that a search is no way to list the house; one
that was refused for fitting too many counts against the hour like any other.
"""

from collections.abc import Mapping
from typing import Final, NoReturn

from pdms.audit.catalogue import EventKind
from pdms.errors import Conflict, Denied, InvalidInput
from pdms.policy.permit import Permit
from pdms.policy.reasons import reason
from pdms.taxonomy import MemberId, Operation
from pdms.unit_of_work import UnitOfWork
from pdms.vault.opening import count_reveal
from pdms.vault.rows import read_sealed
from pdms.vault.sealing import FieldCodes, open_member
from pdms.vault.search_rows import built_plan
from pdms.vault.searches import Searches, fits

CANDIDATES: Final = 500
MOST: Final = 20
_BY_BUCKET: Final = "SELECT row_no FROM search_index WHERE kind = ? AND bucket = ?"


def search(uow: UnitOfWork, permit: Permit, *, terms: Mapping[str, str]) -> list[MemberId]:
    """Return the living members who fit all terms, at most `MOST`, in no telling order.

    :param terms: name of a declared search → normalised value or part.
    :raises Denied: the Permit does not cover it, or this hour's reveals are used up.
    :raises InvalidInput: SEARCH_TOO_WIDE: the terms fit too many. :raises Conflict: SEARCH_NOT_BUILT.
    """
    searches, codes = Searches(uow.keys, uow.policy), FieldCodes(uow.policy)
    forms = {name: searches.declared[name] for name in terms}
    try:
        if permit.actor != uow.actor.id or not terms:
            raise Denied("the permit does not cover this", reasons=(reason("PERMIT_SCOPE"),))  # noqa: TRY301 - told below
        permit.require(
            now=uow.now, operation=Operation.REVEAL, fields=tuple(sorted({one.field for one in forms.values()}))
        )
    except Denied as denied:
        uow.refuse(denied, purpose=permit.purpose, refs={"permit": permit.id})
    count_reveal(uow, permit)
    if built_plan(uow) != (searches.plan, True):
        raise Conflict("search: its index is not built; run: pdms member reindex", code="SEARCH_NOT_BUILT")
    asked = [(forms[name].code, bucket) for name, value in terms.items() for bucket in searches.asked(name, value)]
    candidates = _candidates(uow, permit, asked)
    found = []
    if candidates:
        deks = uow.keys.deks(list(candidates.values()))
        wanted = [codes.code(one.field) for one in forms.values()]
        for number, stored in read_sealed(uow.session.connection(), candidates).items():
            dek = deks.get(candidates[number])
            opened = codes.named(open_member(dek, stored.sealed, codes=wanted)) if dek is not None else {}
            if all(
                fits(forms[name].form, asked=value, held=opened.get(forms[name].field, ""))
                for name, value in terms.items()
            ):
                found.append(candidates[number])
    if len(found) > MOST:
        _too_wide(uow, permit)
    return sorted(found)


def _candidates(uow: UnitOfWork, permit: Permit, asked: list[tuple[int, int]]) -> dict[int, MemberId]:
    if not asked:
        return {}
    inner = " INTERSECT ".join([_BY_BUCKET] * len(asked))
    rows = uow.session.connection().exec_driver_sql(
        f"SELECT m.row_no, m.member_id FROM member m WHERE m.status <> 'erased' AND m.row_no IN ({inner}) LIMIT ?",
        (*[part for one in asked for part in one], CANDIDATES + 1),
    ).all()  # fmt: skip
    if len(rows) > CANDIDATES:
        _too_wide(uow, permit)
    return {row[0]: MemberId(row[1]) for row in rows}


def _too_wide(uow: UnitOfWork, permit: Permit) -> NoReturn:
    try:
        uow.refuse(
            InvalidInput("search: it fits too many members; ask for more of them at once", code="SEARCH_TOO_WIDE"),
            kind=EventKind.MEMBER_LOOKED_UP,
            purpose=permit.purpose,
        )
    except InvalidInput:  # the count was undone with the rest of the unit: again, in a transaction of its own
        count_reveal(uow, permit)
        uow.commit_intent()
        raise
