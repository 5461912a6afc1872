"""Death at a chosen effect: SIGKILL before the n-th statement, file or rename of a process, without touching its code.

Python's own audit events tell of every file opened for writing, renamed or removed; the trace of each SQLite connection
tells of every statement, those inside a VACUUM too. Reading does not count.
"""

import os
import signal
import sys
from collections.abc import Callable
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.event import listen

FILES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "os.symlink")
READS = ("SELECT", "BEGIN", "EXPLAIN")


def hear_effects(strike: Callable[[str], None], *, but: Path | None = None) -> None:
    """Call `strike` before each effect of this process from now on. :param but: a file whose writing does not count."""

    def statement(sql: str) -> None:
        if not sql.lstrip().upper().startswith(READS):
            strike(sql[:200])

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writing = any(c in (mode or "") for c in "wax+") or (flags or 0) & (os.O_WRONLY | os.O_RDWR)
            if writing and not str(path).startswith(("/dev/null", "/proc/")) and path != str(but):
                strike(f"open {path}")
        elif event in FILES:
            strike(f"{event} {arguments[0]}")

    sys.addaudithook(hook)
    listen(Engine, "connect", lambda connection, _: _trace(connection, statement))


def _trace(connection: Any, statement: Callable[[str], None]) -> None:
    if hasattr(connection, "set_trace_callback"):  # on PostgreSQL the driver is listened to (`common.deadly_postgres`)
        connection.set_trace_callback(statement)


def count_effects(at: int, tell: Path | None = None) -> Callable[[], int]:
    """Count the effects of this process from now on, and die before the `at`-th (0: never).

    :param tell: where the last effects are written, one a line, to see afterwards what it died before.
    """
    seen = 0

    def strike(what: str) -> None:
        nonlocal seen
        seen += 1
        if seen == at:
            die(what, tell)

    hear_effects(strike, but=tell)
    return lambda: seen


def die(what: str, tell: Path | None) -> None:
    """Write what this process died before, and die."""
    if tell is not None:
        handle = os.open(tell, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.write(handle, what.encode())
    os.kill(os.getpid(), signal.SIGKILL)


def preload() -> None:
    """Import what commands import late, so that each forked child need not; importing starts no thread of theirs."""
    for name in ("pdms.cli.app", "rich.table", "pyarrow.parquet", "pyarrow.compute", "duckdb", "ibis", "pandas"):
        import_module(name)
    import_module("ibis").duckdb  # noqa: B018 - loads what speaks to DuckDB


def remember_policies(folder: Path) -> None:
    """Read the documents of `folder` once for all children: it is half of the time of a run, and writes nothing."""
    from pdms.policy import loader

    read = loader.read_yaml
    known = {path: read(path, root=folder) for path in folder.rglob("*.yaml")}
    loader.read_yaml = lambda path, *, root: deepcopy(known[path]) if path in known else read(path, root=root)


def in_child(work: Callable[[], None]) -> int:
    """Run `work` in a forked child; return the signal that ended it, or 0. :raises RuntimeError: it failed."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise RuntimeError("a run failed")
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def effects_of(work: Callable[[], None], note: Path) -> int:
    """Run `work` in a child to its end; return how many effects it had."""

    def counted() -> None:
        effects = count_effects(0)
        work()
        note.write_text(str(effects()))

    assert in_child(counted) == 0
    return int(note.read_text())


def killed_at(work: Callable[[], None], at: int, tell: Path) -> bool:
    """Run `work` in a child that dies before its `at`-th effect; return whether it did."""

    def doomed() -> None:
        count_effects(at, tell)
        work()

    ended = in_child(doomed)
    assert ended in (0, signal.SIGKILL)
    return ended == signal.SIGKILL
