"""Everything of a home, as of about now, to be read once: copies of the databases, links to files that never change.

On PostgreSQL the copy is what COPY gives, table by table, of one state of each part.

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
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Engine

from pdms.backup import archive
from pdms.db import on_postgres
from pdms.db.copy import copy_database
from pdms.db.parts import Part
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
        for part, engine in ((Part.VAULT, engines.main), (Part.ANON, engines.anon), (Part.HELD, engines.held)):
            yield from _database(part, engine, folder)
        _link_facts(home, folder)
        yield from _linked(folder, "facts")
        # Once more: what anon.db tells of may have been published after the first look.
        _link_releases(home, folder)
        yield from _linked(folder, "releases")
        yield from _database(Part.KEYS, engines.keys, folder)
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


def _database(part: Part, engine: Engine, folder: Path) -> Iterator[tuple[str, Path]]:
    if on_postgres(engine):
        yield from _tables(part, engine, folder)
        return
    name = f"{part}.db"
    path = folder / name
    copy_database(engine, path)
    yield name, path
    path.unlink()


def _tables(part: Part, engine: Engine, folder: Path) -> Iterator[tuple[str, Path]]:
    """Write out what PostgreSQL gives, piece by piece: a name in an archive needs its size before its content."""
    from pdms.db import tables_copy

    under = f"{archive.SERVER}/{part}"
    stream = tables_copy.unload(engine)
    with closing(stream):
        for one in stream:
            if isinstance(one, tables_copy.Tables):
                yield from _spooled(folder, f"{under}/{archive.TABLES}", iter([one.to_json()]))
                continue
            table, content = one
            number, more = 0, True
            while more:
                name = f"{under}/{table}/{number:08}.copy"
                with _opened(folder / name) as out:
                    written = 0
                    for piece in content:
                        written += out.write(piece)
                        if written >= tables_copy.PIECE_BYTES:
                            break
                    else:
                        more = False
                yield name, folder / name
                (folder / name).unlink()
                number += 1


def _spooled(folder: Path, name: str, content: Iterator[bytes]) -> Iterator[tuple[str, Path]]:
    with _opened(folder / name) as out:
        out.writelines(content)
    yield name, folder / name
    (folder / name).unlink()


def _opened(path: Path) -> BinaryIO:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


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
