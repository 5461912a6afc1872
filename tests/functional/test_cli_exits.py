"""What the command line says when something around it is broken: one line, the documented exit code, no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.shell import Shell, program
from common.world import World
from pdms.bootstrap.app import App
from pdms.errors import IntegrityBroken


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("audit", "verify", "no-such-file.jsonl"), 5),
        (("audit", "verify", "--checkpoint", "no-such.note"), 2),
        (("audit", "verify", "/dev/null", "--checkpoint", "/"), 2),
        (("audit", "export", "/no/such/folder/log.jsonl"), 2),
        (("audit", "head", "/no/such/folder/head.note"), 2),
        (("audit", "list", "--kind", "nonsense"), 2),
        (("access", "create", "x", "--role", "admin"), 4),
        (("segment", "save", "no-such.yaml"), 5),
        (("campaign", "create", "no-such.yaml"), 5),
        (("view", "lint", "no-such.yaml"), 5),
        (("view", "lint", "no/such"), 5),
        (("view", "lint", "/"), 2),
        (("view", "lint", "no-such"), 5),
        (("view", "hierarchy", "check", "no-such.csv"), 5),
        (("view", "verify", "no-such.csv", "no-such.json", "--key", "00"), 5),
        (("audit", "export", "/dev/null"), 6),
        (("audit", "head", "/dev/null"), 6),
        (("consent", "export", "/dev/null"), 6),
        (("view", "hierarchy", "export", "region", "/dev/null"), 6),
    ],
)
def test_a_file_that_is_not_there_or_there_already_has_one_exit_code_everywhere(
    world: World, words: tuple[str, ...], code: int
) -> None:
    answer = Shell(world)("compliance", *words, expect=code)
    assert answer.err.startswith("pdms: ")
    assert answer.err.count("\n") <= 2
    assert "internal error" not in answer.err


def test_a_log_that_cannot_be_sequenced_at_the_end_has_its_own_exit_code(world: World, monkeypatch) -> None:
    def broken(_: App) -> None:
        raise IntegrityBroken("log: not as it was written")

    monkeypatch.setattr(App, "sequence", broken)
    answer = Shell(world)("compliance", "report", "consent", expect=7)
    assert answer.err == "pdms: integrity broken: log: not as it was written\n"


def test_typed_bytes_that_are_no_text_are_invalid_input(world: World) -> None:
    command = [sys.executable, "-c", "from pdms.cli import main; main()", "--home", str(world.app.home.root)]
    done = subprocess.run(
        [*command, "member", "find", "phone"],
        input=b"\xff\xfe138\n",
        capture_output=True,
        check=False,
        env=os.environ | {"PDMS_TOKEN": world.tokens["support"], "PYTHONUTF8": "1"},
    )
    assert done.returncode == 2
    assert b"internal error" not in done.stderr


def test_a_home_in_use_for_too_long_is_a_conflict(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import pdms.db.engine as engine

    monkeypatch.setattr(
        engine, "PRAGMAS", tuple(p if "busy_timeout" not in p else "PRAGMA busy_timeout=50" for p in engine.PRAGMAS)
    )
    with world.app.unit(world.actor("compliance")) as holding:
        holding.session.connection()
        answer = Shell(world)("compliance", "report", "consent", expect=6)
    assert "in use" in answer.err
    assert "Traceback" not in answer.err


def test_help_needs_no_home(tmp_path: Path) -> None:
    assert program(tmp_path / "nowhere", None, "--help").code == 0
    answer = program(tmp_path / "nowhere", None, "view", "list")
    assert answer.code == 5
    assert not (tmp_path / "nowhere").exists()
