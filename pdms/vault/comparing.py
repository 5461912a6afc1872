"""Does the vault still hold what a source says? Counted by field; no value leaves.

Guarantees: values are opened for a Permit that covers these fields, of members that it was decided for and of nobody
else; told and held values meet as keyed digests under one key, and only how many are alike comes out; a value that does
not open is counted as broken, not passed over; one whose key was just rotated is read again first. What a member had
corrected here is not a difference (PIPL-46).
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from pdms.crypto import BlindIndex, Dek, derive, same_bytes
from pdms.errors import Denied, IntegrityBroken
from pdms.policy.permit import Permit
from pdms.policy.reasons import reason
from pdms.taxonomy import MemberId, MemberStatus, Operation
from pdms.unit_of_work import UnitOfWork
from pdms.vault.rows import StoredMember, read_sealed
from pdms.vault.sealing import EXTERNAL, REGISTERED, FieldCodes, Indexes, open_member
from pdms.vault.upsert import MemberBatch, Outcome, Upsert, registered_texts

_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class Standing:
    """Whom the rows of a batch speak of."""

    living: Mapping[int, MemberId]
    """Place → member held."""
    refused: Mapping[int, Outcome]
    """Place → why the vault takes no such row (erased, disabled)."""
    row_numbers: Mapping[MemberId, int] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many members are held as told."""

    equal: int = 0
    corrected: int = 0
    """Alike but for fields that were corrected here since."""
    differing: int = 0
    by_field: Mapping[str, int] = field(default_factory=dict)
    broken: int = 0
    """Their values do not open: altered, moved or put back; or their key is gone."""


def standing(uow: UnitOfWork, batch: MemberBatch, *, system: str) -> Standing:
    """Tell whom the rows of a batch speak of; opens nothing. Rows that nobody is held for are in neither map."""
    work = Upsert(uow, system, list(batch.external_ids), {**batch.fields}, batch.registered_at)
    existing = work.existing(sorted(work.digests))
    living: dict[int, MemberId] = {}
    numbers: dict[MemberId, int] = {}
    refused: dict[int, Outcome] = {}
    unknown = []
    for at, digest in enumerate(work.digests):
        known = existing.get(digest)
        if known is None:
            unknown.append(at)
        elif known.status == MemberStatus.ERASED:
            refused[at] = Outcome.SUPPRESSED
        elif known.status == MemberStatus.DISABLED:
            refused[at] = Outcome.DISABLED
        else:
            living[at] = known.member_id
            numbers[known.member_id] = known.row_no
    refused |= dict.fromkeys(work.suppressed(unknown), Outcome.SUPPRESSED)
    return Standing(living, refused, numbers)


def compare_batch(
    uow: UnitOfWork, permit: Permit, batch: MemberBatch, found: Standing, *, permitted: Collection[MemberId]
) -> Comparison:
    """Compare the rows of a batch with what is held of `permitted` members.

    :param permit: for `use` of the batch's fields, on a set. :param permitted: whom the gate decided it for.
    :raises Denied: the Permit covers something else, or its time is over.
    """
    try:
        if permit.actor != uow.actor.id:
            raise Denied("the permit does not cover this", reasons=(reason("PERMIT_SCOPE"),))  # noqa: TRY301 - told below
        permit.require(now=uow.now, operation=Operation.USE, fields=tuple(batch.fields))
    except Denied as denied:
        uow.refuse(denied, purpose=permit.purpose, refs={"permit": permit.id})
    columns: dict[str, Sequence[str]] = dict(batch.fields)
    if batch.registered_at is not None and any(batch.registered_at):
        columns[REGISTERED] = registered_texts(batch.registered_at)
    chosen = {at: member for at, member in found.living.items() if member in permitted}
    stored = read_sealed(uow.session.connection(), {found.row_numbers[one]: one for one in chosen.values()})
    deks = uow.keys.deks(list(chosen.values()))
    rotated = [one for one in chosen.values() if _between(deks.get(one), stored.get(found.row_numbers[one]))]
    if rotated:  # their data keys were renewed between the two questions: what is held now is under the new ones
        stored |= read_sealed(uow.session.connection(), {found.row_numbers[one]: one for one in rotated})
        deks |= uow.keys.deks(rotated)
    work = _Comparing(uow, columns, batch.external_ids)
    counts: Counter[str] = Counter()
    for at, member in chosen.items():
        counts[work.one(at, deks.get(member), stored.get(found.row_numbers[member]))] += 1
    return Comparison(
        equal=counts["equal"],
        corrected=counts["corrected"],
        differing=counts["differing"],
        by_field=dict(work.by_field),
        broken=counts["broken"],
    )


def _between(dek: bytes | None, stored: StoredMember | None) -> bool:
    return dek is not None and stored is not None and Dek.at(dek, stored.sealed.key_version) is None


class _Comparing:
    def __init__(self, uow: UnitOfWork, columns: Mapping[str, Sequence[str]], external_ids: Sequence[str]) -> None:
        self._columns = {EXTERNAL: external_ids, **columns}
        self._names = list(self._columns)
        self._codes, self._indexes = FieldCodes(uow.policy), Indexes(uow.keys, uow.policy)
        self._digest = BlindIndex(derive(uow.keys.system_key("row-digest"), "compare")).digest
        self.by_field: Counter[str] = Counter()

    def one(self, at: int, dek: bytes | None, stored: StoredMember | None) -> str:
        if dek is None or stored is None:
            return "broken"
        try:
            held = self._codes.named(open_member(dek, stored.sealed))
        except IntegrityBroken:
            return "broken"
        member = stored.sealed.member_id
        told = [self._columns[name][at] for name in self._names]
        have = [held.get(name, "") for name in self._names]
        if same_bytes(self._digest(member + _encode(told)), self._digest(member + _encode(have))):
            return "equal"
        verdict = "corrected"
        for name, a, b in zip(self._names, told, have, strict=True):
            code = self._codes.code(name)
            if same_bytes(self._digest(member + code + a.encode()), self._digest(member + code + b.encode())):
                continue
            replaced = stored.corrections.get(code)
            if replaced is not None and same_bytes(replaced, self._indexes.row(member, code + a.encode())):
                continue
            self.by_field[name] += 1
            verdict = "differing"
        return verdict
