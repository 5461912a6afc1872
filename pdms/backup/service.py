"""`create`, `verify` and `unpack`: a home in one sealed file.

Guarantees: a backup opens only with the home's root, which is not in it, nor is the rights ledger; it appears under its
name whole or not at all, readable by its owner; it is made while others write, and ends as a state that the home's own
crash recovery accepts (intents are closed by the sweep that follows a restore). It says what it holds and is checked
without being restored. Not in it: the policies folder (its digest is), access packages that wait for their link.

A backup made before an erasure holds the erased member, sealed, as long as the root that opens it exists: until the
erasure horizon (`pdms.crypto.horizon`). Until then the rights ledger, which a restore replays, erases them again.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.audit.checkpoint import parse_signed_checkpoint
from pdms.audit.events import Outcome
from pdms.audit.note import verify_note
from pdms.backup import archive, snapshot
from pdms.backup.archive import Manifest
from pdms.backup.snapshot import Engines
from pdms.crypto import RootKey
from pdms.disk import bear_name, not_read, sync_folder, taken
from pdms.errors import Conflict, IntegrityBroken, InvalidInput
from pdms.keystore import KeyStore
from pdms.rights import ledger
from pdms.settings import Home
from pdms.taxonomy import Scope
from pdms.unit_of_work import UnitFactory, UnitOfWork

ATTEMPTS = 3
"""An erasure wipes temporary copies; then the backup is begun anew."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup, as anyone with its root may know it."""

    path: Path
    created_at: datetime
    files: int
    size: int
    """Bytes inside, unsealed."""
    checkpoint_size: int
    """Leaves of the log at the newest checkpoint before the first copy."""
    ledger_number: int
    policy: str


def create(
    units: UnitFactory,
    *,
    path: Path,
    keys: KeyStore,
    config: Mapping[str, Any],
    progress: Callable[[str], None] = lambda _: None,
) -> Backup:
    """Write a backup to a new file. :param config: contents of `home.yaml`.

    :raises InvalidInput: the file exists, or lies in the home. :raises Conflict: BACKUP_RUNNING, BACKUP_OVERTAKEN.
    """
    with units() as uow:
        uow.require(Scope.ADMIN)
        home = uow.home
        path = path.absolute()
        _check_target(path, home)
        engines = Engines(main=uow.main_engine, anon=uow.anon_engine, held=uow.held_engine, keys=keys.engine)
        uow.record(EventKind.BACKUP_CREATED, outcome=Outcome.INTENDED)
    part = path.with_name(path.name + ".part")
    with _written(part) as out:
        try:
            for attempt in range(1, ATTEMPTS + 1):
                manifest = _begin(units, config)
                try:
                    out.seek(0)
                    out.truncate()
                    with closing(snapshot.files(home, engines)) as files:
                        done = archive.write(
                            out, manifest, _told(files, progress), root=keys.root, suite=keys.suite.name
                        )
                    break
                except FileNotFoundError:
                    if attempt == ATTEMPTS:
                        raise Conflict(
                            "backup: erasures went on meanwhile; run it again", code="BACKUP_OVERTAKEN"
                        ) from None
            out.flush()
            os.fsync(out.fileno())
            _rename(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    with units() as uow:
        size = sum(file.size for file in done.files)
        numbers = {"files": len(done.files), "mebibytes": size >> 20, "leaves": done.checkpoint_size}
        uow.record(EventKind.BACKUP_CREATED, refs={"policy": done.policy}, numbers=numbers)
    return _shown(path, done)


def verify(uow: UnitOfWork, *, path: Path, root: RootKey) -> Backup:
    """Open every byte of a backup and compare it with its manifest; nothing is written anywhere.

    :raises IntegrityBroken: altered, cut, reordered. :raises KeyUnavailable: WRONG_ROOT. :raises InvalidInput: no file.
    """
    uow.require(Scope.ADMIN)
    with opened(path) as file:
        manifest = archive.read(file, _drop, root=root)
    signed = parse_signed_checkpoint(manifest.checkpoint.encode())
    if signed.size != manifest.checkpoint_size:
        raise archive.broken("its checkpoint is not the one that it tells of")
    if signed.checkpoint.origin == uow.origin:
        verify_note(signed.note, audit.note_key(uow.log_signer))
    return _shown(path, manifest)


def unpack(path: Path, *, root: RootKey, home: Home) -> Manifest:
    """Write the files of a backup below a folder made for it. Nothing there may be used unless this returns.

    :raises IntegrityBroken: altered, cut, reordered. :raises KeyUnavailable: WRONG_ROOT. :raises InvalidInput: no file.
    """

    def put(name: str, pieces: Iterator[bytes]) -> None:
        target = home.root / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.writelines(pieces)
            out.flush()
            os.fsync(out.fileno())

    for folder in (home.facts, home.releases, home.packages, home.spill):
        folder.mkdir(mode=0o700, exist_ok=True)
    with opened(path) as file:
        return archive.read(file, put, root=root)


def opened(path: Path) -> BinaryIO:
    """Open a backup for reading. :raises NotFound: there is none. :raises InvalidInput: it cannot be read."""
    try:
        return path.open("rb")
    except OSError as error:
        raise not_read(error) from None


def _check_target(path: Path, home: Home) -> None:
    if path.exists():
        raise taken()
    if not path.parent.is_dir():
        raise InvalidInput("path: its folder does not exist")
    if path.parent.resolve().is_relative_to(home.root.resolve()):
        raise InvalidInput("path: a backup lies outside the home")


def _begin(units: UnitFactory, config: Mapping[str, Any]) -> Manifest:
    """Note where log and ledger stand before the first copy: what comes later, a restore finds in the ledger."""
    with units() as uow:
        audit.sequence(uow.session, signer=uow.log_signer, now=uow.now)
    with units() as uow:
        key = uow.keys.system_key(ledger.LABEL)
        position = ledger.extend(uow.session, path=uow.home.rights_ledger, key=key, now=uow.now, mark=True)
        head = audit.checkpoint(uow.session)
        if head is None:
            raise IntegrityBroken("audit log: it has no checkpoint", code="CHECKPOINT_MISSING")
        return Manifest(
            uow.now,
            dict(config),
            uow.policy.digest,
            head.render(),
            head.size,
            str(uow.home.rights_ledger),
            position.number,
            position.mac,
        )


def _told(files: Iterator[tuple[str, Path]], progress: Callable[[str], None]) -> Iterator[tuple[str, Path]]:
    stage = ""
    for name, path in files:
        parts = name.split("/")
        part = parts[1] if parts[0] == archive.SERVER else parts[0].removesuffix(".db")
        if part != stage:
            progress(part)
            stage = part
        yield name, path


def _written(part: Path) -> BinaryIO:
    """Open the unfinished file, alone; what a killed run left in it is overwritten."""
    try:
        handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise InvalidInput(f"path: cannot be written ({error.strerror})") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise Conflict("backup: another run is writing this file", code="BACKUP_RUNNING") from None
    return os.fdopen(handle, "r+b")


def _rename(part: Path, path: Path) -> None:
    try:
        bear_name(part, path)
    except FileExistsError:
        raise taken() from None
    sync_folder(path.parent)


def _drop(_name: str, pieces: Iterator[bytes]) -> None:
    for _ in pieces:
        pass


def _shown(path: Path, manifest: Manifest) -> Backup:
    return Backup(
        path,
        manifest.created_at,
        len(manifest.files),
        sum(file.size for file in manifest.files),
        manifest.checkpoint_size,
        manifest.ledger_number,
        manifest.policy,
    )
