"""Tables in the code and tables by migration are the same: whoever changes one makes a revision of the other."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine

from pdms.all_tables import TABLES, Part
from pdms.all_tables.schema import STATE, VERSIONS, create, head, revisions, stored
from pdms.all_tables.shape import shape
from pdms.all_tables.upgrade import upgrade

pytestmark = [
    pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index audit_event_member"),
    pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index 'audit_event_m"),
]
"""SQLAlchemy reads no expression back; `shape` compares it."""
ROOT = Path(__file__).resolve().parents[2]
HOW = (
    "The tables of {part!r} differ from its migrations. Make the revision and commit it with your change:"
    " `.venv/bin/python scripts/revision.py {part} 'what changed'` (docs/operations.md, Changing a table)."
)


@pytest.fixture
def engines() -> Any:
    made = [create_engine("sqlite://") for _ in range(2)]
    yield made
    for engine in made:
        engine.dispose()


def shape_of(engine: Engine) -> dict[str, Any]:
    with engine.begin() as connection:
        return shape(connection)


@pytest.mark.parametrize("part", Part)
def test_the_revisions_make_the_tables_of_the_code(engines, part):
    by_code, by_revision = engines
    create(part, by_code)
    upgrade(part, by_revision)
    assert shape_of(by_revision) == shape_of(by_code), HOW.format(part=part.value)


@pytest.mark.parametrize("part", Part)
def test_the_comparison_finds_nothing_to_do(engines, part):
    for engine, make in zip(engines, (create, upgrade), strict=True):
        make(part, engine)
        with engine.begin() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, TABLES[part]) == [], HOW.format(part=part.value)
            assert stored(connection) == head(part)
            assert context.get_current_heads() == (head(part),)


@pytest.mark.parametrize("part", Part)
def test_each_part_has_one_line(part):
    files = [path.name for path in (VERSIONS / part).glob("*.py") if path.name != "__init__.py"]
    numbers = [re.fullmatch(r"r(\d{4})_[a-z0-9_]+\.py", name) for name in files]
    assert all(numbers), files
    assert len(set(revisions(part))) == len(files), (
        f"two revisions of {part.value!r} bear one number: the later one to land deletes its own and makes it anew"
    )
    script = ScriptDirectory(str(VERSIONS), version_locations=[str(VERSIONS / part)])
    assert script.get_heads() == [head(part)]
    line = [(one.revision, one.down_revision) for one in script.walk_revisions()]
    expected = list(zip(revisions(part), (None, *revisions(part)[:-1]), strict=True))
    assert sorted(line) == sorted(expected)


def test_the_state_is_kept_as_the_library_keeps_it(engines):
    by_library, ours = engines
    with by_library.begin() as connection:
        MigrationContext.configure(connection).stamp(ScriptDirectory(str(VERSIONS)), "base")
    with ours.begin() as connection:
        STATE.create(connection)
    columns = []
    for engine in engines:
        with engine.begin() as connection:
            columns.append(connection.exec_driver_sql("SELECT * FROM pragma_table_xinfo('alembic_version')").all())
    assert columns[0] == columns[1]


def test_revisions_read_nothing_of_ours():
    """A revision says what was; code that changes later must not change it."""
    for path in VERSIONS.rglob("r*.py"):
        assert not re.search(r"^\s*(from|import) pdms", path.read_text("utf-8"), re.MULTILINE), path.name


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("revision_script", ROOT / "scripts" / "revision.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("part", Part)
def test_the_script_that_makes_revisions_agrees(script, part):
    assert script.changes(part)[0].is_empty()


def test_a_forgotten_revision_is_found(engines, monkeypatch, tmp_path, script):
    """What the first test says when a column was added and no revision made; and the script makes the right one."""
    from sqlalchemy import Column, Integer, MetaData, String, Table, text

    changed = MetaData()
    for table in TABLES[Part.ANON].sorted_tables:
        table.to_metadata(changed)
    Table("segment", changed, Column("note", String, server_default=text("''"), nullable=False), extend_existing=True)
    Table("fresh", changed, Column("number", Integer, primary_key=True), sqlite_with_rowid=False)
    monkeypatch.setitem(TABLES, Part.ANON, changed)
    by_code, by_revision = engines
    changed.create_all(by_code)
    upgrade(Part.ANON, by_revision)
    assert shape_of(by_revision) != shape_of(by_code)

    folder = tmp_path / "versions"
    (folder / "anon").mkdir(parents=True)
    for path in (VERSIONS / "anon").glob("r*.py"):
        (folder / "anon" / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(script, "VERSIONS", folder)
    found, body = script.changes(Part.ANON)
    assert not found.is_empty()
    script.write(Part.ANON, "a note", "    " + body.strip())
    number = int(head(Part.ANON)) + 1
    step = upgrade(Part.ANON, by_revision, folder=folder)
    assert (step.before, step.after) == (head(Part.ANON), f"{number:04d}")
    assert shape_of(by_revision) == shape_of(by_code)
