"""A home of an earlier schema: refused, upgraded by one command, killed on the way and finished, never half done."""

import json
import shutil
import signal
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.event import listen

from common.deadly import in_child
from common.shell import command_line
from common.world import POLICIES, ROOT_VARIABLE
from pdms.all_tables import Part
from pdms.all_tables.schema import VERSIONS, head
from pdms.all_tables.shape import shape
from pdms.all_tables.upgrade import upgrade
from pdms.db import checkpoint_and_vacuum, open_engine
from pdms.errors import Conflict, IntegrityBroken

HOME_OF_SCHEMA_1 = Path(__file__).resolve().parents[2] / "vectors" / "home_of_schema_1.tar.gz"
FILES = {Part.VAULT: "vault.db", Part.KEYS: "keys.db", Part.HELD: "held.db", Part.ANON: "anon.db"}


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, dict[str, Any]]:
    """A home that pdms made before it had migrations (commit e30bf53), with three members in it."""
    with tarfile.open(HOME_OF_SCHEMA_1) as archive:
        archive.extractall(tmp_path, filter="data")
    told = json.loads((tmp_path / "told.json").read_text("utf-8"))
    monkeypatch.setenv(ROOT_VARIABLE, told["root"])
    return tmp_path / "home", told


def pdms(home: Path, token: str | None, *words: str, typed: str = "") -> Any:
    return command_line(home, token, "--policies", str(POLICIES), "--json", *words, typed=typed)


def shape_at(path: Path) -> dict[str, Any]:
    engine = open_engine(path)
    try:
        with engine.begin() as connection:
            return shape(connection)
    finally:
        engine.dispose()


def test_an_older_home_is_refused_with_the_command_that_helps(old):
    home, told = old
    before = {name: (home / name).read_bytes() for name in FILES.values()}
    for words in (["audit", "head"], ["init"], ["sweep"]):
        answer = pdms(home, told["tokens"]["compliance"], *words)
        assert answer.code == 6, answer.text
        error = json.loads(answer.err)
        assert error["code"] == "SCHEMA_OLD"
        assert "pdms init --upgrade" in error["detail"]
    assert {name: (home / name).read_bytes() for name in FILES.values()} == before


def test_a_home_made_before_migrations_is_adopted_and_works(old):
    home, told = old
    phone, number = told["members"][0]["手机号"], told["members"][0]["会员编号"]
    done = pdms(home, None, "init", "--upgrade")
    assert done.code == 0, done.text
    assert done.json["state"] == "was there already, upgraded"
    assert {part: step["after"] for part, step in done.json["schema"].items()} == {p.value: head(p) for p in Part}
    support, officer = told["tokens"]["support"], told["tokens"]["compliance"]
    found = pdms(home, support, "member", "find", "phone", typed=f"{phone}\n")
    assert found.code == 0, found.text
    history = pdms(home, support, "consent", "history", f"shop:{told['members'][1]['会员编号']}")
    assert [r["state"] for r in history.json if r["purpose"] == "segment"].count("withdrawn") == 1
    assert pdms(home, support, "member", "show", f"shop:{number}").code == 0
    assert pdms(home, officer, "audit", "verify").code == 0
    kinds = [e["kind"] for e in pdms(home, officer, "audit", "list").json["items"]]
    assert kinds.count("home.upgraded") == 1
    again = pdms(home, None, "init", "--upgrade")
    assert (again.code, again.json["state"]) == (0, "was there already, nothing changed")
    kinds = [e["kind"] for e in pdms(home, officer, "audit", "list").json["items"]]
    assert kinds.count("home.upgraded") == 1


def test_an_upgraded_home_has_the_shape_of_a_new_one(old, tmp_path):
    home, _ = old
    fresh = tmp_path / "fresh"
    assert pdms(fresh, None, "init").code == 0
    assert pdms(home, None, "init", "--upgrade").code == 0
    for name in FILES.values():
        assert shape_at(home / name) == shape_at(fresh / name), name


def test_a_home_with_other_tables_is_not_adopted(old):
    home, _ = old
    with closing(sqlite3.connect(home / "anon.db")) as database:
        database.execute("DROP INDEX ix_release_view")
    answer = pdms(home, None, "init", "--upgrade")
    assert (answer.code, json.loads(answer.err)["code"]) == (7, "SCHEMA_ALTERED")


def test_a_home_of_a_later_version_is_refused(old):
    home, told = old
    assert pdms(home, None, "init", "--upgrade").code == 0
    with closing(sqlite3.connect(home / "held.db", isolation_level=None)) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    for words in (["audit", "head"], ["init"], ["init", "--upgrade"]):
        answer = pdms(home, told["tokens"]["compliance"], *words)
        assert (answer.code, json.loads(answer.err)["code"]) == (6, "SCHEMA_NEWER")


def test_there_is_nothing_to_upgrade_where_there_is_no_home(tmp_path):
    answer = pdms(tmp_path / "mistyped", None, "init", "--upgrade")
    assert answer.code == 5
    assert not (tmp_path / "mistyped").exists()


