"""What a member had removed or replaced does not come back: by a row put back, a late event, an old file."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from common.world import World, consents_of, orders_of, people
from pdms.bootstrap.app import App
from pdms.crypto import new_root_text
from pdms.db import begin
from pdms.errors import IntegrityBroken
from pdms.facts import service as facts
from pdms.facts.names import FactTable
from pdms.keystore import versions
from pdms.rights import service as rights
from pdms.rotation import service as rotation
from pdms.taxonomy import MemberId, RequestType
from pdms.vault import service as vault
from pdms.vault.looking import look_up

COUNT = 8
OLD = "浙江省杭州市旧址路1号"
NEW = "上海市浦东新区新址路88号"


@pytest.fixture
def members(world: World) -> list[dict[str, str]]:
    rows = people(COUNT)
    rows[3]["收货地址"] = OLD
    report = world.ingest("shop-members", rows)
    assert report.rejected == 0, report.by_rule
    return rows


def correct(world: World, members: list[dict[str, str]], at: int, field: str, value: str) -> MemberId:
    member = world.id_of(members[at]["会员编号"])
    made = world.run(
        "support", rights.submit, member_id=member, request_type=RequestType.CORRECTION, field=field, value=value
    )
    world.run("support", rights.verify, request_id=made.request_id, field="phone", value=members[at]["手机号"])
    rights.execute(world.app.units(world.actor("support")), request_id=made.request_id)
    return member


def row_of(world: World, member: MemberId) -> tuple[int, int, bytes, bytes]:
    """Row number, write sequence, sealed values and index digests, as stored."""
    sql = (
        "SELECT s.row_no, s.write_seq, s.sealed, s.digests FROM sealed_member s JOIN member m ON m.row_no = s.row_no"
        " WHERE m.member_id = ?"
    )
    with begin(world.app.main, read_only=True) as session:
        number, sequence, sealed, digests = session.connection().exec_driver_sql(sql, (member,)).one()
    return number, sequence, bytes(sealed), bytes(digests)


def put(world: World, number: int, sealed: bytes) -> None:
    with begin(world.app.main) as session:
        session.connection().exec_driver_sql("UPDATE sealed_member SET sealed = ? WHERE row_no = ?", (sealed, number))


def whole_blob(old: bytes, new: bytes) -> bytes:
    return old


def one_value(old: bytes, new: bytes) -> bytes:
    """The current values, but for one of an older write."""
    before, now = msgspec.msgpack.decode(old), msgspec.msgpack.decode(new)
    (changed,) = [code for code in now if len(now[code]) != len(before[code])]
    return msgspec.msgpack.encode(now | {changed: before[changed]})


@pytest.mark.parametrize("back", [whole_blob, one_value])
def test_an_old_sealed_value_put_back_does_not_open(
    world: World, members: list[dict[str, str]], back: Callable[[bytes, bytes], bytes]
) -> None:
    before = row_of(world, world.id_of("H00003"))
    member = correct(world, members, 3, "address", NEW)
    after = row_of(world, member)
    assert after[1] > before[1]
    put(world, before[0], back(before[2], after[2]))
    with pytest.raises(IntegrityBroken), world.unit("support") as uow:
        vault.masked(uow, member)
    with pytest.raises(IntegrityBroken):
        world.run(
            "support", rights.reveal, member_id=member, fields=("address",), purpose="service", reason="CALL_BACK"
        )
    put(world, after[0], after[2])
    opened = world.run(
        "support", rights.reveal, member_id=member, fields=("address",), purpose="service", reason="CALL_BACK"
    )
    assert opened == {"address": NEW}


def test_an_old_value_put_back_does_not_open_after_a_rotation_either(world: World, new_root: str) -> None:
    world.ingest("shop-members", [row := people(1)[0]])
    before = row_of(world, world.id_of(row["会员编号"]))
    member = correct(world, [row], 0, "address", NEW)
    rotation.rotate_epoch(world.app.units(world.actor("admin")), root_uri=new_root)
    put(world, before[0], before[2])
    with pytest.raises(IntegrityBroken), world.unit("support") as uow:
        vault.masked(uow, member)


@pytest.fixture
def new_root(monkeypatch: pytest.MonkeyPatch) -> str:
    """URI of a root key for one more epoch."""
    monkeypatch.setenv("PDMS_TEST_NEXT_ROOT", new_root_text())
    return "env:PDMS_TEST_NEXT_ROOT"


def late_files(row: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    """What a shop's systems may still send of a member a day later, by source."""
    number = row["会员编号"]
    orders, lines = orders_of([row])
    event = {"会员编号": number, "事件编号": "LATE-E", "时间": "2026-10-30 10:00:00", "行为": "浏览", "商品编码": "P1"}
    talk = {
        "会员编号": number, "编号": "LATE-T", "时间": "2026-10-30 10:00:00", "类型": "聊天", "渠道": "web",
        "内容": "还没有收到货",
    }  # fmt: skip
    return {
        "shop-orders": list(orders),
        "shop-order-lines": list(lines),
        "shop-events": [event | {"类目": "grocery"}],
        "shop-interactions": [talk],
        "shop-consents": list(consents_of([row])),
    }


