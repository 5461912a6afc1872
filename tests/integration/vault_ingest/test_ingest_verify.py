"""A take-over is verified against the old table, and the cut-over report says what is so and what remains."""

import hashlib
import json
from pathlib import Path

import pytest

from common.old_shop import old_postgres, old_sqlite
from common.shell import Shell
from common.world import World, people
from pdms.audit.catalogue import EventKind
from pdms.bootstrap.app import App
from pdms.crypto import Verifier, new_root_text
from pdms.db import begin, on_postgres
from pdms.errors import Denied, IntegrityBroken, InvalidInput
from pdms.ingest import cutover
from pdms.ingest import service as ingest
from pdms.keystore import KeyStore
from pdms.policy.canonical import text_of
from pdms.rights import service as rights
from pdms.rotation import service as rotation
from pdms.taxonomy import Language, RequestType, RestrictionKind

COUNT = 40


@pytest.fixture(params=["sqlite", "postgresql"])
def old(request, tmp_path):
    if request.param == "sqlite":
        yield filled(old_sqlite(tmp_path))
        return
    with old_postgres(request.getfixturevalue("postgres_server")) as shop:
        yield filled(shop)


def filled(shop):
    rows = people(COUNT)
    shop.make(columns=list(rows[0]))
    shop.put(*rows)
    return shop


def take(world, old, **more):
    units = world.app.units(world.actor("ingest"))
    return ingest.ingest_table(units, source="shop-members", address=old.url, table="members", **more)


def verify(world, old, **more):
    units = world.app.units(world.actor("ingest"))
    return ingest.verify_table(units, source="shop-members", address=old.url, table="members", **more)


def counts(found):
    return {
        name: value
        for name in ("equal", "corrected", "differing", "missing", "not_compared", "broken", "held_elsewhere")
        if (value := getattr(found, name))
    }


def report_of(world, found):
    world.app.sequence()
    return world.run("ingest", ingest.cut_over, found)


def test_what_was_taken_over_is_found_alike(world: World, old) -> None:
    assert counts(verify(world, old)) == {"missing": COUNT}
    take(world, old, batch_rows=7)
    found = verify(world, old, batch_rows=9)
    assert (found.rows, counts(found), found.rejected, found.clean) == (COUNT, {"equal": COUNT}, {}, True)
    made = report_of(world, found)
    assert made.ready
    assert made.document["taken_over"]["accepted"] == COUNT
    assert "RUN_AGAIN" not in made.document["remains"]
    assert {"DROP_TABLE", "OLD_BACKUPS", "OLD_WAL", "OLD_LOGS"} <= set(made.document["outside_pdms"])


def test_each_kind_of_difference_is_counted_by_field_and_the_next_run_catches_up(world: World, old) -> None:
    take(world, old)
    old.run("UPDATE members SET 手机号 = '13911112222' WHERE 会员编号 = 'H00001'")
    old.run("UPDATE members SET 手机号 = '13911113333', 收货地址 = '上海市新路1号' WHERE 会员编号 = 'H00002'")
    old.run("UPDATE members SET 邮箱 = 'no address' WHERE 会员编号 = 'H00003'")
    old.run("UPDATE members SET 注册时间 = '2020-01-01' WHERE 会员编号 = 'H00004'")
    old.run("DELETE FROM members WHERE 会员编号 = 'H00005'")
    old.put(people(COUNT + 1)[COUNT])
    found = verify(world, old)
    assert counts(found) == {"equal": COUNT - 5, "differing": 3, "missing": 1, "held_elsewhere": 2}
    assert found.by_field == {"phone": 2, "address": 1, "registered_at": 1}
    assert found.rejected == {"EMAIL_FORM": 1}
    made = report_of(world, found)
    assert not made.ready
    assert {"RUN_AGAIN", "MEND_REJECTED", "DECIDE_HELD_ELSEWHERE"} <= set(made.document["remains"])
    again = take(world, old)
    assert (again.created, again.updated) == (1, 3)
    found = verify(world, old)
    assert counts(found) == {"equal": COUNT - 1, "held_elsewhere": 2}
    assert report_of(world, found).ready


