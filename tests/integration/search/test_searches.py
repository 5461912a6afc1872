"""Search by part of a value: off by default, confirmed after opening, in line with what is held, removed when off."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.world import NOW, POLICIES, World, people
from pdms.audit.catalogue import EventKind
from pdms.bootstrap.app import App
from pdms.clock import FixedClock
from pdms.errors import Conflict, Denied, InvalidInput, PdmsError
from pdms.policy.loader import PolicyInvalid, load
from pdms.reports import evidence
from pdms.rights import service as rights
from pdms.rotation import service as rotation
from pdms.settings import Settings
from pdms.taxonomy import MemberId, RequestType
from pdms.vault import service as vault

MEMBERS = 200
DECLARED = """searches:
  phone_last4: {code: 1, field: phone, form: last_four, bits: 8}
  name_part: {code: 3, field: name, form: bigrams, bits: 8}
  email_short: {code: 4, field: email, form: whole, bits: 8}
"""
ONE = "searches:\n  a: {code: 1, field: phone, form: whole, bits: 8}\n"
KILLED = """
import os, sys
from datetime import datetime
from pathlib import Path
from pdms.bootstrap.app import App
from pdms.clock import FixedClock
from pdms.settings import Settings
from pdms.unit_of_work import Actor
from pdms.vault import service as vault
home, policies, now, batches = sys.argv[1:]
app = App.open(Settings(home=Path(home), policies=Path(policies)), clock=FixedClock(datetime.fromisoformat(now)))
left = int(batches)
def progress(done, total):
    global left
    left -= 1
    if left < 1:
        os.kill(os.getpid(), 9)
