"""Backups of the opened home, and a home made from a backup.

Guarantee of `restore`: the target folder appears whole or not at all, and only after every right in the ledger was done
again; before, there is no `home.yaml`, and nothing opens. Killed at any point, the same command makes it anew. Its
operator is the one whose key the backup itself knows, as an administrator; every other key, binding and token is ended,
since the backup does not know which were revoked later. It does not bring back what was ingested, sent or allowed after
the backup. Nor does it touch the home that the backup is of: the roots that both hang on are marked as shared, and none
of them is destroyed from here unless an administrator says that the other home is gone.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from pdms.access.restored import Ended, end_access
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.audit.checkpoint import SignedCheckpoint, parse_signed_checkpoint
from pdms.audit.note import verify_note
from pdms.backup import service as backup
from pdms.backup.archive import Manifest, broken
from pdms.backup.service import Backup
from pdms.bootstrap import server_restore
from pdms.bootstrap.app import App
from pdms.bootstrap.config import HomeConfig, read_config, write_config
from pdms.bootstrap.upgrade import upgrade_parts
from pdms.clock import Clock
from pdms.crypto import RootKey, open_root, read_note
from pdms.db import begin
from pdms.db.parts import Databases
from pdms.disk import sync_folder, taken
from pdms.errors import Conflict, InvalidInput, Unauthenticated
from pdms.rights import ledger, replay
from pdms.rights import service as rights
from pdms.rights.codes import drop_codes
from pdms.rights.ledger import Position
from pdms.rights.replay import Replayed
from pdms.rotation import service as rotation
from pdms.settings import Home, Settings
from pdms.taxonomy import Scope
from pdms.unit_of_work import Actor

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did."""

    home: Path
    made_at: datetime
    """When the backup was made: everything ingested, sent or allowed since is gone."""
    files: int
    ledger: Path
    replayed: Replayed
    policy_differs: bool
    """The policies that are loaded are not those of the backup."""
    ended: Ended
    """Access that was ended, all but the acting administrator's: issue new keys to whoever still may have one."""


def create(app: App, actor: Actor, *, path: Path, progress: Progress) -> Backup:
    """Write a backup of the opened home; see `pdms.backup.service.create`."""
    config = read_config(app.home).model_dump(mode="json")
    return backup.create(app.units(actor), path=path, keys=app.keys, config=config, progress=progress)


def verify(app: App, actor: Actor, *, path: Path) -> Backup:
    """Check a backup with the root of the opened home; see `pdms.backup.service.verify`."""
    return app.run(actor, backup.verify, path=path, root=app.keys.root)


def restore(
    settings: Settings,
    *,
    path: Path,
    to: Path,
    clock: Clock,
    ledger_path: Path | None = None,
    checkpoint: Path | None = None,
    progress: Progress = lambda _: None,
) -> Restored:
    """Make a new home from a backup and do every right again that was used since.

    :param ledger_path: the rights ledger; default: where it lay when the backup was made.
    :param checkpoint: a newer checkpoint that was kept elsewhere; a ledger that does not know it is refused.
    :raises Unauthenticated: the backup knows no such operator. :raises Denied: the operator is no administrator.
    :raises Conflict: FILE_EXISTS, LEDGER_MISSING, LEDGER_STALE, RESTORE_RUNNING.
    :raises IntegrityBroken: backup or ledger are not as written. :raises KeyUnavailable: WRONG_ROOT and the like.
    """
    if settings.token is None:
        raise Unauthenticated("PDMS_TOKEN: the key of an administrator whom the backup knows")
    to = to.absolute()
    if to.exists():
        raise taken()
    earlier = _note(checkpoint)
    root = _root_of(path, settings)
    with _draft(to) as home:
        progress("unpack")
        manifest = backup.unpack(path, root=root, home=home)
        try:
            config = HomeConfig.model_validate(dict(manifest.config))
        except ValidationError:
            raise broken("its configuration is not one of a home") from None
        source = ledger_path or Path(manifest.ledger)
        if not source.is_file():
            raise Conflict("rights ledger: not found; name it with --ledger", code="LEDGER_MISSING")
        databases = Databases.of(home, settings, recorded=config.database)
        server_restore.check(home, databases)
        own = server_restore.own_name(home.root)
        with server_restore.undone_on_failure(home, databases, own=own):
            if databases.on_server:
                progress("load")
                server_restore.fill(home, databases, own=own)
                config = config.model_copy(update={"database": databases.without_password()})
            else:
                upgrade_parts(databases)  # a backup may be older than the schema of today
            with App.assemble(home, config, settings, clock=clock) as app:
                done, ended = _replay(app, manifest, source, earlier, progress)
                differs = app.documents.digest != manifest.policy
            progress("open")
            server_restore.finish(databases)
            write_config(home, config)
            shutil.rmtree(home.spill, ignore_errors=True)
            home.spill.mkdir(mode=0o700)
            _appear(home, to)
    (to / server_restore.NAME).unlink()
    sync_folder(to.parent)
    return Restored(to, manifest.created_at, len(manifest.files), source, done, differs, ended)