def test_a_data_key_renewed_between_reading_row_and_key_breaks_nothing(world: World, old, monkeypatch) -> None:
    if not on_postgres(world.app.main):
        pytest.skip("on SQLite whoever verifies holds the write lock: no key is renewed meanwhile")
    take(world, old)
    asked = KeyStore.deks
    renewed = []

    def racing(self, member_ids):
        if not renewed:
            renewed.append(True)
            with App.open(world.app.settings, clock=world.clock) as other:
                rotation.rotate_deks(other.units(other.authenticate(world.tokens["admin"])))
        return asked(self, member_ids)

    with monkeypatch.context() as patch:
        patch.setattr(KeyStore, "deks", racing)
        found = verify(world, old)
    assert renewed
    assert counts(found) == {"equal": COUNT}


def test_corrections_and_erasures_made_in_pdms_are_no_differences(world: World, old) -> None:
    take(world, old)
    members = people(COUNT)
    support = world.app.units(world.actor("support"))
    request = world.run(
        "support", rights.submit, member_id=world.id_of("H00001"), request_type=RequestType.CORRECTION,
        field="address", value="上海市示例路8号",
    )  # fmt: skip
    world.run("support", rights.verify, request_id=request.request_id, field="phone", value=members[1]["手机号"])
    rights.execute(support, request_id=request.request_id)
    rights.erase_member(support, member_id=world.id_of("H00002"), field="phone", value=members[2]["手机号"])
    found = verify(world, old)
    assert counts(found) == {"equal": COUNT - 2, "corrected": 1}
    assert found.rejected == {"SUPPRESSED": 1}
    assert take(world, old).updated == 0


def test_whom_the_gate_refuses_is_not_opened(world: World, tmp_path: Path) -> None:
    """Under a purpose that rests on no legal duty, a restriction stops the comparison."""
    old = old_sqlite(tmp_path)
    rows = [{name: row[name] for name in ("会员编号", "姓名", "手机号", "收货地址")} for row in people(COUNT)]
    old.make(columns=list(rows[0]))
    old.put(*rows)
    take(world, old)
    world.run("support", rights.restrict, member_id=world.id_of("H00003"), kind=RestrictionKind.RESTRICTION)
    found = verify(world, old, purpose="order")
    assert counts(found) == {"equal": COUNT - 1, "not_compared": 1}
    assert found.refused_for == {"RESTRICTED": 1}


def test_a_value_that_was_moved_is_found(world: World, old) -> None:
    take(world, old)
    with begin(world.app.main) as session:
        session.connection().exec_driver_sql(
            "UPDATE sealed_member SET sealed = (SELECT sealed FROM sealed_member WHERE row_no = 2) WHERE row_no = 1"
        )
    found = verify(world, old)
    assert counts(found) == {"equal": COUNT - 1, "broken": 1}
    made = report_of(world, found)
    assert not made.ready
    assert "LOOK_INTO_BROKEN" in made.document["remains"]


def test_keys_may_be_rotated_between_the_batches_and_before_the_check(world: World, old, monkeypatch) -> None:
    monkeypatch.setenv("PDMS_TEST_NEXT_ROOT", new_root_text())
    admin = world.app.units(world.actor("admin"))

    def rotate(done: int, rows: int) -> None:
        if done == 14:
            rotation.rotate_deks(admin)
            rotation.rotate_index(admin)
            rotation.rotate_epoch(admin, root_uri="env:PDMS_TEST_NEXT_ROOT")
        if done == 28:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take(world, old, batch_rows=7, progress=rotate)
    assert take(world, old).resumed
    rotation.rotate_deks(admin)
    assert counts(verify(world, old)) == {"equal": COUNT}
    assert take(world, old).unchanged == COUNT


def test_the_log_tells_of_permits_and_of_the_comparison(world: World, old) -> None:
    take(world, old)
    verify(world, old, batch_rows=15)
    with world.unit() as uow:
        rows = uow.session.connection().exec_driver_sql("SELECT kind FROM audit_event").all()
    kinds = [kind for (kind,) in rows]
    assert kinds.count(EventKind.INGEST_VERIFIED) == 1
    assert kinds.count(EventKind.PERMIT) == 3