def test_an_upgrade_that_was_cut_off_before_its_event_is_logged_by_the_next(old):
    home, told = old
    (home / ".upgrading").touch()
    for part, name in FILES.items():
        engine = open_engine(home / name)
        upgrade(part, engine)
        engine.dispose()
    assert pdms(home, None, "init", "--upgrade").code == 0
    page = pdms(home, told["tokens"]["compliance"], "audit", "list").json["items"]
    assert [e["kind"] for e in page].count("home.upgraded") == 1
    assert not (home / ".upgrading").exists()


REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{down}"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("operator", sa.Column("note", sa.String(), nullable=False, server_default=""))
    with op.batch_alter_table("operator", schema=None) as batch:
        batch.alter_column("label", new_column_name="work_name")
    op.create_index("operator_note", "operator", ["note"])
    op.execute("UPDATE operator SET note = 'kept'")
"""


@pytest.fixture
def later(tmp_path: Path) -> tuple[Path, str]:
    """The revisions of the main part and one more, which copies a table that others refer to."""
    folder = tmp_path / "versions"
    shutil.copytree(VERSIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    revision = f"{int(head(Part.VAULT)) + 1:04d}"
    (folder / "vault" / f"r{revision}_notes.py").write_text(
        REVISION.format(revision=revision, down=head(Part.VAULT)), "utf-8"
    )
    return folder, revision


def operators(home: Path) -> list[Any]:
    with closing(sqlite3.connect(home / "vault.db")) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("SELECT * FROM operator ORDER BY operator_id")]


def test_the_next_revision_keeps_every_row(old, later):
    home, _ = old
    folder, revision = later
    before = operators(home)
    engine = open_engine(home / "vault.db")
    step = upgrade(Part.VAULT, engine, folder=folder)
    assert (step.before, step.after, step.changed) == (None, revision, True)
    after = operators(home)
    assert len(after) == len(before) == 5
    fresh = {"subject_digest": None, "note": "kept"}
    assert [{k: v for k, v in row.items() if k != "label"} | {"work_name": row["label"]} | fresh
            for row in before] == after  # fmt: skip
    with engine.begin() as connection:
        assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
        assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
        assert connection.execute(text("SELECT count(*) FROM api_key")).scalar_one() == 5
    assert not upgrade(Part.VAULT, engine, folder=folder).changed
    with pytest.raises(Conflict) as refused:
        upgrade(Part.VAULT, engine)
    assert refused.value.code == "SCHEMA_NEWER"
    engine.dispose()


def test_a_revision_that_breaks_a_reference_changes_nothing(old, later):
    home, _ = old
    folder, revision = later
    path = folder / "vault" / f"r{revision}_notes.py"
    path.write_text(path.read_text("utf-8") + '    op.execute("DELETE FROM operator")\n', "utf-8")
    before = operators(home)
    engine = open_engine(home / "vault.db")
    with pytest.raises(IntegrityBroken):
        upgrade(Part.VAULT, engine, folder=folder)
    assert operators(home) == before
    engine.dispose()


def test_killed_at_any_statement_it_is_the_old_schema_or_the_new_and_is_finished(old, later, tmp_path):
    home, _ = old
    folder, revision = later
    adopting = open_engine(home / "vault.db")
    upgrade(Part.VAULT, adopting, to=head(Part.VAULT))
    checkpoint_and_vacuum(adopting)
    adopting.dispose()
    source = (home / "vault.db").read_bytes()
    home_shape, place = shape_at(home / "vault.db"), tmp_path / "one.db"

    def run(at: int) -> None:
        seen = 0

        def count(statement: str) -> None:
            nonlocal seen
            if not statement.lstrip().upper().startswith(("SELECT", "PRAGMA")):
                seen += 1
                if seen == at:
                    signal.raise_signal(signal.SIGKILL)

        listen(Engine, "connect", lambda connection, _: connection.set_trace_callback(count))
        engine = open_engine(place)
        upgrade(Part.VAULT, engine, folder=folder)
        engine.dispose()

    def anew() -> None:
        for name in ("one.db", "one.db-wal", "one.db-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        place.write_bytes(source)

    def undisturbed() -> None:
        run(0)

    anew()
    assert in_child(undisturbed) == 0
    finished = shape_at(place)
    old_ones = 0
    for at in range(1, 60):
        anew()
        if in_child(lambda at=at: run(at)) == 0:
            break
        left = shape_at(place)
        assert left in (home_shape, finished)
        old_ones += left == home_shape
        assert in_child(undisturbed) == 0
        assert shape_at(place) == finished
        with closing(sqlite3.connect(place)) as database:
            assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [(revision,)]
            assert database.execute("SELECT count(*), min(note) FROM operator").fetchone() == (5, "kept")
    assert at > 5
    assert old_ones > 4


def test_two_upgrades_at_once_do_it_once(old, later):
    import threading

    home, _ = old
    folder, revision = later
    steps, engines = [], [open_engine(home / "vault.db") for _ in range(2)]
    threads = [
        threading.Thread(target=lambda e=engine: steps.append(upgrade(Part.VAULT, e, folder=folder)))
        for engine in engines
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(str(step.before) for step in steps) == sorted(["None", revision])
    for engine in engines:
        engine.dispose()
