"""Death of a client of PostgreSQL before the n-th thing that it sends or does to a file; the database starts anew.

psycopg passes every exchange with the server through `Connection.wait`: statements of SQLAlchemy, of the driver's own
cursors, each piece of a COPY, COMMIT. A kill between two of them leaves what the server has committed; what it was
doing for the dead it undoes by itself. So of the statements of one transaction, death before COMMIT stands for all:
most locks are held then. The form `kills` of `try_out` tries every exchange all the same.
"""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from common import crash_images
from common.crash_images import Trial, kind_of, note, put, sample, tried
from common.deadly import READS, die, hear_effects, in_child

LAST = 8
READING = (*READS, "SHOW", "SET")


def hear_exchanges(strike: Callable[[str, bool], None], *, but: Path | None = None) -> None:
    """Call `strike(what, lasting)` before each exchange that may write, and before each effect on a file.

    `lasting`: what was done so far will stay, or be undone, by what comes now: a commit, a statement that is a
    transaction by itself, a file.
    """
    wait = psycopg.Connection.wait

    def waiting(self: Any, generator: Any, *arguments: Any, **more: Any) -> Any:
        what = _statement(generator)
        if what is not None and not what.upper().startswith(READING):
            strike(what, what == "COMMIT" or self.autocommit)
        return wait(self, generator, *arguments, **more)

    psycopg.Connection.wait = waiting  # type: ignore[method-assign]
    hear_effects(lambda what: strike(what, True), but=but)


def _statement(generator: Any) -> str | None:
    """What an exchange is; None: one that writes nothing, such as making a connection or fetching what was asked."""
    name = getattr(generator, "__name__", "")
    if name == "_commit_gen":
        return "COMMIT"
    if name in ("copy_to", "copy_end"):
        return f"COPY: {name}"
    frame = getattr(generator, "gi_frame", None)
    query = frame.f_locals.get("query", frame.f_locals.get("statement")) if frame is not None else None
    if query is None:
        return None
    text = query.decode(errors="replace") if isinstance(query, bytes) else str(query)
    return text.lstrip()[:160]


class Place:
    """A home below `files` and its database `name`, with a copy of both to begin from."""

    def __init__(self, files: Path, folder: Path, *, server: str, name: str) -> None:
        self.files, self.copy, self.server, self.name = files, folder / "start", server, name

    def url(self, name: str) -> str:
        return f"host={self.server} user=postgres dbname={name}"

    def run(self, *statements: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def keep(self) -> None:
        """Remember how both are; nobody may have the database open."""
        put(self.files, self.copy)
        self._again(f"{self.name}_start", self.name)

    def reset(self) -> None:
        """Make both as they were."""
        put(self.copy, self.files)
        self._again(self.name, f"{self.name}_start")

    def _again(self, name: str, source: str) -> None:
        self.run(
            f"DROP DATABASE IF EXISTS {name} WITH (FORCE)",
            f"CREATE DATABASE {name} TEMPLATE {source} STRATEGY = FILE_COPY",
        )


def try_out(trial: Trial, folder: Path, form: str, place: Place | None) -> None:
    """Kill the act and write what came of it, as `common.crash_images.try_out` does; without `place` that does it all.

    :param form: `kills`: before every exchange and effect; N: before one in N of those that are lasting, and before all
        of the last ones, where an act is closed. A commit is of the kind of the statement before it.
    """
    if place is None:
        crash_images.try_out(trial, folder, form)
        return
    place.keep()
    points = _points_of(trial.act, folder / "points.json")
    assert not in_child(lambda: note(folder / "undisturbed.json", trial.state()))
    lasting = [number for number, (_, stays) in enumerate(points, start=1) if stays]
    if form == "kills":
        chosen = list(range(1, len(points) + 1))
    else:
        told = ["", *(what for what, _ in points)]
        kinds = [kind_of(told[at - 1] if told[at] == "COMMIT" and at > 1 else told[at]) for at in lasting]
        chosen = [lasting[number] for number in sample(kinds, form, last=LAST)]
    for number, at in enumerate(chosen):
        place.reset()
        if not _killed_at(trial.act, at, folder / "died"):
            break  # chance decides on a few effects: this run had fewer
        died = (folder / "died").read_text("utf-8")
        note(folder / f"killed-{at:04d}.json", {"died before": died, **tried(trial, number, folder)})
    note(folder / "counted.json", {"effects": len(points), "images": len(lasting)})


def _points_of(act: Callable[[], None], path: Path) -> list[tuple[str, bool]]:
    def recorded() -> None:
        points: list[tuple[str, bool]] = []
        hear_exchanges(lambda what, lasting: points.append((what, lasting)), but=path)
        act()
        path.write_text(json.dumps(points), "utf-8")

    assert in_child(recorded) == 0
    return [tuple(one) for one in json.loads(path.read_text("utf-8"))]


def _killed_at(act: Callable[[], None], at: int, tell: Path) -> bool:
    def doomed() -> None:
        seen = 0

        def strike(what: str, _lasting: bool) -> None:
            nonlocal seen
            seen += 1
            if seen == at:
                die(what, tell)

        hear_exchanges(strike, but=tell)
        act()

    ended = in_child(doomed)
    assert ended in (0, signal.SIGKILL)
    return ended == signal.SIGKILL
