"""An old shop's members table is taken over: whole, in batches, while it changes, after kills; nothing else of it."""

import re
import traceback
from datetime import date

import pytest

from common.old_shop import COLUMNS, old_member, old_postgres, old_sqlite
from pdms.db import begin
from pdms.errors import Conflict, InvalidInput, NotFound, PdmsError
from pdms.facts import service as facts
from pdms.facts.names import FactTable
from pdms.ingest import service as ingest
from pdms.ingest import table_reader
from pdms.taxonomy import Scope
from pdms.unit_of_work import Actor, ActorKind
from pdms.vault import service as vault
from pdms.vault.reading import stored_member
from pdms.vault.sealing import FieldCodes, open_member

SUPPORT = Actor("op-" + "2" * 32, ActorKind.OPERATOR, frozenset({Scope.SUPPORT}))


WORD = "secretword"


@pytest.fixture(params=["sqlite", "postgresql"])
def old(request, tmp_path):
    if request.param == "sqlite":
        yield old_sqlite(tmp_path)
        return
    with old_postgres(request.getfixturevalue("postgres_server")) as shop:
        yield shop


def take(home, old, *, table="members", **more):
    return ingest.ingest_table(home.unit, source="members", address=old.url, table=table, **more)


def fields(home, number):
    with home.unit(SUPPORT) as uow:
        keys = vault.resolve(uow, system="shop", external_ids=[f"m{number:06d}"]).get(f"m{number:06d}")
        if keys is None:
            return None
        stored = stored_member(uow, keys.member_id)
        return FieldCodes(uow.policy).named(open_member(uow.keys.deks([keys.member_id])[keys.member_id], stored.sealed))


def stop_after(batches):
    """A progress callback that ends the run as a kill would: after so many committed batches."""

    def told(done, rows):
        nonlocal batches
        batches -= 1
        if not batches:
            raise KeyboardInterrupt

    return told


def test_a_table_becomes_members_and_attributes(small_home, old):
    old.make()
    old.put(*(old_member(n) for n in range(25)))
    seen = []
    report = take(small_home, old, batch_rows=10, progress=lambda done, rows: seen.append((done, rows)))
    assert (report.read, report.accepted, report.rejected, report.created) == (25, 25, 0, 25)
    assert seen == [(10, 25), (20, 25), (25, 25)]
    held = fields(small_home, 7)
    assert (held["phone"], held["birth_date"], held["external"]) == ("+8613800000007", "1990-03-07", "m000007")
    assert held["registered_at"] == "2024-04-15T02:00:00+00:00"
    with small_home.unit(SUPPORT) as uow:
        token = vault.resolve(uow, system="shop", external_ids=["m000007"])["m000007"].pseudonym
    rows = facts.of_subject(small_home.home, token)[FactTable.SUBJECT_ATTRIBUTES]
    assert [(r["gender"], r["registered_on"]) for r in rows] == [("female", date(2024, 4, 1))]


def test_run_again_it_takes_only_what_changed(small_home, old):
    old.make()
    old.put(*(old_member(n) for n in range(30)))
    take(small_home, old, batch_rows=7)
    again = take(small_home, old, batch_rows=9)
    assert (again.created, again.updated, again.unchanged) == (0, 0, 30)
    old.run("UPDATE members SET 手机 = '13911112222' WHERE 会员编号 = 'm000003'")
    old.put(old_member(99))
    then = take(small_home, old, batch_rows=7)
    assert (then.created, then.updated, then.unchanged) == (1, 1, 29)
    assert fields(small_home, 3)["phone"] == "+8613911112222"


@pytest.mark.parametrize("stored", [1, 2, 4])
def test_cut_off_it_goes_on_after_its_last_batch(small_home, old, stored):
    old.make()
    old.put(*(old_member(n) for n in range(30)))
    with pytest.raises(KeyboardInterrupt):
        take(small_home, old, batch_rows=7, progress=stop_after(stored))
    report = take(small_home, old, batch_rows=3)
    assert report.resumed
    assert (report.read, report.created, report.unchanged) == (30, 30, 0)
    assert small_home.sql("SELECT count(*) FROM member") == [(30,)]


def test_what_changes_meanwhile_is_neither_lost_nor_taken_twice(small_home, old):
    old.make()
    old.put(*(old_member(n) for n in range(100, 130)))

    def meddle(done, rows):
        if done == 10:  # behind the reader, and before it
            old.put(old_member(1), old_member(500))
            old.run("DELETE FROM members WHERE 会员编号 IN ('m000101', 'm000125')")
            old.run("UPDATE members SET 姓名 = '改名' WHERE 会员编号 IN ('m000102', 'm000128')")

    first = take(small_home, old, batch_rows=10, progress=meddle)
    assert (first.read, first.created, first.rejected) == (30, 30, 0)
    assert fields(small_home, 128)["name"] == "改名"
    then = take(small_home, old, batch_rows=10)
    assert (then.created, then.updated, then.unchanged) == (1, 1, 28)
    assert fields(small_home, 1) is not None
    assert fields(small_home, 102)["name"] == "改名"
    assert fields(small_home, 101) is not None, "what the old shop deletes is not pdms's to erase silently"