vault.reindex(app.units(Actor.system()), batch=30, progress=progress)
"""


def policies_with(folder: Path, declared: str) -> Path:
    path = folder / "policies"
    if not path.exists():
        shutil.copytree(POLICIES, path)
    text = (POLICIES / "policy.yaml").read_text("utf-8")
    assert text.count("searches: {}\n") == 1
    (path / "policy.yaml").write_text(text.replace("searches: {}\n", declared), "utf-8")
    return path


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, list[dict[str, str]]]]:
    folder = tmp_path_factory.mktemp("searches")
    world = World.make(folder, policies=policies_with(folder, DECLARED))
    members = people(MEMBERS)
    assert world.ingest("shop-members", members).rejected == 0
    assert reindexed(world).members == 0  # entries came with the members
    yield world, members
    world.close()


@pytest.fixture(autouse=True)
def _fresh_hour(shop) -> None:
    shop[0].pass_time(hours=1)


def reindexed(world: World, **more: object) -> vault.Reindexed:
    return vault.reindex(world.app.units(world.actor("compliance")), **more)


def search(world: World, role: str = "support", **terms: str) -> set[MemberId]:
    found = world.run(role, rights.search_members, terms=terms, purpose="service", reason="CALL_BACK")
    assert len(set(found)) == len(found)
    return set(found)


def by_hand(world: World, members: list[dict[str, str]], fits) -> set[MemberId]:
    return {world.id_of(one["会员编号"]) for one in members if fits(one)}


def rows(world: World, sql: str, *values: object) -> list[tuple]:
    with world.unit("compliance") as uow:
        return [tuple(row) for row in uow.session.connection().exec_driver_sql(sql, values).all()]


def consistent(world: World) -> None:
    """Every entry belongs to a member, is beside it, and is what its values give today."""
    from pdms.vault.reading import stored_member
    from pdms.vault.sealing import FieldCodes, dek_of, open_member
    from pdms.vault.searches import Searches, split_entries

    beside = set()
    for row_no, entries in rows(world, "SELECT row_no, entries FROM member_search"):
        beside |= {(code, bucket, row_no) for code, bucket in split_entries(entries)}
    assert set(rows(world, "SELECT kind, bucket, row_no FROM search_index")) == beside
    with world.unit("compliance") as uow:
        searches = Searches(uow.keys, uow.policy)
        truth = set()
        for member, status, *_ in vault.state_rows(uow):
            if status == "erased":
                continue
            stored = stored_member(uow, MemberId(member))
            opened = FieldCodes(uow.policy).named(open_member(dek_of(uow.keys, MemberId(member)), stored.sealed))
            truth |= {(code, bucket, stored.row_no) for code, bucket in searches.entries(opened)}
    assert beside == truth


def test_off_by_default_nothing_is_kept(tmp_path) -> None:
    world = World.make(tmp_path)
    try:
        world.ingest("shop-members", people(3))
        assert rows(world, "SELECT * FROM search_index") == []
        assert rows(world, "SELECT * FROM member_search") == []
        with pytest.raises(InvalidInput) as caught:
            search(world, phone_last4="1234")
        assert caught.value.code == "NO_SEARCH"
        assert reindexed(world) == vault.Reindexed((), 0)
    finally:
        world.close()


def test_every_answer_fits_and_none_is_missed(shop) -> None:
    world, members = shop
    reindexed(world)
    consistent(world)
    for one in members[:12]:
        last, part = one["手机号"][-4:], one["姓名"][:2]
        assert search(world, phone_last4=last) == by_hand(
            world, members, lambda m, last=last: m["手机号"].endswith(last)
        )
        both = by_hand(
            world, members, lambda m, last=last, part=part: m["手机号"].endswith(last) and part in m["姓名"]
        )  # fmt: skip
        assert world.id_of(one["会员编号"]) in both
        assert search(world, phone_last4=last, name_part=part) == both
    assert search(world, email_short=members[5]["邮箱"].upper()) == {world.id_of("H00005")}
    assert search(world, name_part="不在这里") == set()
    assert search(world, phone_last4="0000", email_short=members[5]["邮箱"]) == set()


def test_buckets_are_shared_and_merge_nobody(shop) -> None:
    world, members = shop
    reindexed(world)
    shared = rows(world, "SELECT count(*) FROM search_index WHERE kind = 4 GROUP BY bucket ORDER BY 1 DESC LIMIT 1")
    assert shared[0][0] > 1  # 200 members in 256 buckets: some share one
    assert all(search(world, email_short=m["邮箱"]) == {world.id_of(m["会员编号"])} for m in members[:40])


def test_a_search_is_permitted_limited_and_logged_as_a_reveal(shop) -> None:
    world, members = shop
    reindexed(world)
    last = members[9]["手机号"][-4:]
    (found,) = search(world, phone_last4=last, email_short=members[9]["邮箱"])
    page = world.run("compliance", evidence.list_events, kinds=["member.looked_up", "permit"], limit=2)
    told = {event.kind: event for event in page.items}
    assert told["member.looked_up"].member_id == found.hex()
    assert told["member.looked_up"].purpose == "service"
    assert told["member.looked_up"].reasons == ("CALL_BACK",)
    assert told["member.looked_up"].refs == {"permit": told["permit"].refs["permit"]}
    for purpose, reason, role in (
        ("segment", "CALL_BACK", "support"),
        ("order", "NOSY", "support"),
        ("order", "CALL_BACK", "marketing"),
    ):
        with pytest.raises(Denied):
            world.run(role, rights.search_members, terms={"phone_last4": last}, purpose=purpose, reason=reason)
    with pytest.raises(Denied) as caught:  # the purpose's deny_fields hold for parts as for the whole
        world.run(
            "support", rights.search_members, terms={"email_short": "a@b.example"}, purpose="order", reason="CALL_BACK"
        )
    assert "FIELD_NOT_ALLOWED" in [r.code for r in caught.value.reasons]


def test_searches_use_up_the_hour_like_reveals(shop) -> None:
    world, _ = shop
    reindexed(world)
    for _ in range(world.app.policy.reveal.per_hour):
        search(world, phone_last4="0001")
    with pytest.raises(Denied) as caught:
        search(world, phone_last4="0001")
    assert [r.code for r in caught.value.reasons] == ["REVEAL_RATE"]


def test_a_search_that_fits_too_many_lists_nobody(shop, monkeypatch) -> None:
    world, members = shop
    reindexed(world)
    from pdms.vault import searching

    common = max((m["姓名"][:2] for m in members), key=lambda p: sum(p in m["姓名"] for m in members))
    monkeypatch.setattr(searching, "MOST", 1)
    with pytest.raises(InvalidInput) as caught:
        search(world, name_part=common)
    assert caught.value.code == "SEARCH_TOO_WIDE"
    monkeypatch.setattr(searching, "CANDIDATES", 0)
    with pytest.raises(InvalidInput):
        search(world, name_part=common)
    newest = world.run("compliance", evidence.list_events, kinds=["member.looked_up"], limit=1).items[0]
    assert (newest.outcome, newest.reasons) == ("denied", ("SEARCH_TOO_WIDE",))


def test_searches_refused_for_fitting_too_many_use_up_the_hour(shop, monkeypatch) -> None:
    world, members = shop
    reindexed(world)
    from pdms.vault import searching

    per_hour = world.app.policy.reveal.per_hour
    assert per_hour > 2
    part = members[0]["姓名"][:2]
    for limit, value in (("MOST", 0), ("CANDIDATES", 0)):
        monkeypatch.setattr(searching, limit, value)
        for _ in range(per_hour // 2):
            with pytest.raises(InvalidInput) as refused:
                search(world, name_part=part)
            assert refused.value.code == "SEARCH_TOO_WIDE"
    assert rows(world, "SELECT max(reveals) FROM reveal_count") == [(per_hour // 2 * 2,)]
    for _ in range(per_hour % 2):
        search(world, phone_last4="0001")
    with pytest.raises(Denied) as caught:
        search(world, name_part=part)
    assert [r.code for r in caught.value.reasons] == ["REVEAL_RATE"]
    told = world.run("compliance", evidence.list_events, kinds=["member.looked_up"], limit=per_hour).items
    assert sum(one.reasons == ("SEARCH_TOO_WIDE",) for one in told) >= per_hour // 2 * 2


@pytest.mark.parametrize("term", ["123", "12345", "abcd", "12 4", ""])
def test_terms_that_say_too_little_are_refused(shop, term) -> None:
    world, _ = shop
    with pytest.raises(InvalidInput):
        search(world, phone_last4=term)
    for name in ("张", "", " 张 "):
        with pytest.raises(InvalidInput):
            search(world, name_part=name)


def test_correction_update_and_erasure_bring_the_entries_along(shop) -> None:
    world, members = shop
    reindexed(world)
    world.ingest("shop-members", [members[20] | {"手机号": "13900004321", "会员编号": "H00020"}])
    assert search(world, phone_last4="4321") == {world.id_of("H00020")}
    one = world.id_of("H00021")
    request = world.run(
        "support", rights.submit, member_id=one, request_type=RequestType.CORRECTION, field="name", value="欧阳锋锋"
    )
    world.run("support", rights.verify, request_id=request.request_id, field="phone", value=members[21]["手机号"])
    rights.execute(world.app.units(world.actor("support")), request_id=request.request_id)
    assert one in search(world, name_part="阳锋")
    assert one not in search(world, name_part=members[21]["姓名"])
    gone, row_no = world.id_of("H00022"), None
    with world.unit("compliance") as uow:
        row_no = (
            uow.session.connection()
            .exec_driver_sql("SELECT row_no FROM member WHERE member_id = ?", (gone,))
            .scalar_one()
        )
    units = world.app.units(world.actor("support"))
    rights.erase_member(units, member_id=gone, field="phone", value=members[22]["手机号"])
    assert gone not in search(world, phone_last4=members[22]["手机号"][-4:])
    assert rows(world, "SELECT * FROM search_index WHERE row_no = ?", row_no) == []
    assert rows(world, "SELECT * FROM member_search WHERE row_no = ?", row_no) == []
    consistent(world)


def reopened(world: World, declared: str) -> App:
    path = policies_with(world.folder, declared)
    app = App.open(Settings(home=world.app.home.root, policies=path), clock=FixedClock(world.clock.instant))
    app.policy = load(path)  # documents that were in force once would give way to those that are now
    app.activate_policy()
    return app


def test_switched_on_later_built_killed_goes_on_and_is_removed_when_off(tmp_path) -> None:
    world = World.make(tmp_path, policies=policies_with(tmp_path, "searches: {}\n"))
    members = people(MEMBERS)
    world.ingest("shop-members", members)
    world.close()
    world.app = reopened(world, DECLARED)
    with pytest.raises(Conflict) as caught:
        search(world, phone_last4="0001")
    assert caught.value.code == "SEARCH_NOT_BUILT"
    words = [str(world.app.home.root), str(tmp_path / "policies"), NOW.isoformat(), "2"]
    killed = subprocess.run([sys.executable, "-c", KILLED, *words], check=False, timeout=120)
    assert killed.returncode == -9
    assert len(rows(world, "SELECT 1 FROM member_search")) == 60
    with pytest.raises(Conflict):
        search(world, phone_last4="0001")
    seen: list[tuple[int, int]] = []
    done = reindexed(world, batch=30, progress=lambda *at: seen.append(at))
    assert done == vault.Reindexed(("phone_last4", "name_part", "email_short"), MEMBERS - 60)
    assert seen[-1] == (MEMBERS - 60, MEMBERS)
    assert reindexed(world).members == 0
    consistent(world)
    assert search(world, phone_last4=members[7]["手机号"][-4:]) >= {world.id_of("H00007")}
    told = world.run("compliance", evidence.list_events, kinds=[EventKind.SEARCH_INDEXED.value], limit=100).items
    assert sum(event.numbers["members"] for event in told) == MEMBERS
    world.close()
    # another form: entries are made anew, and until then no search answers
    world.app = reopened(world, DECLARED.replace("form: last_four, bits: 8", "form: last_four, bits: 10"))
    world.ingest("shop-members", [{**people(1)[0], "会员编号": "H99999", "手机号": "13712345678"}])
    with pytest.raises(Conflict):
        search(world, phone_last4="5678")
    assert reindexed(world).members == MEMBERS
    consistent(world)
    assert search(world, phone_last4="5678") == {world.id_of("H99999")}
    world.close()
    world.app = reopened(world, "searches: {}\n")
    assert reindexed(world, batch=30) == vault.Reindexed((), MEMBERS + 1)
    for table in ("search_index", "member_search", "search_state"):
        assert rows(world, f"SELECT * FROM {table}") == []
    world.close()


def test_a_writer_under_the_old_policy_makes_searches_refuse_and_not_miss(tmp_path) -> None:
    world = World.make(tmp_path, policies=policies_with(tmp_path, "searches: {}\n"))
    world.ingest("shop-members", people(20))
    old = world.app
    world.app = reopened(world, DECLARED)
    reindexed(world)
    search(world, phone_last4="0001")
    world.app, new = old, world.app
    world.ingest("shop-members", [{**people(1)[0], "会员编号": "H99999", "手机号": "13712345678"}])
    world.app = new
    with pytest.raises(Conflict):
        search(world, phone_last4="5678")
    assert reindexed(world).members == 1
    assert search(world, phone_last4="5678") == {world.id_of("H99999")}
    old.close()
    world.close()


def test_new_keys_for_searches_leave_no_entry_under_the_old_ones(tmp_path) -> None:
    world = World.make(tmp_path, policies=policies_with(tmp_path, DECLARED))
    members = people(50)
    world.ingest("shop-members", members)
    reindexed(world)
    before = set(rows(world, "SELECT kind, bucket, row_no FROM search_index"))
    done = rotation.rotate_search(world.app.units(world.actor("admin")), batch=20)
    assert (done.rows, done.keys) == (50, 3)
    consistent(world)
    after = set(rows(world, "SELECT kind, bucket, row_no FROM search_index"))
    assert len(before & after) < len(before) / 10
    last = members[7]["手机号"][-4:]
    assert search(world, phone_last4=last) == by_hand(world, members, lambda m: m["手机号"].endswith(last))
    with pytest.raises(Denied):
        rotation.rotate_search(world.app.units(world.actor("support")))
    world.close()


def test_a_rotation_cut_off_goes_on_without_further_keys(tmp_path) -> None:
    world = World.make(tmp_path, policies=policies_with(tmp_path, DECLARED))
    world.ingest("shop-members", people(50))
    reindexed(world)

    def dies(done: int, _all: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rotation.rotate_search(world.app.units(world.actor("admin")), batch=20, progress=dies)
    with pytest.raises(Conflict):
        search(world, phone_last4="0001")
    done = rotation.rotate_search(world.app.units(world.actor("admin")), batch=20)
    assert (done.rows, done.keys) == (30, 0)
    consistent(world)
    world.close()


def test_a_rotation_cut_off_ends_where_the_policy_declares_no_search_any_more(tmp_path) -> None:
    world = World.make(tmp_path, policies=policies_with(tmp_path, DECLARED))
    world.ingest("shop-members", people(5))
    reindexed(world)

    def dies(_done: int, _all: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rotation.rotate_search(world.app.units(world.actor("admin")), batch=2, progress=dies)
    world.close()
    world.app = reopened(world, "searches: {}\n")
    units = world.app.units(world.actor("admin"))
    rotation.rotate_search(units)
    with pytest.raises(InvalidInput) as caught:
        rotation.rotate_search(units)
    assert caught.value.code == "NO_SEARCH"
    assert rows(world, "SELECT * FROM member_search") == []
    world.close()


def test_while_a_home_changes_its_suite_a_search_misses_nobody_or_is_refused(tmp_path) -> None:
    world = World.make(tmp_path, policies=policies_with(tmp_path, DECLARED))
    members = people(50)
    world.ingest("shop-members", members)
    reindexed(world)
    last = members[7]["手机号"][-4:]
    wanted = by_hand(world, members, lambda m: m["手机号"].endswith(last))
    assert wanted
    before = set(rows(world, "SELECT kind, bucket, row_no FROM search_index"))
    told: list[str] = []

    def look(_done: int, _all: int) -> None:
        try:
            told.append("all found" if search(world, phone_last4=last) == wanted else "missed")
        except Conflict:
            told.append("refused")
        # Who comes meanwhile, by an older key or the newest, is found afterwards.
        world.ingest("shop-members", [{**people(1)[0], "会员编号": f"H9{len(told):04d}", "手机号": "13712345678"}])

    done = rotation.rotate_suite(world.app.units(world.actor("admin")), suite=rotation.SuiteName.SM4_GCM, progress=look)
    assert set(told) == {"all found", "refused"}
    assert done.searched >= 50
    consistent(world)
    assert search(world, phone_last4=last) == wanted
    assert search(world, phone_last4="5678") == {world.id_of(f"H9{n:04d}") for n in range(1, len(told) + 1)}
    after = set(rows(world, "SELECT kind, bucket, row_no FROM search_index"))
    assert len(before & after) < len(before) / 10
    world.close()


@pytest.mark.parametrize(
    ("declared", "rule"),
    [
        ("searches:\n  a: {code: 1, field: nothing, form: whole, bits: 8}\n", "no such field"),
        ("searches:\n  a: {code: 1, field: address, form: last_four, bits: 8}\n", "not for this field"),
        ("searches:\n  a: {code: 1, field: gender, form: whole, bits: 8}\n", "not for this field"),
        (f"{ONE}  b: {{code: 1, field: email, form: whole, bits: 8}}\n", "another search"),
        ("searches:\n  a: {code: 1, field: phone, form: whole, bits: 32}\n", "bits"),
    ],
)  # fmt: skip
def test_what_a_policy_may_not_declare(tmp_path, declared, rule) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        load(policies_with(tmp_path, declared))
    assert any(rule in line for line in caught.value.problems)
    assert isinstance(caught.value, PdmsError)
