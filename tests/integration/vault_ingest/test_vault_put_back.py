"""What an earlier write sealed, put back by whoever may edit rows, does not open: the whole map, or one field of it."""

import msgspec
import pytest

from pdms.errors import IntegrityBroken
from pdms.taxonomy import Scope
from pdms.unit_of_work import Actor, ActorKind
from pdms.vault import service as vault
from pdms.vault.service import MemberRow

STAFF = Actor("op-" + "2" * 32, ActorKind.OPERATOR, frozenset({Scope.SUPPORT}))


def sealed_of(home) -> bytes:
    return bytes(home.sql("SELECT sealed FROM sealed_member")[0][0])


def put_back(home, blob: bytes) -> None:
    with home.unit() as uow:
        uow.session.connection().exec_driver_sql("UPDATE sealed_member SET sealed = ?", (blob,))


@pytest.mark.parametrize("whole", [True, False])
def test_an_older_sealed_value_put_back_does_not_open(small_home, whole) -> None:
    for phone in ("+8613800000001", "+8613800000002"):
        with small_home.unit() as uow:
            row = MemberRow("m1", {"name": "王小明", "phone": phone})
            (member,) = vault.upsert_members(uow, [row], system="shop").member_ids
        if phone.endswith("1"):
            old = sealed_of(small_home)
    new = sealed_of(small_home)
    with small_home.unit(STAFF) as uow:
        assert vault.masked(uow, member)["phone"] == "****0002"
    fields = msgspec.msgpack.decode(new) | {(2).to_bytes(2, "big"): msgspec.msgpack.decode(old)[(2).to_bytes(2, "big")]}
    put_back(small_home, old if whole else msgspec.msgpack.encode(fields))
    with pytest.raises(IntegrityBroken) as caught, small_home.unit(STAFF) as uow:
        vault.masked(uow, member)
    assert caught.value.code == "WRONG_WRITE_SEQUENCE"
    put_back(small_home, new)
    with small_home.unit(STAFF) as uow:
        assert vault.masked(uow, member)["phone"] == "****0002"