def test_a_key_that_the_shop_repeats_is_found_across_a_cut(small_home, old):
    """The table's own key is not the member number: two rows say one member."""
    old.make(key="id", columns=("id", *COLUMNS))
    old.put(*(old_member(n) | {"id": f"{n:04d}"} for n in range(20)))
    old.put(old_member(2, 姓名="另一个") | {"id": "0900"})
    small_home.with_sources(small_home.policy.sources["members"])
    with pytest.raises(InvalidInput) as caught:
        take(small_home, old)
    assert (caught.value.code, "id" in caught.value.message) == ("UNKNOWN_COLUMN", True)
    make_classified(small_home, "id")
    with pytest.raises(KeyboardInterrupt):
        take(small_home, old, batch_rows=5, progress=stop_after(3))
    report = take(small_home, old)
    assert [(one.row, one.field, one.rule) for one in report.rejections] == [(21, "会员编号", "DUPLICATE_KEY")]
    assert fields(small_home, 2)["name"] != "另一个"


def make_classified(home, *names):
    from dataclasses import replace

    from pdms.policy.definitions import SourceColumn

    members = home.policy.sources["members"]
    more = tuple(SourceColumn(name, "ignore") for name in names)
    home.with_sources(replace(members, columns=(*members.columns, *more)))


def test_wrong_rows_are_rejected_by_row_and_rule_and_the_rest_is_kept(small_home, old):
    old.make()
    old.put(
        old_member(1),
        old_member(2, 手机="not-a-phone-zzz"),
        old_member(3, 姓名="长" * (10 << 20)),
        old_member(4, 姓名=None),
        old_member(5, 姓名="a\x07b"),
    )
    report = take(small_home, old)
    assert (report.read, report.accepted) == (5, 2)
    assert [(r.row, r.field, r.rule) for r in report.rejections] == [
        (2, "手机", "PHONE_FORM"), (3, "姓名", "FIELD_TOO_LONG"), (5, "姓名", "CONTROL_CHARACTER"),
    ]  # fmt: skip


def test_text_that_is_not_utf8_is_rejected_by_row_in_sqlite(small_home, tmp_path):
    old = old_sqlite(tmp_path)
    old.make()
    old.put(*(old_member(n) for n in range(6)))
    old.run(
        "INSERT INTO members (会员编号, 姓名) VALUES (?, CAST(? AS TEXT))", [("m000003x", "王秘密".encode("gb18030"))]
    )
    old.run("UPDATE members SET 会员编号 = CAST(? AS TEXT) WHERE 会员编号 = 'm000005'", [("m秘密".encode("gb18030"),)])
    report = take(small_home, old, batch_rows=2)
    assert (report.read, report.accepted) == (7, 5)
    assert [(r.field, r.rule) for r in report.rejections] == [("姓名", "ENCODING"), ("会员编号", "ENCODING")]
    take(small_home, old, batch_rows=1)  # the key of such a row is a place to go on from, too


