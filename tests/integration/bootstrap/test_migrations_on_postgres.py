"""The same revisions on PostgreSQL: from empty to the newest they make what the code's tables make."""

from collections.abc import Iterator
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, text

from pdms.all_tables import TABLES
from pdms.all_tables.schema import create, head, require_current, revisions, stored
from pdms.all_tables.upgrade import upgrade
from pdms.db.parts import Databases, Part
from pdms.errors import Conflict
from pdms.settings import Home

CATALOGUE = {
    "columns": "SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default,"
    " is_identity FROM information_schema.columns WHERE table_schema = current_schema()",
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema()",
    "sequences": "SELECT sequencename, data_type FROM pg_sequences WHERE schemaname = current_schema()",
    "constraints": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = current_schema()::regnamespace",
}


@pytest.fixture
def empty(postgres_server: Any, tmp_path: Any) -> Iterator[list[Databases]]:
    """Two empty PostgreSQL databases with the schemas of a home."""
    with postgres_server.bare() as one, postgres_server.bare() as two:
        made = [Databases(Home(tmp_path), url) for url in (one, two)]
        for databases in made:
            databases.make_schemas()
        yield made


def catalogue(engine: Engine) -> dict[str, list[Any]]:
    with engine.begin() as connection:
        return {name: sorted(map(tuple, connection.execute(text(query)))) for name, query in CATALOGUE.items()}


def declared_alike(_thing: Any, name: str | None, kind: str, *_: Any) -> bool:
    """Leave out the index that the code declares for SQLite and makes by a statement here; the catalogue has it."""
    return (kind, name) != ("index", "audit_event_member")


@pytest.mark.parametrize("part", Part)
def test_the_revisions_make_the_tables_of_the_code(empty, part):
    engines = [databases.open(part) for databases in empty]
    try:
        create(part, engines[0])
        for revision in revisions(part):
            upgrade(part, engines[1], to=revision)
        by_code, by_revision = map(catalogue, engines)
        assert by_code["columns"]
        assert by_revision == by_code
        for engine in engines:
            require_current(part, engine)
            with engine.begin() as connection:
                options = {"compare_type": True, "include_object": declared_alike}
                context = MigrationContext.configure(connection, opts=options)
                assert compare_metadata(context, TABLES[part]) == []
                assert stored(connection) == head(part)
    finally:
        for engine in engines:
            engine.dispose()


def test_an_older_schema_is_refused_and_moved_on(empty):
    engine = empty[0].open(Part.VAULT)
    upgrade(Part.VAULT, engine, to="0001")
    with pytest.raises(Conflict) as refused:
        require_current(Part.VAULT, engine)
    assert refused.value.code == "SCHEMA_OLD"
    step = upgrade(Part.VAULT, engine)
    assert (step.before, step.after) == ("0001", head(Part.VAULT))
    require_current(Part.VAULT, engine)
    engine.dispose()


def test_a_revision_that_fails_changes_nothing(empty, tmp_path):
    from shutil import copytree

    from pdms.all_tables.schema import VERSIONS

    copytree(VERSIONS, tmp_path / "versions")
    last = int(head(Part.HELD))
    (tmp_path / "versions" / "held" / f"r{last + 1:04d}_fails.py").write_text(
        f"import sqlalchemy as sa\nfrom alembic import op\nrevision, down_revision = '{last + 1:04d}', '{last:04d}'\n"
        "def upgrade():\n"
        "    op.add_column('held_record', sa.Column('note', sa.String()))\n    op.execute('SELECT 1/0')\n",
        "utf-8",
    )
    engine = empty[0].open(Part.HELD)
    create(Part.HELD, engine)
    before = catalogue(engine)
    with pytest.raises(Exception, match="SQLSTATE 22012"):
        upgrade(Part.HELD, engine, folder=tmp_path / "versions")
    assert catalogue(engine) == before
    require_current(Part.HELD, engine)
    engine.dispose()
