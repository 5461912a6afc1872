"""`pdms init`: a home with its stores, its root key, and the first administrator.

Guarantees: asking twice changes nothing; a run that was killed is finished by the next one; the first API key is
shown once and stored only as a digest. The root key lies beside the home, never inside: a copy of the home opens
nothing.
"""

import fcntl
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pdms.access import service as access
from pdms.access.service import IssuedKey
from pdms.all_tables import create_all
from pdms.audit.catalogue import EventKind
from pdms.bootstrap.app import App
from pdms.bootstrap.config import HomeConfig, read_config, write_config
from pdms.clock import Clock
from pdms.crypto import create_root, new_passphrase, open_root
from pdms.db import open_engine
from pdms.errors import InvalidInput
from pdms.keystore import KeyStore
from pdms.policy.loader import load
from pdms.settings import Home, Settings
from pdms.unit_of_work import Actor

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


def initialise(settings: Settings, *, clock: Clock) -> Initialised:
    """Make the home that `settings` names, or finish one that was begun.

    :raises InvalidInput: the policies do not load, or the folder holds something else.
    """
    home = Home(settings.home.resolve())
    home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(home):
        if home.config.exists():
            config = read_config(home)
            app = App.open(settings, clock=clock)
            try:
                return Initialised(home.root, False, config.policies, app.root_uri, config.passphrase_file, None)
            finally:
                app.close()
        known = {"vault.db", "keys.db", "held.db", "anon.db"}
        strangers = {
            p.name for p in home.root.iterdir() if not p.name.startswith(".") and p.name.split("-")[0] not in known
        }
        if strangers - {"facts", "releases", "packages", "spill", "rights.ledger"}:
            raise InvalidInput("home: the folder exists and holds other things; name an empty or a new one")
        return _make(home, settings, clock=clock)


def _make(home: Home, settings: Settings, *, clock: Clock) -> Initialised:
    policies = _policies_folder(settings)
    load(policies)  # a home on policies that do not load would refuse everything later; say it now
    for folder in (home.facts, home.releases, home.packages, home.spill):
        folder.mkdir(mode=0o700, exist_ok=True)
    uri, passphrase, passphrase_file = _root(home, settings)
    keys_engine = open_engine(home.keys_db)
    KeyStore(keys_engine, root=open_root(uri, passphrase=passphrase), clock=clock).initialise()
    keys_engine.dispose()
    engines = [open_engine(path) for path in (home.vault_db, home.held_db, home.anon_db)]
    create_all(main=engines[0], held=engines[1], anon=engines[2])
    for engine in engines:
        engine.dispose()
    config = HomeConfig(origin=f"pdms-{secrets.token_hex(4)}/audit", policies=policies, passphrase_file=passphrase_file)
    app = App.assemble(home, config, settings, clock=clock)
    try:
        with app.unit(Actor.system()) as uow:
            uow.record(EventKind.INIT)
            uow.record(EventKind.KEY_EPOCH_CREATED, numbers={"epoch": 1})
            existing = [o for o in access.list_operators(uow) if o.label == ADMIN_LABEL]
            if existing:  # an earlier run was killed before anyone saw its key
                key = access.issue_key(uow, operator_id=existing[0].operator_id)
            else:
                key = access.create_operator(uow, label=ADMIN_LABEL, role=ADMIN_ROLE)
        app.activate_policy()
        app.sequence()
    finally:
        app.close()
    write_config(home, config)
    return Initialised(home.root, True, policies, uri, passphrase_file, key)


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
        create_root(uri)
        return uri, None, None
    path = Path(uri.removeprefix("file:"))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if settings.passphrase is not None:
        passphrase, passphrase_file = settings.passphrase.get_secret_value().encode(), None
    else:
        passphrase_file = path.with_name("passphrase")
        if not passphrase_file.exists():
            passphrase_file.touch(mode=0o600)
            passphrase_file.write_text(new_passphrase(), "ascii")
        passphrase = passphrase_file.read_bytes().strip()
    if not path.exists():
        create_root(uri, passphrase=passphrase)
    return uri, passphrase, passphrase_file


@contextmanager
def _alone(home: Home) -> Iterator[None]:
    with (home.root / ".init.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
