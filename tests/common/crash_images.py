"""All states that a kill could leave, from one run: before each effect, the folder as another process finds it.

SIGKILL takes nothing back and adds nothing: whoever comes after it finds the files as the system held them then, and
no lock. So one run whose folder is copied before each of its effects (`common.deadly`) gives what as many kills would,
and effects between which no byte changed, such as the statements of one transaction of SQLite, share a copy. The index
of the write-ahead log (`-shm`) is copied but not compared: whoever opens the database first builds it anew.

What a thread does beside its own process's effects, and half of what a single write wrote, is not tried.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.deadly import effects_of, hear_effects, in_child, killed_at

ENOUGH = 1 << 29
END = "its end"
DAY = int(os.environ.get("PDMS_TEST_DAY") or time.time() // 86400)
"""Which sample it is today; a failure tells it, so that the same one can be tried again."""


@contextmanager
def memory_folder(fallback: Path) -> Iterator[Path]:
    """Give a folder in memory, where flushing costs nothing; `fallback` where there is not enough of it."""
    shared = Path("/dev/shm")
    if not shared.is_dir() or shutil.disk_usage(shared).free < ENOUGH:
        yield fallback
        return
    folder = Path(tempfile.mkdtemp(prefix="pdms-crash-", dir=shared))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Image:
    """One state; `before`: the effects before which it was seen."""

    folder: Path
    before: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """What is cut off, and what is looked at. Each runs in a child of its own, on the folder `place`."""

    place: Path
    act: Callable[[], None]
    again: Callable[[int], None]
    """What people do then; its argument numbers the trials, for those who would do one thing or another."""
    state: Callable[[], dict[str, Any]]
    at_once: Callable[[], Any] = lambda: None
    """What is seen before anybody did anything."""


def put(source: Path, target: Path) -> None:
    """Make `target` what `source` is; files of two names stay one file."""
    shutil.rmtree(target, ignore_errors=True)
    seen: dict[int, str] = {}

    def copy(one: str, other: str) -> str:
        number = Path(one).stat()
        if number.st_nlink > 1 and number.st_ino in seen:
            os.link(seen[number.st_ino], other)
            return other
        seen[number.st_ino] = other
        return str(shutil.copy2(one, other))

    shutil.copytree(source, target, symlinks=True, copy_function=copy)


def images_of(act: Callable[[], None], *, place: Path, into: Path) -> list[Image]:
    """Run `act` in a child to its end; return the states of `place` that it passed through, in their order."""
    into.mkdir()
    asking, asked = os.pipe()
    answering, answered = os.pipe()
    copier = os.fork()  # a process of its own: closing a file here would let go of the locks that `act` has on it
    if copier == 0:
        os.close(asked)
        os.close(answering)
        _copy_on_demand(asking, answered, place, into)
    os.close(asking)
    os.close(answered)

    def recorded() -> None:
        def strike(what: str) -> None:
            os.write(asked, json.dumps(what).encode() + b"\n")
            assert os.read(answering, 1) == b"."

        hear_effects(strike)
        act()

    try:
        assert in_child(recorded) == 0
        os.write(asked, json.dumps(END).encode() + b"\n")
        assert os.read(answering, 1) == b"."
    finally:
        os.close(asked)
        os.close(answering)
        assert os.waitpid(copier, 0)[1] == 0
    found = json.loads((into / "images.json").read_text("utf-8"))
    return [Image(into / name, tuple(before)) for name, before in found]


def _copy_on_demand(asking: int, answered: int, place: Path, into: Path) -> None:
    known: dict[bytes, str] = {}
    before: dict[str, list[str]] = {}
    try:
        with os.fdopen(asking, encoding="utf-8") as lines:
            for line in lines:
                digest = _digest(place)
                if digest not in known:
                    known[digest] = f"{len(known):04d}"
                    put(place, into / known[digest])
                before.setdefault(known[digest], []).append(json.loads(line))
                os.write(answered, b".")
        (into / "images.json").write_text(json.dumps(list(before.items())), "utf-8")
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _digest(place: Path) -> bytes:
    whole = hashlib.sha256()
    for path in sorted(place.rglob("*")):
        found = path.lstat()
        whole.update(f"{path.relative_to(place)}\0{found.st_mode}\0{found.st_nlink}\0".encode())
        if path.is_file() and not path.name.endswith("-shm"):
            whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.digest()


def try_out(trial: Trial, folder: Path, form: str) -> None:
    """Cut the act off and write what then was, and what came of it, into `image-NNNN.json` and `killed-NNNN.json`.

    `undisturbed.json` is what an act that went on to its end leaves, `counted.json` how many effects and images it had.

    :param form: `kills`: a real kill before every effect; N, a number: one in N of the images (`sample`), and two real
        kills, which show that images tell the truth.
    """
    start = folder / "start"
    put(trial.place, start)
    if form == "kills":
        effects = effects_of(trial.act, folder / "effects")
        images, kills = [], list(range(1, effects + 1))
    else:
        images = images_of(trial.act, place=trial.place, into=folder / "images")
        effects = sum(len(one.before) for one in images) - 1
        kills = [effects // 3, 2 * effects // 3]
    assert not in_child(lambda: note(folder / "undisturbed.json", trial.state()))
    for number in sample([kind_of(one.before[0]) for one in images], form) if images else []:
        put(images[number].folder, trial.place)
        died = _told(images[number])
        note(folder / f"image-{number:04d}.json", {"died before": died, **tried(trial, number, folder)})
    for number, at in enumerate(kills):
        put(start, trial.place)
        if not killed_at(trial.act, at, folder / "died"):
            break  # chance decides on a few effects: this run had fewer
        died = (folder / "died").read_text("utf-8")
        note(folder / f"killed-{at:04d}.json", {"died before": died, **tried(trial, number, folder)})
    put(start, trial.place)
    note(folder / "counted.json", {"effects": effects, "images": len(images)})


def sample(kinds: Sequence[str], form: str, *, last: int = 1) -> list[int]:
    """Choose one in `form` of states, in their order: the first and the `last` ones always, and of those between as
    many kinds as there is room for, others each day.

    :param kinds: what each state was followed by, as `kind_of` tells it.
    """
    count = len(kinds)
    chosen = {0, *range(max(0, count - last), count)}
    wanted = len(chosen) + -(-count // int(form)) if int(form) > 1 else count
    groups: dict[str, list[int]] = {}
    for number in range(count):
        if number not in chosen:
            groups.setdefault(kinds[number], []).append(number)
    turns = [(of[DAY % len(of) :] + of[: DAY % len(of)]) for of in groups.values()]
    while turns and len(chosen) < wanted:
        first = DAY % len(turns)
        turns = turns[first:] + turns[:first]
        chosen.update(turn.pop() for turn in turns[: wanted - len(chosen)])
        turns = [turn for turn in turns if turn]
    return sorted(chosen)


def kind_of(effect: str) -> str:
    """Tell effects apart by the statement and its table, or by what is done to files, not by values and names."""
    words = effect.split()
    if words[0] == "open" or words[0].startswith("os."):
        return f"{words[0]} {Path(words[-1]).suffix}"
    return " ".join(words[:3]).upper()


def tried(trial: Trial, number: int, folder: Path) -> dict[str, Any]:
    """Look, do it again, look again."""
    what: dict[str, Any] = {}
    for name, work in (
        ("at once", trial.at_once),
        ("again", lambda: trial.again(number)),
        ("state", trial.state),
    ):
        try:
            in_child(lambda work=work: note(folder / "seen.json", work()))  # type: ignore[misc]
            what[name] = json.loads((folder / "seen.json").read_text("utf-8"))
        except RuntimeError:
            what[name] = "failed"
    return what


def _told(image: Image) -> str:
    return f"{image.before[0]} (and {len(image.before) - 1} more)" if len(image.before) > 1 else image.before[0]


def note(path: Path, what: Any) -> None:
    """Write something as JSON."""
    path.write_text(json.dumps(what, ensure_ascii=False, indent=1), "utf-8")
