"""The form of a backup: a tar archive inside a sealed stream, its manifest last.

Guarantees: memory stays flat whatever the size; a name that leads out of the target folder is refused although the
content is authenticated; a file that is missing, added or different from the manifest is found, and so is an end that
was cut off. The only thing readable without the root is the root's address, in the head of the stream.
"""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, BinaryIO, Final, cast

from pdms.crypto import RootKey, SealedReader, SealedWriter, SuiteName
from pdms.errors import IntegrityBroken

FORMAT: Final = "pdms-backup-1"
MANIFEST: Final = "manifest.json"
DATABASES: Final = ("vault.db", "anon.db", "held.db", "keys.db")
FOLDERS: Final = ("facts", "releases")
SERVER: Final = "postgres"
"""Folder of what lay on a server: `postgres/<part>/tables.json`, `postgres/<part>/<table>/NNNNNNNN.copy`."""
TABLES: Final = "tables.json"
CONTEXT: Final = b"backup:"
_PART: Final = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._=-]{1,128}")
_PIECE: Final = 1 << 18
_LARGEST_MANIFEST: Final = 1 << 28

Sink = Callable[[str, Iterator[bytes]], None]
"""Takes a file's name inside the home and its content in pieces; it must exhaust them."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file: name inside the home, bytes, SHA-256 (hex)."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself; no member data."""

    created_at: datetime
    config: Mapping[str, Any]
    """Contents of `home.yaml`."""
    policy: str
    """Digest of the policy that was loaded."""
    checkpoint: str
    """The newest signed checkpoint before the first copy, as a note."""
    checkpoint_size: int
    ledger: str
    """Where the rights ledger lay."""
    ledger_number: int
    ledger_mac: str
    files: tuple[FileEntry, ...] = ()

    def to_json(self) -> bytes:
        """Return the manifest as it stands in the archive."""
        parts = {name: getattr(self, name) for name in self.__slots__}
        parts |= {
            "format": FORMAT,
            "created_at": self.created_at.astimezone(UTC).isoformat(),
            "config": dict(self.config),
            "files": [[file.name, file.size, file.sha256] for file in self.files],
        }
        return json.dumps(parts, sort_keys=True, indent=1).encode()

    @classmethod
    def from_json(cls, raw: bytes) -> "Manifest":
        """Read it. :raises IntegrityBroken: BACKUP_FORM."""
        try:
            parts = json.loads(raw)
            if parts.pop("format") != FORMAT:
                raise broken("of an unknown format")
            parts["created_at"] = datetime.fromisoformat(parts["created_at"])
            parts["files"] = tuple(FileEntry(*file) for file in parts["files"])
            return cls(**parts)
        except (ValueError, KeyError, TypeError):
            raise broken("its manifest is not readable") from None


def broken(what: str) -> IntegrityBroken:
    """Return the error of an archive that is not as it was written."""
    return IntegrityBroken(f"backup: {what}", code="BACKUP_FORM")


def write(
    out: BinaryIO, manifest: Manifest, files: Iterable[tuple[str, Path]], *, root: RootKey, suite: SuiteName
) -> Manifest:
    """Write a backup of `files` (name inside the home, where to read it); return the manifest with them listed.

    Each file is read when its turn comes. :raises FileNotFoundError: one is gone.
    """
    sealed = SealedWriter(
        out, wrap=lambda key, bound: root.wrap(key, context=CONTEXT + bound), note=root.uri.encode(), suite=suite
    )
    listed = []
    with tarfile.open(fileobj=cast("IO[bytes]", sealed), mode="w|", bufsize=_PIECE) as tar:
        for name, path in files:
            with path.open("rb") as file:
                size = path.stat().st_size
                content = _Hashing(file)
                tar.addfile(_header(name, size), cast("IO[bytes]", content))
                listed.append(FileEntry(name, size, content.digest.hexdigest()))
        done = Manifest(**{n: getattr(manifest, n) for n in Manifest.__slots__ if n != "files"}, files=tuple(listed))
        raw = done.to_json()
        tar.addfile(_header(MANIFEST, len(raw)), io.BytesIO(raw))
    sealed.close()
    return done


def read(file: BinaryIO, sink: Sink, *, root: RootKey) -> Manifest:
    """Read a backup front to back and give each file to `sink`; return the manifest once everything fits it.

    What the sink was given counts for nothing until this returns.
    :raises IntegrityBroken: BACKUP_FORM, NOT_AUTHENTIC or TRUNCATED. :raises KeyUnavailable: WRONG_ROOT.
    """
    sealed = SealedReader(file, unwrap=lambda key, bound: root.unwrap(key, context=CONTEXT + bound))
    found: list[FileEntry] = []
    raw: bytes | None = None
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", sealed), mode="r|", bufsize=_PIECE) as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isreg() else None
                if content is None or raw is not None:
                    raise broken("it holds something that a backup does not")
                if member.name == MANIFEST:
                    raw = content.read(_LARGEST_MANIFEST)
                    continue
                pieces = _Pieces(content)
                sink(checked_name(member.name), iter(pieces))
                found.append(FileEntry(member.name, pieces.size, pieces.digest.hexdigest()))
    except tarfile.TarError:
        raise broken("not readable as an archive") from None
    sealed.finish()
    if raw is None:
        raise broken("it has no manifest")
    manifest = Manifest.from_json(raw)
    if tuple(found) != manifest.files or not _whole({file.name for file in found}):
        raise broken("its files are not those of its manifest")
    return manifest


def _whole(names: set[str]) -> bool:
    """Say whether all four databases are there: as files, or as tables of a server."""
    described = {f"{SERVER}/{name.removesuffix('.db')}/{TABLES}" for name in DATABASES}
    return names.issuperset(DATABASES) or names.issuperset(described)


def checked_name(name: str) -> str:
    """Return a file's name if it lies where a home has files. :raises IntegrityBroken: BACKUP_FORM."""
    parts = name.split("/")
    well_formed = all(_PART.fullmatch(part) for part in parts)
    if not well_formed or not (name in DATABASES or (len(parts) > 1 and parts[0] in (*FOLDERS, SERVER))):
        raise broken("a file's name is none of a home's")
    return name


def _header(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name if name == MANIFEST else checked_name(name))
    info.size, info.mode = size, 0o600
    return info


class _Hashing:
    """A file that is hashed while it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self.digest.update(piece)
        return piece


class _Pieces:
    """A file's content in pieces, hashed and counted on the way."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        while piece := self._file.read(_PIECE):
            self.digest.update(piece)
            self.size += len(piece)
            yield piece
