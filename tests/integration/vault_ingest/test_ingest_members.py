import csv
import os
from datetime import date
from pathlib import Path

import pytest

from common.world import bytes_of_rows
from pdms.errors import Conflict, Denied, InvalidInput, NotFound
from pdms.facts import service as facts
from pdms.facts.names import FactTable
from pdms.ingest import service as ingest
from pdms.taxonomy import Scope
from pdms.unit_of_work import Actor, ActorKind
from pdms.vault import service as vault

SUPPORT = Actor("op-" + "2" * 32, ActorKind.OPERATOR, frozenset({Scope.SUPPORT}))
COLUMNS = ("会员编号", "姓名", "手机", "邮箱", "生日", "性别", "地址", "注册时间", "备注")


def write(path: Path, *rows: dict[str, str], encoding: str = "utf-8", columns=COLUMNS) -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        out = csv.DictWriter(file, columns)
        out.writeheader()
        out.writerows(rows)
    return path


def member(number: int, **changes: str) -> dict[str, str]:
    return {
        "会员编号": f"m{number}", "姓名": f"王{chr(0x4E00 + number)}", "手机": f"138{number:08d}",
        "邮箱": f"m{number}@shop.example", "生日": "1990-03-07", "性别": "女", "地址": "浙江省杭州市西湖区1号",
        "注册时间": "2024-04-15", "备注": "不得入库的话",
    } | changes  # fmt: skip


def load(home, path, **more):
    return ingest.ingest(home.unit, source="members", path=path, **more)