def test_without_the_purpose_nothing_is_opened(world: World, old) -> None:
    take(world, old)
    with pytest.raises(Denied) as caught:
        verify(world, old, purpose="order")  # its role may, but not these fields
    assert {one.code for one in caught.value.reasons} == {"FIELD_NOT_ALLOWED"}
    with pytest.raises(Denied):
        verify(world, old, purpose="segment")
    with pytest.raises(Denied):
        ingest.verify_table(
            world.app.units(world.actor("support")), source="shop-members", address=old.url, table="members"
        )
    with pytest.raises(InvalidInput):
        ingest.verify_table(
            world.app.units(world.actor("ingest")), source="shop-orders", address=old.url, table="members"
        )


def test_the_report_is_signed_and_every_change_is_found(world: World, old) -> None:
    take(world, old)
    made = report_of(world, verify(world, old))
    document = json.loads(json.dumps(made.document))
    key = bytes.fromhex(document["signature"]["public_key"])
    assert Verifier(key)
    cutover.check(document, public_key=key)
    assert "pdms" in document["checkpoint"]
    for path, value in (("ready", False), ("remains", []), ("made_at", "2020-01-01T00:00:00Z")):
        with pytest.raises(IntegrityBroken):
            cutover.check(document | {path: value}, public_key=key)
    with pytest.raises(IntegrityBroken):
        cutover.check({"ready": True}, public_key=key)
    body = {name: one for name, one in document.items() if name != "signature"}
    assert made.digest == hashlib.sha256(text_of(body).encode()).hexdigest()


def test_on_the_command_line(world: World, old, tmp_path: Path, canary, monkeypatch) -> None:
    shell = Shell(world)
    monkeypatch.setenv("PDMS_SOURCE_PASSWORD", "hunter2-canary")
    where = ("--from-url", old.url, "--table", "members")
    report = tmp_path / "cut-over.json"
    told = shell("ingest", "ingest", "shop-members", *where, "--verify", "--report", str(report), expect=6)
    assert "not ready" in told.out
    assert "RUN_AGAIN" in json.loads(report.read_text("utf-8"))["remains"]
    report.unlink()
    taken = shell("ingest", "ingest", "shop-members", *where, "--verify", "--report", str(report), expect=6)
    assert "exists already" in taken.err, "the texts are there"
    assert not taken.out
    for path in tmp_path.glob("cut-over*"):
        path.unlink()
    assert shell.json("ingest", "ingest", "shop-members", *where)["created"] == COUNT
    shell("ingest", "ingest", "shop-members", *where, "--verify", "--report", str(report))
    document = json.loads(report.read_text("utf-8"))
    assert document["ready"]
    cutover.check(document, public_key=bytes.fromhex(document["signature"]["public_key"]))
    for language, word in ((Language.ZH, "可以切换"), (Language.EN, "ready to switch")):
        readable = report.with_suffix(f".{language}.txt")
        text = readable.read_text("utf-8")
        assert word in text
        assert "OLD_" not in text
        assert readable.stat().st_mode & 0o777 == 0o600
    assert report.stat().st_mode & 0o777 == 0o600
    shell("ingest", "ingest", "shop-members", *where, "extra.csv", expect=2)
    shell("ingest", "ingest", "shop-members", "--from-url", old.url, expect=2)
    shell("ingest", "ingest", "shop-members", expect=2)
    shell("marketing", "ingest", "shop-members", *where, "--verify", expect=4)
    rows = people(COUNT)
    needles = ["hunter2-canary", *(rows[7][name] for name in ("手机号", "身份证号", "收货地址", "登录名", "邮箱"))]
    for path in tmp_path.glob("cut-over*"):
        assert canary.search_bytes(path.name, path.read_bytes(), needles) == []
    assert canary.search(world.app.home.root, needles) == []
    printed = "".join(answer.text for answer in shell.transcript)
    assert not any(one in printed for one in needles)