def test_text_that_is_not_utf8_is_rejected_by_row_in_postgresql(small_home, postgres_server):
    with old_postgres(
        postgres_server, options="ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    ) as old:
        old.run("CREATE TABLE members (id int PRIMARY KEY)")
        for name in COLUMNS:
            old.run(f'ALTER TABLE members ADD "{name}" bytea')
        old.run("INSERT INTO members VALUES (1, 'm1', 'ab'), (2, 'm2', '\\xcdf5c3d8'), (3, 'm3', 'cd')")
        for name in COLUMNS:
            old.run(f'ALTER TABLE members ALTER "{name}" TYPE text USING convert_from("{name}", \'SQL_ASCII\')')
        make_classified(small_home, "id")
        report = take(small_home, old, batch_rows=2)
    assert (report.read, report.accepted) == (3, 2)
    assert [(r.row, r.field, r.rule) for r in report.rejections] == [(2, "姓名", "ENCODING")]


def test_dates_beyond_a_calendar_are_rejected_not_a_reason_to_stop(small_home, postgres_server):
    with old_postgres(postgres_server) as old:
        old.make()
        old.put(old_member(1), old_member(2, 生日="infinity"), old_member(3, 注册时间="infinity"), old_member(4))
        report = take(small_home, old)
    assert (report.accepted, [r.field for r in report.rejections]) == (2, ["生日", "注册时间"])


@pytest.mark.parametrize("key", ["a, b", "b, a"], ids=["number and text", "text and number"])
def test_a_key_of_two_columns_pages_in_its_own_order(small_home, old, key):
    number = "integer"
    old.run(f"CREATE TABLE members (a {number}, b text, 会员编号 text, 姓名 text, PRIMARY KEY ({key}))")
    rows = [(n // 4, "abcd"[n % 4], f"m{n:06d}", "王") for n in range(30)]
    old.run("INSERT INTO members VALUES (?, ?, ?, ?)", rows)
    make_classified(small_home, "a", "b")
    with pytest.raises(KeyboardInterrupt):
        take(small_home, old, batch_rows=4, progress=stop_after(3))
    assert take(small_home, old).created == 30


def test_a_page_ends_early_before_its_values_fill_the_memory(small_home, old, monkeypatch):
    monkeypatch.setattr(table_reader, "PAGE_CHARACTERS", 10_000)
    old.make()
    old.put(*(old_member(n) for n in range(600)))
    seen = []
    report = take(small_home, old, progress=lambda done, rows: seen.append(done))
    assert (report.read, report.created, len(seen)) == (600, 600, 3)


# --- what is refused whole ---------------------------------------------------------------------------------------


def refused(home, old, **more):
    with pytest.raises(PdmsError) as caught:
        take(home, old, **more)
    assert home.sql("SELECT count(*) FROM member") == [(0,)]
    assert home.sql("SELECT count(*) FROM ingest_load") == [(0,)]
    return caught.value


def test_tables_that_cannot_be_taken_are_refused_whole(small_home, old):
    old.make(key=None)
    old.put(old_member(1))
    assert refused(small_home, old).code == "NO_KEY"
    assert refused(small_home, old, table="nowhere").code == "TABLE_MISSING"
    assert isinstance(refused(small_home, old, table="nowhere.members"), NotFound)
    old.run("CREATE TABLE other (x text PRIMARY KEY, y text)")
    assert refused(small_home, old, table="other").code == "WRONG_SOURCE"
    old.run("CREATE TABLE lacking (姓名 text PRIMARY KEY)")
    assert refused(small_home, old, table="lacking").code == "MISSING_COLUMN"
    old.make(table="more", columns=(*COLUMNS, "微信号"))
    told = refused(small_home, old, table="more")
    assert (told.code, "微信号" in told.message) == ("UNKNOWN_COLUMN", True)


def test_a_unique_column_serves_as_key_where_it_is_never_empty(small_home, old):
    old.run("CREATE TABLE members (会员编号 text NOT NULL UNIQUE, 姓名 text UNIQUE)")
    old.put(*({"会员编号": f"m{n}", "姓名": None} for n in range(5)))
    assert take(small_home, old, batch_rows=2).created == 5
    old.run("CREATE TABLE loose (会员编号 text UNIQUE, 姓名 text)")
    with pytest.raises(InvalidInput) as caught:
        take(small_home, old, table="loose")
    assert caught.value.code == "NO_KEY"


def test_an_empty_primary_key_in_sqlite_is_found(small_home, tmp_path):
    old = old_sqlite(tmp_path)
    old.make()
    old.put(old_member(1), old_member(2, 会员编号=None))
    assert refused(small_home, old).code == "EMPTY_KEY"


def test_only_mapped_columns_are_read(small_home, postgres_server):
    with old_postgres(postgres_server) as old:
        old.make()
        old.put(old_member(1))
        granted = ", ".join(one for one in COLUMNS if one != "备注")
        old.run(f"CREATE ROLE reader{id(old)} LOGIN; GRANT SELECT ({granted}) ON members TO reader{id(old)}")
        old.url = old.url.replace("postgres@", f"reader{id(old)}@")
        assert take(small_home, old).created == 1
        old.run(f"REVOKE SELECT ({granted}) ON members FROM reader{id(old)}")
        with pytest.raises(InvalidInput) as caught:
            take(small_home, old)
        assert caught.value.code == "SOURCE_DENIED"


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("postgresql://secretaccount@127.0.0.1:1/secretbase", "SOURCE_UNREACHABLE"),
        ("postgresql://secretaccount:secretword@127.0.0.1:1/secretbase", "PASSWORD_ON_COMMAND_LINE"),
        ("mysql://secretaccount:secretword@127.0.0.1/secretbase", "URL_KIND"),
        ("secretword", "URL_FORM"),
        ("sqlite:////secretword/nowhere.db", "SOURCE_MISSING"),
        ("sqlite://", "URL_FORM"),
        ("postgresql://secretaccount:secretword@127.0.0.1:port/secretbase", "URL_FORM"),
    ],
)
def test_a_wrong_address_is_refused_and_not_repeated(small_home, address, code):
    with pytest.raises(PdmsError) as caught:
        ingest.ingest_table(small_home.unit, source="members", address=address, table="members", password=WORD)
    assert caught.value.code == code
    assert not re.search("secret", everything(caught.value))


def test_a_failure_on_the_way_repeats_nothing_of_the_driver_and_the_next_run_goes_on(small_home, old):
    old.make()
    old.put(*(old_member(n) for n in range(30)))

    def hide(done, rows):
        if done == 10:
            old.run("ALTER TABLE members RENAME TO secret_members")

    with pytest.raises(InvalidInput) as caught:
        take(small_home, old, batch_rows=10, progress=hide)
    assert caught.value.code in ("SOURCE_BROKEN", "SOURCE_FAILED")
    assert not re.search("secret|SELECT|m000009", everything(caught.value))
    old.run("ALTER TABLE secret_members RENAME TO members")
    report = take(small_home, old)
    assert (report.resumed, report.created) == (True, 30)


def everything(error):
    """What a traceback, a log or a debugger could show of an error and its causes."""
    told = "".join(traceback.TracebackException.from_exception(error, capture_locals=False).format(chain=True))
    chain = error
    while chain is not None:
        told += repr(chain) + repr(chain.args) + str(vars(chain))
        chain = chain.__cause__ or chain.__context__
    return told.replace('secretword", password', "")


def test_what_is_no_database_is_refused(small_home, tmp_path):
    path = tmp_path / "members.db"
    path.write_text("会员编号,姓名\n" * 200)
    with pytest.raises(InvalidInput) as caught:
        ingest.ingest_table(small_home.unit, source="members", address=f"sqlite:///{path}", table="members")
    assert caught.value.code == "SOURCE_BROKEN"


def test_the_password_and_the_address_are_kept_nowhere(small_home, postgres_server, canary, monkeypatch):
    with old_postgres(postgres_server) as old:
        old.make()
        old.put(*(old_member(n) for n in range(9)))
        old.run("CREATE ROLE keeper LOGIN PASSWORD 'hunter2-canary'; GRANT SELECT ON members TO keeper")
        address = old.url.replace("postgres@", "keeper@")
        monkeypatch.setenv("PGPASSWORD", "hunter2-canary")
        with pytest.raises(KeyboardInterrupt):
            ingest.ingest_table(
                small_home.unit, source="members", address=address, table="members", batch_rows=3,
                progress=stop_after(2),
            )  # fmt: skip
        needles = ["hunter2-canary", "keeper", str(postgres_server.folder), "m000005", "不得入库的话"]
        assert canary.search(small_home.home.root, needles) == []
        assert small_home.sql("SELECT length(position) > 40 FROM ingest_load") == [(1,)]
        monkeypatch.delenv("PGPASSWORD")  # however the password is given, it is the same load
        report = ingest.ingest_table(
            small_home.unit, source="members", address=address, table="members", password="hunter2-canary"
        )
        assert report.resumed
        assert canary.search(small_home.home.root, needles) == []
        old.run("REVOKE ALL ON members FROM keeper; DROP ROLE keeper")


def test_nothing_of_the_old_database_is_changed(small_home, tmp_path):
    old = old_sqlite(tmp_path)
    old.make()
    old.put(*(old_member(n) for n in range(20)))
    before = (tmp_path / "old.db").read_bytes()
    take(small_home, old, batch_rows=3)
    assert (tmp_path / "old.db").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("old")] == ["old.db"]


def test_two_at_once_take_each_row_once(small_home, old):
    old.make()
    old.put(*(old_member(n) for n in range(30)))

    def another(done, rows):
        if done == 10:
            take(small_home, old, batch_rows=5)

    with pytest.raises(Conflict) as caught:
        take(small_home, old, batch_rows=10, progress=another)
    assert caught.value.code == "LOAD_RUNNING"
    assert small_home.sql("SELECT count(*) FROM member") == [(30,)]


def test_a_position_of_another_load_or_an_altered_one_is_not_followed(small_home, old):
    old.make()
    old.put(*(old_member(n) for n in range(30)))
    with pytest.raises(KeyboardInterrupt):
        take(small_home, old, batch_rows=10, progress=stop_after(1))
    with begin(small_home.engines["main"]) as session:
        session.connection().exec_driver_sql("UPDATE ingest_load SET position = ?", (bytes(60),))
    with pytest.raises(PdmsError) as caught:
        take(small_home, old)
    assert caught.value.title == "integrity broken"