def state_of(home):
    return home.sql("SELECT member_id, pseudonym, status, turns_18 FROM member ORDER BY member_id"), home.sql(
        "SELECT write_seq, sealed FROM sealed_member ORDER BY row_no"
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_file_becomes_members_and_attributes(small_home, tmp_path, encoding):
    path = write(tmp_path / "m.csv", *(member(n) for n in range(25)), encoding=encoding)
    seen = []
    report = load(small_home, path, batch_rows=10, progress=lambda done, total: seen.append((done, total)))
    assert (report.read, report.accepted, report.rejected, report.created) == (25, 25, 0, 25)
    assert seen == [(10, 25), (20, 25), (25, 25)]
    with small_home.unit(SUPPORT) as uow:
        found = vault.find(uow, index="phone", value="+8613800000007")
        keys = vault.resolve(uow, system="shop", external_ids=["m7"])["m7"]
        assert found == [keys.member_id]
    rows = facts.of_subject(small_home.home, keys.pseudonym)[FactTable.SUBJECT_ATTRIBUTES]
    assert [(r["gender"], r["registered_on"]) for r in rows] == [("female", date(2024, 4, 1))]
    kinds = [kind for (kind,) in small_home.sql("SELECT kind FROM audit_event ORDER BY seq")]
    assert kinds == [
        "ingest.started", "member.created", "ingest.batch", "member.created", "ingest.batch",
        "member.created", "ingest.batch", "ingest.finished",
    ]  # fmt: skip


def test_the_same_file_twice_adds_nothing(small_home, tmp_path):
    path = write(tmp_path / "m.csv", *(member(n) for n in range(25)))
    load(small_home, path, batch_rows=10)
    before, counted = state_of(small_home), facts.counts(small_home.home)
    again = load(small_home, path, batch_rows=7)
    assert (again.created, again.updated, again.unchanged, again.accepted) == (0, 0, 25, 25)
    assert state_of(small_home) == before
    assert facts.counts(small_home.home) == counted


def test_a_changed_row_updates_and_its_attributes_follow(small_home, tmp_path):
    load(small_home, write(tmp_path / "m.csv", *(member(n) for n in range(5))))
    report = load(small_home, write(tmp_path / "n.csv", member(0), member(1, 性别="男"), member(9)))
    assert (report.created, report.updated, report.unchanged) == (1, 1, 1)
    with small_home.unit(SUPPORT) as uow:
        token = vault.resolve(uow, system="shop", external_ids=["m1"])["m1"].pseudonym
    assert [r["gender"] for r in facts.of_subject(small_home.home, token)[FactTable.SUBJECT_ATTRIBUTES]] == ["male"]
    assert facts.counts(small_home.home)[FactTable.SUBJECT_ATTRIBUTES] == 6


def test_rejected_rows_are_reported_by_number_field_and_rule_and_the_rest_is_kept(small_home, tmp_path):
    path = write(
        tmp_path / "m.csv",
        member(1),
        member(2, 手机="not-a-phone-zzz"),
        member(3, 生日="20245-01-01"),
        member(4, 会员编号=""),
        member(1, 姓名="另一个"),
        member(5, 姓名="a\x07b"),
        member(6),
    )
    whole = tmp_path / "rejected.csv"
    report = load(small_home, path, rejected_rows=whole)
    assert (report.read, report.accepted, report.rejected) == (7, 2, 5)
    assert [(r.row, r.field, r.rule) for r in report.rejections] == [
        (2, "手机", "PHONE_FORM"),
        (3, "生日", "DATE_YEAR"),
        (4, "会员编号", "MISSING_KEY"),
        (5, "会员编号", "DUPLICATE_KEY"),
        (6, "姓名", "CONTROL_CHARACTER"),
    ]
    assert sum(report.by_rule.values()) == 5
    with small_home.unit() as uow:
        assert ingest.rejected(uow, load_id=report.load_id, after=3, limit=1)[0].row == 4
        assert ingest.loads(uow)[0].rejected == 5
    assert whole.stat().st_mode & 0o777 == 0o600
    with whole.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[1][:3] == ["2", "手机", "PHONE_FORM"]
    assert "not-a-phone-zzz" in rows[1]
    assert len(rows) == 6
    raw = b"".join(p.read_bytes() for p in small_home.home.root.rglob("*") if p.is_file())
    for value in ("not-a-phone-zzz", "不得入库的话", "20245-01-01"):
        assert value.encode() not in raw


def test_whole_rejected_rows_never_go_inside_the_home(small_home, tmp_path):
    path = write(tmp_path / "m.csv", member(1))
    inside = small_home.home.root / "facts" / "rejected.csv"
    with pytest.raises(InvalidInput) as caught:
        load(small_home, path, rejected_rows=inside)
    assert caught.value.code == "REPORT_INSIDE_HOME"
    link = tmp_path / "link"
    link.symlink_to(small_home.home.root)
    with pytest.raises(InvalidInput):
        load(small_home, path, rejected_rows=link / "rejected.csv")
    taken = tmp_path / "taken.csv"
    taken.touch()
    with pytest.raises(Conflict):
        load(small_home, path, rejected_rows=taken)
    assert small_home.sql("SELECT count(*) FROM member") == [(0,)]


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ((*COLUMNS, "微信号"), "UNKNOWN_COLUMN"),
        (tuple(c for c in COLUMNS if c != "会员编号"), "MISSING_COLUMN"),
        (("x", "y"), "WRONG_SOURCE"),
    ],
)
def test_files_that_the_source_does_not_describe_are_refused_whole(small_home, tmp_path, columns, code):
    path = write(tmp_path / "m.csv", dict.fromkeys(columns, "1"), columns=columns)
    with pytest.raises(InvalidInput) as caught:
        load(small_home, path)
    assert caught.value.code == code
    for table in ("member", "ingest_load", "audit_event"):
        assert small_home.sql(f"SELECT count(*) FROM {table}") == [(0,)]
    assert not list(small_home.home.facts.rglob("*.parquet"))


def test_unknown_source_missing_file_and_missing_scope(small_home, tmp_path):
    path = write(tmp_path / "m.csv", member(1))
    with pytest.raises(NotFound):
        ingest.ingest(small_home.unit, source="nothing", path=path)
    with pytest.raises(NotFound):
        load(small_home, tmp_path / "absent.csv")
    with pytest.raises(Denied):
        ingest.ingest(lambda: small_home.unit(SUPPORT), source="members", path=path)


def test_a_file_that_changes_while_it_is_read_is_a_conflict(small_home, tmp_path):
    path = write(tmp_path / "m.csv", *(member(n) for n in range(30)))

    def meddle(done: int, total: int) -> None:
        os.utime(path, (1, 1))

    with pytest.raises(Conflict) as caught:
        load(small_home, path, batch_rows=10, progress=meddle)
    assert caught.value.code == "FILE_CHANGED"


