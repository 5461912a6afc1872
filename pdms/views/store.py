"""Release files: `releases/<view>/<release id>/{data.parquet, manifest.json}`.

Guarantees: a release appears whole or not at all (temporary folder, fsync, rename, fsync of the parent); rows carry no
id and stand in the order of their labels, so that their order says nothing; what is read is what was written, by
digest.
"""

import fcntl
import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pdms.disk import sync_folder
from pdms.errors import IntegrityBroken, InvalidInput, NotFound
from pdms.settings import Home

DATA, MANIFEST = "data.parquet", "manifest.json"
HALF_WRITTEN = ".half-"
RELEASE_ID = re.compile(r"rel-[0-9a-f]{32}")
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


def folder_of(home: Home, view: str, release_id: str) -> Path:
    """Return where a release lies. :raises InvalidInput: a name that is no name."""
    if not NAME.fullmatch(view) or not RELEASE_ID.fullmatch(release_id):
        raise InvalidInput("release: view and release id must be a view's name and a release's id")
    return home.releases / view / release_id


def release_table(labels: Mapping[str, Sequence[str]], sizes: NDArray[np.int64]) -> pa.Table:
    """Return one row a member from the labels of each class and its size, ordered by the labels alone."""
    names = list(labels)
    order = sorted(range(len(sizes)), key=lambda one: tuple(labels[name][one] for name in names))
    repeats = sizes[order]
    columns = []
    for name in names:
        values = sorted(set(labels[name]))
        place = {value: position for position, value in enumerate(values)}
        codes = np.array([place[labels[name][one]] for one in order], dtype=np.int32)
        columns.append(pa.DictionaryArray.from_arrays(np.repeat(codes, repeats), pa.array(values, pa.string())))
    return pa.table(columns, names=names)


def release_table_of(table: pa.Table) -> pa.Table:
    """Return rows that were read from another format as `release_table` makes them, in the order that they have."""
    columns = []
    for name in table.column_names:
        # by distinct labels: a few long ones beside a million codes would else unfold to a million long ones
        encoded = table[name].dictionary_encode().unify_dictionaries().combine_chunks()
        indices, labels = encoded.indices.to_numpy(zero_copy_only=False), encoded.dictionary.to_pylist()
        values = sorted({labels[one] for one in np.unique(indices).tolist()})
        place = {value: position for position, value in enumerate(values)}
        codes = np.array([place.get(label, -1) for label in labels], dtype=np.int32)[indices]
        columns.append(pa.DictionaryArray.from_arrays(codes, pa.array(values, pa.string())))
    return pa.table(columns, names=table.column_names)


def encode(table: pa.Table) -> bytes:
    """Return the Parquet bytes of a release; the same rows give the same bytes."""
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def write_release(home: Home, *, view: str, release_id: str, data: bytes, manifest: Mapping[str, Any]) -> None:
    """Write a release's folder; one that is there already is replaced."""
    folder = folder_of(home, view, release_id)
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    half = folder.with_name(HALF_WRITTEN + release_id)
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(mode=0o700)
    _write(half / DATA, data)
    _write(half / MANIFEST, (json.dumps(manifest, ensure_ascii=False, indent=2, sort_keys=True) + "\n").encode())
    sync_folder(half)
    if folder.exists():
        shutil.rmtree(folder)
    half.replace(folder)
    sync_folder(folder.parent)


def read_data(home: Home, *, view: str, release_id: str, sha256: str) -> tuple[bytes, pa.Table]:
    """Return a release's bytes and rows.

    :raises IntegrityBroken: the file is absent or is not the one that was published.
    """
    try:
        data = (folder_of(home, view, release_id) / DATA).read_bytes()
    except FileNotFoundError:
        raise IntegrityBroken("release: its data file is absent", code="RELEASE_DATA") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise IntegrityBroken("release: its data file is not the one that was published", code="RELEASE_DATA")
    return data, pq.read_table(io.BytesIO(data))


def read_manifest(home: Home, *, view: str, release_id: str) -> dict[str, Any]:
    """Return a release's public manifest. :raises NotFound: it has none."""
    try:
        raw = (folder_of(home, view, release_id) / MANIFEST).read_bytes()
    except FileNotFoundError:
        raise NotFound("release: it has no manifest") from None
    try:
        document: dict[str, Any] = json.loads(raw)
    except ValueError:
        raise IntegrityBroken("release: its manifest is not readable", code="RELEASE_MANIFEST") from None
    return document


def remove_data(home: Home, *, view: str, release_id: str) -> bool:
    """Remove a release's rows, keeping its manifest; tell whether there were any."""
    path = folder_of(home, view, release_id) / DATA
    if not path.exists():
        return False
    path.unlink()
    sync_folder(path.parent)
    return True


def remove_half_written(home: Home, view: str, *, release_id: str) -> bool:
    """Remove what a killed publication left, half-written or whole; tell whether there was anything."""
    folder = folder_of(home, view, release_id)
    found = False
    for path in (folder, folder.with_name(HALF_WRITTEN + release_id)):
        if path.exists():
            shutil.rmtree(path)
            found = True
    if found:
        sync_folder(folder.parent)
    return found


@contextmanager
def publishing(home: Home, view: str) -> Iterator[bool]:
    """Hold the right to write releases of a view; gives False where another process holds it."""
    if not NAME.fullmatch(view):
        raise InvalidInput("release: view must be a view's name")
    folder = home.releases / view
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(handle)


def stored(home: Home) -> Iterator[tuple[str, str]]:
    """Iterate over (view, release id) of the folders that exist."""
    if home.releases.is_dir():
        for view in sorted(home.releases.iterdir()):
            if view.is_dir() and NAME.fullmatch(view.name):
                for folder in sorted(view.iterdir()):
                    if RELEASE_ID.fullmatch(folder.name):
                        yield view.name, folder.name


def _write(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
