"""Everything of a home, as of about now, to be read once: copies of the databases, links to files that never change.

Order: data, facts, releases, keys. A key is stored before its data and destroyed before them, so that with the keys
copied last no row is copied without the key it had, unless that key was destroyed meanwhile: then it stays unreadable.
Guarantee: what is made lies in one folder below the home's spill, and is gone when the iteration ends, however it ends.
A killed run's folder is removed by the next run. Erasing wipes the spill, too: then a file is missing, and the caller
begins again.
"""

import os
import secrets
import shutil
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from pdms.db.copy import copy_database
from pdms.settings import Home


@dataclass(frozen=True, slots=True)
class Engines:
    """The databases of a home."""

    main: Engine
    anon: Engine
    held: Engine
    keys: Engine


def files(home: Home, engines: Engines) -> Generator[tuple[str, Path], None, None]:
    """Yield (name inside the home, where to read it) in the order that makes the whole consistent.

    :raises FileNotFoundError: the spill was wiped meanwhile. :raises Conflict: a database could not be copied.
    """
    folder = _own_folder(home)
    mark = folder / "mark"
    mark.touch(mode=0o600)
    try:
        _link_releases(home, folder)
        for name, engine in (("vault.db", engines.main), ("anon.db", engines.anon), ("held.db", engines.held)):
            yield from _database(name, engine, folder)
        _link_facts(home, folder)
        yield from _linked(folder, "facts")
        # Once more: what anon.db tells of may have been published after the first look.
        _link_releases(home, folder)
        yield from _linked(folder, "releases")
        yield from _database("keys.db", engines.keys, folder)
        mark.unlink()  # gone already, if an erasure wiped the spill between two files: the copies may not fit together
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _own_folder(home: Home) -> Path:
    home.spill.mkdir(mode=0o700, exist_ok=True)
    for entry in home.spill.glob("*-backup-*"):
        if not Path("/proc", entry.name.split("-")[0]).exists():
            shutil.rmtree(entry, ignore_errors=True)
    # The process comes first in the name: whoever clears the spill of the dead sees that this one lives.
    folder = home.spill / f"{os.getpid()}-backup-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o700)
    return folder


def _database(name: str, engine: Engine, folder: Path) -> Iterator[tuple[str, Path]]:
    path = folder / name
    copy_database(engine, path)
    yield name, path
    path.unlink()


def _link_facts(home: Home, folder: Path) -> None:
    """Link the files of facts under their lock: they are replaced by renaming and never changed."""
    from pdms.facts import store

    with store.locked(home, exclusive=False):
        for path in home.facts.rglob("*"):
            if path.is_file() and path.name != ".lock" and not path.name.endswith(".tmp"):
                _link(path, folder / "facts" / path.relative_to(home.facts))


def _link_releases(home: Home, folder: Path) -> None:
    from pdms.views import store

    for view, release in store.stored(home):
        for name in (store.DATA, store.MANIFEST):
            target = folder / "releases" / view / release / name
            if not target.exists():
                try:
                    _link(home.releases / view / release / name, target)
                except FileNotFoundError:  # withdrawn or expired a moment ago
                    continue


def _link(path: Path, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.link(path, target)
    except FileNotFoundError:
        raise
    except OSError:  # the spill is another file system
        shutil.copyfile(path, target)
        target.chmod(0o600)


def _linked(folder: Path, name: str) -> Iterator[tuple[str, Path]]:
    for path in sorted((folder / name).rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path
