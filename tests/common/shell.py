"""The command line in the hands of a test: run as a role, with what is typed, and all that came back kept."""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from common.world import NOW, ROOT_VARIABLE, World
from pdms.cli.entry import run
from pdms.clock import FixedClock

WIDTH = "2000"
"""Columns of the terminal: a folded value would escape a search."""


KEPT = (ROOT_VARIABLE, "PDMS_SMTP_URL")
"""Settings that a test may have made for its command lines."""
PROGRAM = """
import sys
from datetime import datetime
from pdms.cli import main
from pdms.clock import FixedClock
sys.exit(main(sys.argv[2:], clock=FixedClock(datetime.fromisoformat(sys.argv[1]))))
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one command line gave back."""

    words: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Everything that was printed."""
        return self.out + self.err

    @property
    def json(self) -> Any:
        """The first line, as JSON."""
        return json.loads(self.out.splitlines()[0])


@dataclass
class Shell:
    """Command lines on one world's home."""

    world: World
    transcript: list[Answer] = field(default_factory=list)

    def __call__(self, role: str | None, *words: str, typed: str = "", expect: int | None = 0) -> Answer:
        """Run a command line in this process. :param typed: what stands on stdin. :param expect: its exit code."""
        token = self.world.tokens[role] if role else None
        answer = command_line(self.world.app.home.root, token, *words, typed=typed, at=self.world.clock.instant)
        self.transcript.append(answer)
        assert expect is None or answer.code == expect, (words, answer.code, answer.text)
        return answer

    def json(self, role: str | None, *words: str, typed: str = "") -> Any:
        """Run a command line for its JSON."""
        return self(role, "--json", *words, typed=typed).json


def command_line(
    home: Path,
    token: str | None,
    *words: str,
    typed: str = "",
    environment: Mapping[str, str] | None = None,
    at: datetime = NOW,
) -> Answer:
    """Run a command line in this process, at a stated instant."""
    out, err = io.StringIO(), io.StringIO()
    settings: dict[str, str | None] = {name: None for name in os.environ if name.startswith("PDMS_")}
    settings |= {name: os.environ[name] for name in KEPT if name in os.environ}
    settings |= {"PDMS_TOKEN": token, "COLUMNS": WIDTH, **(environment or {})}
    with contextlib.ExitStack() as around:
        around.enter_context(_environment(**settings))
        around.enter_context(_stdin(typed))
        around.enter_context(contextlib.redirect_stdout(out))
        around.enter_context(contextlib.redirect_stderr(err))
        code = run(["--home", str(home), *words], clock=FixedClock(at))
    return Answer(words, code, out.getvalue(), err.getvalue())


def program(
    home: Path,
    token: str | None,
    *words: str,
    typed: str = "",
    environment: Mapping[str, str] | None = None,
    at: datetime = NOW,
) -> Answer:
    """Run a command line as a program of its own, at a stated instant."""
    settings = {k: v for k, v in os.environ.items() if not k.startswith("PDMS_") or k == ROOT_VARIABLE}
    settings |= {"COLUMNS": WIDTH, **({"PDMS_TOKEN": token} if token else {}), **(environment or {})}
    command = [sys.executable, "-c", PROGRAM, at.isoformat(), "--home", str(home), *words]
    done = subprocess.run(command, input=typed.encode(), capture_output=True, check=False, env=settings, timeout=300)
    return Answer(words, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


@contextlib.contextmanager
def _stdin(text: str) -> Iterator[None]:
    before = sys.stdin
    sys.stdin = io.StringIO(text)
    try:
        yield
    finally:
        sys.stdin = before


@contextlib.contextmanager
def _environment(**values: str | None) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
