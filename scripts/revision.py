"""Makes the revision of a part whose tables were changed: `.venv/bin/python scripts/revision.py PART "what changed"`.

It compares the tables in the code with what the part's revisions make, and writes what is missing to
`pdms/all_tables/versions/PART/`. Read it: a renamed column looks like one dropped and one added, and existing rows may
need values. `.venv/bin/python scripts/revision.py --check` only says which parts differ.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from alembic.autogenerate import api
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, DateTime, String, create_engine
from sqlmodel.sql.sqltypes import AutoString

from pdms.all_tables import TABLES, Part
from pdms.all_tables.schema import VERSIONS, revisions
from pdms.all_tables.upgrade import upgrade
from pdms.db import UtcDateTime

ROOT = Path(__file__).resolve().parents[1]
FILE = '''"""{what}"""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {down}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move on from the revision before."""
{body}
'''


def rendered(kind: str, item: Any, _context: Any) -> str | bool:
    """Types as the database knows them: a revision must not change when our classes do."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return f"sa.{DateTime()!r}"
    if kind == "type" and isinstance(item, AutoString):
        return f"sa.{String(item.length)!r}"
    return False


def context_of(connection: Connection, part: Part) -> MigrationContext:
    options = {"target_metadata": TABLES[part], "render_item": rendered, "render_as_batch": True, "compare_type": True}
    return MigrationContext.configure(connection, opts=options)


def changes(part: Part) -> tuple[ops.UpgradeOps, str]:
    """What the tables in the code have beyond the revisions, and the code that makes it."""
    engine = create_engine("sqlite://")
    try:
        if revisions(part):
            upgrade(part, engine)
        with engine.begin() as connection:
            context = context_of(connection, part)
            found = api.produce_migrations(context, TABLES[part]).upgrade_ops
            assert found is not None
            return found, api.render_python_code(
                found,
                sqlalchemy_module_prefix="sa.",
                render_as_batch=bool(revisions(part)),
                render_item=rendered,
                migration_context=context,
            )
    finally:
        engine.dispose()


def write(part: Part, what: str, body: str) -> Path:
    """Write the next revision of a part."""
    known = revisions(part)
    revision = f"{int(known[-1]) + 1 if known else 1:04d}"
    name = re.sub(r"\W+", "_", what.lower()).strip("_")[:40]
    path = VERSIONS / part / f"r{revision}_{name}.py"
    down = f'"{known[-1]}"' if known else "None"
    path.write_text(FILE.format(what=what.rstrip(".") + ".", revision=revision, down=down, body=body), "utf-8")
    ruff = Path(sys.executable).with_name("ruff")
    for words in (["check", "--fix", "--quiet"], ["format", "--quiet"]):
        subprocess.run([str(ruff), *words, str(path)], check=False, cwd=ROOT)
    return path


def main() -> int:
    words = sys.argv[1:]
    if words == ["--check"]:
        differing = [part for part in Part if not changes(part)[0].is_empty()]
        for part in differing:
            print(f"{part}: tables and revisions differ: .venv/bin/python scripts/revision.py {part} 'what changed'")
        return 1 if differing else 0
    if len(words) != 2 or words[0] not in set(Part):
        print(__doc__)
        return 2
    part = Part(words[0])
    found, body = changes(part)
    body = "\n".join(line for line in body.splitlines() if not line.strip().startswith("# ###"))
    if found.is_empty():
        print(f"{part}: nothing that the comparison sees has changed")
        return 1
    print(write(part, words[1], "    " + body.strip()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
