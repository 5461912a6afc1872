"""`pdms init`: a home with its stores, its root key, and the first administrator.

Guarantees: asking twice changes nothing; a run that was killed is finished by the next one; the first API key is
shown before the folder becomes a home (a key that a killed run may have shown to nobody is ended, and another shown)
and stored only as a digest. The root key lies beside the home, never inside: a copy of the home opens
nothing.
"""

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pdms.access import service as access
from pdms.access.service import IssuedKey
from pdms.all_tables import schema
from pdms.audit.catalogue import EventKind
from pdms.bootstrap.app import App
from pdms.bootstrap.config import HomeConfig, draft_config, draft_origin, publish_config, read_config
from pdms.bootstrap.upgrade import Upgraded, upgrade_home
from pdms.clock import Clock
from pdms.crypto import DEFAULT_SUITE, create_root, new_passphrase, open_root, suite_of
from pdms.db.parts import Databases, Part
from pdms.errors import Conflict, InvalidInput
from pdms.keystore import KeyStore
from pdms.keystore.member_keys import choose_suite
from pdms.policy.loader import load
from pdms.settings import Home, Settings
from pdms.unit_of_work import Actor, UnitOfWork

ADMIN_LABEL = "first-admin"
ADMIN_ROLE = "admin"


@dataclass(frozen=True, slots=True)
class Initialised:
    """What `init` did and where things lie. `first_key` is None where the home was there already."""

    home: Path
    created: bool
    policies: Path
    root_uri: str
    passphrase_file: Path | None
    first_key: IssuedKey | None
    upgraded: Upgraded | None = None
    """What became of the schema of a home that was there already, where that was asked for."""


def initialise(
    settings: Settings, *, clock: Clock, upgrade: bool = False, show: Callable[[Initialised], None] = lambda _: None
) -> Initialised:
    """Make the home that `settings` names, or finish one that was begun.

    :param show: is given what will be returned, before a new home is one: where it fails, or dies, there is none yet.
    :param upgrade: bring the databases of a home that an earlier version made to the schema of this one.
    :raises NotFound: there is no home to upgrade. :raises Conflict: SCHEMA_OLD, SCHEMA_NEWER: of another version.
    :raises InvalidInput: the policies do not load, or the folder holds something else.
    """
    home = Home(settings.home.resolve())
    if upgrade:
        read_config(home)  # else a mistyped path would become a new home
    try:
        home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"home: the folder cannot be made ({error.strerror})") from None
    with _alone(home):
        if home.config.exists():
            config = read_config(home)
            upgraded = upgrade_home(home, config, settings, clock=clock) if upgrade else None
            app = App.open(settings, clock=clock)
            try:
                there = Initialised(
                    home.root, False, config.policies, app.root_uri, config.passphrase_file, None, upgraded
                )
                show(there)
                return there
            finally:
                app.close()
        known = {"vault.db", "keys.db", "held.db", "anon.db"}
        strangers = {
            p.name for p in home.root.iterdir() if not p.name.startswith(".") and p.name.split("-")[0] not in known
        }
        if strangers - {"facts", "releases", "packages", "spill", "rights.ledger"}:
            raise InvalidInput("home: the folder exists and holds other things; name an empty or a new one")
        return _make(home, settings, clock=clock, show=show)


def _make(home: Home, settings: Settings, *, clock: Clock, show: Callable[[Initialised], None]) -> Initialised:
    policies = _policies_folder(settings)
    if settings.suite is not None:
        suite_of(settings.suite)  # an unknown one is said before anything is made
    load(policies)  # a home on policies that do not load would refuse everything later; say it now
    for folder in (home.facts, home.releases, home.packages, home.spill):
        folder.mkdir(mode=0o700, exist_ok=True)
    uri, passphrase, passphrase_file = _root(home, settings)
    databases = Databases.of(home, settings, recorded="" if settings.database_url is not None else None)
    databases.make_schemas()
    engines = databases.open_all()
    try:
        for part, engine in engines.items():
            schema.create(part, engine)
        suite = settings.suite or DEFAULT_SUITE
        keys = KeyStore(engines[Part.KEYS], root=open_root(uri, passphrase=passphrase), clock=clock, suite=suite)
        keys.refresh()
        if settings.suite is not None and keys.system.suite is None:  # that of a run that was cut off stays
            choose_suite(keys, suite_of(settings.suite).name, now=clock.now())
        keys.initialise()
    finally:
        for engine in engines.values():
            engine.dispose()
    origin = draft_origin(home) or f"pdms-{secrets.token_hex(4)}/audit"
    config = HomeConfig(
        origin=origin, policies=policies, passphrase_file=passphrase_file, database=databases.without_password()
    )
    draft_config(home, config)
    app = App.assemble(home, config, settings, clock=clock)
    try:
        with app.unit(Actor.system()) as uow:
            key = _first_key(uow)
        app.activate_policy()
        app.sequence()
    finally:
        app.close()
    made = Initialised(home.root, True, policies, uri, passphrase_file, key)
    show(made)  # of a home that is one already, the next run would show no key: nobody could ever get in
    publish_config(home)
    return made


def _first_key(uow: UnitOfWork) -> IssuedKey:
    for operator in access.list_operators(uow):
        if operator.label == ADMIN_LABEL:  # an earlier run was killed before anyone saw its key
            for unseen in operator.keys:
                access.revoke_key(uow, key_id=unseen.key_id)
            return access.issue_key(uow, operator_id=operator.operator_id)
    uow.record(EventKind.INIT)
    uow.record(EventKind.KEY_EPOCH_CREATED, numbers={"epoch": 1})
    return access.create_operator(uow, label=ADMIN_LABEL, role=ADMIN_ROLE)


def _policies_folder(settings: Settings) -> Path:
    if settings.policies is not None:
        return settings.policies.resolve()
    here = Path("policies").resolve()
    if (here / "policy.yaml").is_file():
        return here
    package = Path(__file__).resolve().parents[1]
    for starter in (package / "starter_policies", package.parent / "policies"):
        if (starter / "policy.yaml").is_file():
            return starter
    raise InvalidInput("policies: name the folder that holds policy.yaml")


def _root(home: Home, settings: Settings) -> tuple[str, bytes | None, Path | None]:
    folder = home.root.with_name(home.root.name + ".root")
    uri = settings.root_key or f"file:{folder / 'epoch-1.json'}"
    if not uri.startswith("file:"):
        words = settings.passphrase.get_secret_value().encode() if settings.passphrase is not None else None
        try:
            create_root(uri, passphrase=words, suite=settings.suite or DEFAULT_SUITE)
        except Conflict as error:  # made by a run that was cut off
            if error.code != "ROOT_EXISTS":
                raise
        return uri, words, None
    path = Path(uri.removeprefix("file:"))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if settings.passphrase is not None:
        passphrase, passphrase_file = settings.passphrase.get_secret_value().encode(), None
    else:
        passphrase_file = path.with_name("passphrase")
        if not passphrase_file.exists() or not passphrase_file.stat().st_size:
            _write_passphrase(passphrase_file)
        passphrase = passphrase_file.read_bytes().strip()
    if not path.exists():
        create_root(uri, passphrase=passphrase, suite=settings.suite or DEFAULT_SUITE)
    return uri, passphrase, passphrase_file


def _write_passphrase(path: Path) -> None:
    """Write a fresh passphrase, whole and durably or not at all: a root sealed under half of one opens no more."""
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    with draft.open("w", encoding="ascii") as file:
        file.write(new_passphrase())
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


@contextmanager
def _alone(home: Home) -> Iterator[None]:
    with (home.root / ".init.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