def _replay(
    app: App, manifest: Manifest, source: Path, earlier: SignedCheckpoint | None, progress: Progress
) -> tuple[Replayed, Ended]:
    presented = app.settings.token.get_secret_value() if app.settings.token else ""
    operator = app.authenticate(presented)
    with app.unit(operator) as uow:
        uow.require(Scope.ADMIN)
        newest = manifest.checkpoint_size
        if earlier is not None:
            verify_note(earlier.note, audit.note_key(uow.log_signer))
            newest = max(newest, earlier.size)
    rotation.take_over(app.units(operator))  # before a sweep goes on with an end that the backup caught under way
    key = app.keys.system_key(ledger.LABEL)
    position = Position(manifest.ledger_number, manifest.ledger_mac, manifest.checkpoint_size)
    replay.check(ledger.read(source, key=key), backup=position, newest=newest)
    with begin(app.main, read_only=True) as session:
        ledger.adopt(session, ledger.read(source, key=key), path=app.home.rights_ledger, key=key, now=app.clock.now())
    progress("rights")
    since = (line for line in ledger.read(source, key=key) if line.number > manifest.ledger_number)
    done = replay.replay(app.units(Actor.system()), since, progress=progress)
    progress("sweep")
    rights.sweep(app.units(Actor.system()))
    progress("access")
    with app.unit(operator) as uow:
        drop_codes(uow)
        ended = end_access(uow, presented=presented)
        numbers = {"lines": done.lines, "withdrawals": done.withdrawals, "erasures": done.erasures}
        numbers |= {"keys": ended.keys, "bindings": ended.bindings, "approvals": ended.approvals}
        uow.record(EventKind.BACKUP_RESTORED, refs={"policy": uow.policy.digest}, numbers=numbers)
    app.sequence()
    return done, ended


def _note(path: Path | None) -> SignedCheckpoint | None:
    if path is None:
        return None
    try:
        return parse_signed_checkpoint(path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"checkpoint: cannot be read ({error.strerror})") from None


def _root_of(path: Path, settings: Settings) -> RootKey:
    """Open the root that the backup names, as `init` left it: the passphrase may lie beside a `file:` root."""
    with backup.opened(path) as file:
        uri = settings.root_key or read_note(file).decode("utf-8", "replace")
    if settings.passphrase is not None:
        return open_root(uri, passphrase=settings.passphrase.get_secret_value().encode())
    beside = Path(uri.removeprefix("file:")).with_name("passphrase") if uri.startswith("file:") else None
    known = beside is not None and beside.is_file()
    return open_root(uri, passphrase=beside.read_bytes().strip() if beside is not None and known else None)


@contextmanager
def _draft(to: Path) -> Iterator[Home]:
    """Give an empty folder beside the target, alone; it is removed again unless it became the target."""
    folder = to.with_name(to.name + ".restoring")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"to: its folder cannot be written ({error.strerror})") from None
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("restore: another run is making this folder", code="RESTORE_RUNNING") from None
        for entry in folder.iterdir():  # what a killed run left, but for its name: it may be on the server, too
            if entry.name == server_restore.NAME:
                continue
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        try:
            yield Home(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)


def _appear(home: Home, to: Path) -> None:
    """Let the finished home appear under its name. :raises Conflict: something else did meanwhile."""
    try:
        home.root.rename(to)
    except OSError:
        raise taken() from None
