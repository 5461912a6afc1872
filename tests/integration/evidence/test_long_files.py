"""Long files and verifications: nobody who writes waits for them, and two runs to one path never share a draft."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from common.world import World
from pdms.audit import service as audit
from pdms.audit.files import new_file
from pdms.consent import export as exports
from pdms.errors import Conflict
from pdms.reports import evidence


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World.make(tmp_path_factory.mktemp("long"))
    made.app.sequence()
    yield made
    made.close()


@pytest.mark.parametrize("what", ["consents", "log", "verification"])
def test_others_write_meanwhile(shop: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    tried: list[str] = []

    def then_written(original: Any) -> Any:
        def both(*args: Any, **more: Any) -> Any:
            found = original(*args, **more)
            with closing(sqlite3.connect(shop.app.home.root / "vault.db", timeout=0, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                other.execute("ROLLBACK")
            tried.append(what)
            return found

        return both

    match what:
        case "consents":
            monkeypatch.setattr(exports, "_write", then_written(exports._write))
            shop.run("compliance", exports.export_records, path=tmp_path / "file")
        case "log":
            monkeypatch.setattr(audit, "export", then_written(audit.export))
            shop.run("compliance", evidence.export, path=tmp_path / "file")
        case _:
            monkeypatch.setattr(audit, "verify", then_written(audit.verify))
            shop.run("compliance", evidence.verify)
    assert tried == [what]


def test_of_two_runs_to_one_path_the_first_stands_and_no_draft_stays(tmp_path: Path) -> None:
    path = tmp_path / "pack.zip"

    def two_runs() -> None:
        with new_file(path) as late:
            with new_file(path) as first:
                first.write(b"first")
            late.write(b"late")

    with pytest.raises(Conflict):
        two_runs()
    assert path.read_bytes() == b"first"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["pack.zip"]