def test_an_interrupted_load_goes_on_where_it_stood(small_home, tmp_path):
    path = write(tmp_path / "m.csv", *(member(n) for n in range(30)), member(3))

    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == 20:
            raise Stop

    with pytest.raises(Stop):
        load(small_home, path, batch_rows=10, progress=stop)
    first = small_home.sql("SELECT member_id FROM member ORDER BY row_no")
    assert len(first) == 20
    report = load(small_home, path, batch_rows=4)  # the batches stay as they were cut
    assert report.resumed
    assert (report.read, report.created, report.rejected) == (31, 30, 1)
    assert report.by_rule == {"DUPLICATE_KEY": 1}  # found although its first occurrence came before the interruption
    assert small_home.sql("SELECT member_id FROM member ORDER BY row_no")[:20] == first
    assert facts.counts(small_home.home)[FactTable.SUBJECT_ATTRIBUTES] == 30


def test_two_runs_over_one_file_do_not_mix(small_home, tmp_path):
    path = write(tmp_path / "m.csv", *(member(n) for n in range(30)))

    def other(done: int, total: int) -> None:
        if done == 10:
            load(small_home, path)

    with pytest.raises(Conflict) as caught:
        load(small_home, path, batch_rows=10, progress=other)
    assert caught.value.code == "LOAD_RUNNING"
    assert small_home.sql("SELECT count(*) FROM member") == [(30,)]
    assert facts.counts(small_home.home)[FactTable.SUBJECT_ATTRIBUTES] == 30


def test_an_erased_member_in_the_file_is_a_rejected_row(small_home, tmp_path):
    path = write(tmp_path / "m.csv", member(1), member(2))
    load(small_home, path)
    with small_home.unit() as uow:
        one = vault.find_external(uow, system="shop", external_id="m1")
        vault.suppress(uow, one)
    with small_home.unit() as uow:
        vault.destroy_key(uow, one)
    with small_home.unit() as uow:
        vault.forget(uow, one)
    report = load(small_home, path)
    assert (report.unchanged, report.rejected, dict(report.by_rule)) == (1, 1, {"SUPPRESSED": 1})


def test_a_correction_rewrites_the_attributes_too(small_home, tmp_path):
    load(small_home, write(tmp_path / "m.csv", member(1)))
    with small_home.unit() as uow:
        one = vault.find_external(uow, system="shop", external_id="m1")
        done = vault.correct(uow, one, field="gender", value="male")
        ingest.rewrite_attributes(uow, done.pseudonym, done.fields)
    rows = facts.of_subject(small_home.home, done.pseudonym)[FactTable.SUBJECT_ATTRIBUTES]
    assert [(r["gender"], r["registered_on"]) for r in rows] == [("male", date(2024, 4, 1))]


def test_PIPL_51_3_a_dump_of_every_store_holds_no_value_of_a_member(small_home, tmp_path):
    rows = [member(n) for n in range(5)]
    path = write(tmp_path / "m.csv", *rows)
    load(small_home, path)
    values = [row[name].encode() for row in rows for name in ("姓名", "手机", "邮箱", "地址", "生日")]
    assert all(value in path.read_bytes() for value in values)  # what is looked for would be found
    engines = (*small_home.engines.values(), small_home.keys.engine)
    dump = b"".join(bytes_of_rows(engine) for engine in engines)
    dump += b"".join(file.read_bytes() for file in small_home.home.root.rglob("*") if file.is_file())
    assert len(dump) > 1000
    assert [value.decode() for value in values if value in dump] == []


def test_json_lines_and_parquet_end_in_the_same_members(small_home, tmp_path):
    import json

    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [member(n) for n in range(12)]
    load(small_home, write(tmp_path / "m.csv", *rows))
    lines = tmp_path / "m.jsonl"
    lines.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    table = tmp_path / "m.parquet"
    pq.write_table(pa.Table.from_pylist(rows), table)
    for path in (lines, table):
        report = load(small_home, path)
        assert (report.created, report.updated, report.unchanged, report.rejected) == (0, 0, 12, 0)