@pytest.mark.parametrize("rotated", [False, True], ids=["", "after a rotation"])
def test_late_rows_of_every_kind_are_refused_once_their_member_is_erased(
    world: World, members: list[dict[str, str]], new_root: str, rotated: bool
) -> None:
    gone = world.id_of("H00005")
    with world.unit("support") as uow:
        pseudonym = vault.pseudonym_of(uow, gone)
    rights.erase_member(
        world.app.units(world.actor("support")), member_id=gone, field="phone", value=members[5]["手机号"]
    )
    if rotated:
        rotation.rotate_epoch(world.app.units(world.actor("admin")), root_uri=new_root)
    for source, rows in late_files(members[5]).items():
        report = world.ingest(source, rows)
        assert (report.accepted, set(report.by_rule)) == (0, {"UNKNOWN_MEMBER"}), source
    assert world.ingest("shop-members", [members[5]]).by_rule == {"SUPPRESSED": 1}
    moved = members[5] | {"会员编号": "H99999"}  # under another number, known again by telephone or e-mail
    assert world.ingest("shop-members", [moved]).by_rule == {"SUPPRESSED": 1}
    anew = members[5] | {"会员编号": "H99998", "注册时间": "2026-11-03"}
    world.pass_time(days=3)
    assert world.ingest("shop-members", [anew]).created == 1, "who registers anew may come"
    assert not any(facts.of_subject(world.app.home, pseudonym).values())


def test_facts_that_a_load_wrote_behind_an_erasure_go_with_the_next_sweep(
    world: World, members: list[dict[str, str]]
) -> None:
    """A load that resolved a member before the erasure, and wrote after it: facts of nobody."""
    member = world.id_of("H00006")
    with world.unit("support") as uow:
        pseudonym = vault.pseudonym_of(uow, member)
    orders, _ = orders_of([members[6]])
    assert world.ingest("shop-orders", orders).rejected == 0
    (path,) = (world.app.home.facts / "orders" / "incoming").glob("*.parquet")
    late = path.read_bytes()
    rights.erase_member(
        world.app.units(world.actor("support")), member_id=member, field="phone", value=members[6]["手机号"]
    )
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(late)
    assert facts.of_subject(world.app.home, pseudonym)[FactTable.ORDERS]
    world.pass_time(days=2)
    assert rights.sweep(world.app.units(world.actor("compliance"))).facts_orphaned
    assert not any(facts.of_subject(world.app.home, pseudonym).values())


class Overtaken:
    """Keys, but for what happens right after they are first read."""

    def __init__(self, keys: Any, meanwhile: Callable[[], object]) -> None:
        self._keys, self._meanwhile = keys, meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._keys, name)

    def system_keys(self, label: str, *, retired: bool = False) -> list[bytes]:
        found: list[bytes] = self._keys.system_keys(label, retired=retired)
        meanwhile, self._meanwhile = self._meanwhile, lambda: None
        meanwhile()
        return found


@pytest.mark.parametrize("way", ["external id", "index", "opened"])
def test_a_look_up_that_a_whole_rotation_overtakes_finds_its_member(
    world: World, members: list[dict[str, str]], way: str
) -> None:
    member = world.id_of("H00002")
    phone = f"+86{members[2]['手机号']}"
    admin = world.app.units(world.actor("admin"))
    with world.app.unit(world.actor("support"), read_only=True) as uow:
        uow.keys = Overtaken(uow.keys, lambda: rotation.rotate_index(admin))
        if way == "external id":
            assert vault.find_external(uow, system="shop", external_id="H00002") == member
        elif way == "index":
            assert vault.find(uow, index="phone", value=phone) == [member]
        else:
            assert [one.member_id for one in look_up(uow, index="phone", value=phone)] == [member]


@pytest.mark.parametrize("way", ["external id", "index", "opened"])
def test_whoever_relies_on_keys_known_a_moment_ago_asks_again_before_saying_nobody(
    world: World, members: list[dict[str, str]], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL a reader asks for new index keys every now and then only; here that moment lasts."""
    member, phone = world.id_of("H00002"), f"+86{members[2]['手机号']}"
    monkeypatch.setattr(versions, "LEASE", 3600.0)
    with App.open(world.app.settings, clock=world.clock) as other:
        support = other.authenticate(world.tokens["support"])
        with other.unit(support) as uow:  # it knows the keys from here on
            assert len(look_up(uow, index="phone", value=phone)) == 1
            assert vault.find_external(uow, system="shop", external_id="H00002") == member
        rotation.rotate_index(world.app.units(world.actor("admin")))
        with other.unit(support, read_only=True) as uow:
            if way == "external id":
                assert vault.find_external(uow, system="shop", external_id="H00002") == member
            elif way == "index":
                assert vault.find(uow, index="phone", value=phone) == [member]
            else:
                assert [one.member_id for one in look_up(uow, index="phone", value=phone)] == [member]
