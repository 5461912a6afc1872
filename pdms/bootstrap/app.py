"""The assembled application: one home, opened. Faces get their units of work here and nowhere else."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Concatenate, Final, NoReturn, ParamSpec, Self, TypeVar

from sqlalchemy import Engine

from pdms.access import service as access
from pdms.access.oidc import SignIn
from pdms.access.service import Recognised, Unknown
from pdms.all_tables import schema
from pdms.audit import service as audit
from pdms.audit.checkpoint import Checkpoint
from pdms.audit.events import Event
from pdms.bootstrap.config import HomeConfig, read_config
from pdms.bootstrap.sign_in import sign_in_of
from pdms.clock import Clock
from pdms.crypto import RootsOf
from pdms.db import Glances, Session, Watch, begin
from pdms.db.parts import Databases, Part
from pdms.errors import Conflict, IntegrityBroken, KeyUnavailable
from pdms.facts.spill import wipe_orphans
from pdms.gate import service as gate
from pdms.keystore import KeyStore, live_epochs
from pdms.policy.definitions import Policy
from pdms.policy.loader import load
from pdms.policy.yaml_reader import PolicyInvalid
from pdms.rights import ledger
from pdms.settings import Home, Settings
from pdms.unit_of_work import Actor, ActorKind, AnonUnitOfWork, LogSigner, UnitFactory, UnitOfWork

P = ParamSpec("P")
R = TypeVar("R")

ANONYMOUS = Actor(id="anonymous", kind=ActorKind.SYSTEM)
_POLICY: Final = "pdms.bootstrap.policy"
"""Under which looks keep the policy in force."""


def _key_store(engine: Engine, config: HomeConfig, settings: Settings, *, clock: Clock) -> tuple[str, KeyStore]:
    epochs = live_epochs(engine)
    if not epochs:
        raise KeyUnavailable("the key store of this home holds no live epoch")
    passphrase: bytes | None = None
    if settings.passphrase is not None:
        passphrase = settings.passphrase.get_secret_value().encode()
    elif config.passphrase_file is not None and config.passphrase_file.exists():
        passphrase = config.passphrase_file.read_bytes().strip()
    uri, roots = epochs[-1].root_uri, RootsOf(passphrase)
    keys = KeyStore(engine, root=roots.open(uri), clock=clock, roots=roots)
    try:
        keys.signer("log")  # a root that is not this home's is found now, not in the middle of some work
    except IntegrityBroken:
        raise KeyUnavailable("the root key is not the one of this home", code="WRONG_ROOT") from None
    return uri, keys


def _documents(folder: Path, *, tolerate: bool) -> Policy | PolicyInvalid:
    try:
        return load(folder)
    except PolicyInvalid as error:
        if tolerate:
            return error
        raise


def _policies(session: Session, documents: Policy | PolicyInvalid) -> tuple[Policy, Policy]:
    """Return what is in force (before the first activation: the documents) and what the documents say."""
    if not isinstance(documents, PolicyInvalid):
        acting, said = (gate.in_force(session, documents=documents, follow=follow) for follow in (True, False))
        return acting, said
    newest = gate.newest(session)
    if newest is None:
        raise documents
    return newest, newest


@dataclass
class App:
    """One opened home. `close()` it, or use it as a context manager."""

    home: Home
    settings: Settings
    clock: Clock
    policy: Policy
    """In force: what units decide by, and what roles, scopes and approvers are judged by."""
    documents: Policy
    """What the documents said on opening: somebody's draft, if not in force, to be read and checked. Nobody acts by it.
    """
    policies: Path
    """Folder of the documents; what they say counts once it is activated."""
    origin: str
    root_uri: str
    keys: KeyStore = field(repr=False)
    main: Engine = field(repr=False)
    held: Engine = field(repr=False)
    anon: Engine = field(repr=False)
    audit_writer: Engine = field(repr=False)
    """By which the anonymised side appends audit events; on PostgreSQL its own login, which can read none."""
    sign_in: SignIn | None = field(default=None, repr=False)
    """Whose tokens operators may present beside API keys; None: nobody's."""
    _ledger_checked: bool = field(default=False, repr=False)
    _glances: Glances | None = field(default=None, repr=False)
    _watch: Watch | None = field(default=None, repr=False)
    _renewing: Lock = field(default_factory=Lock, init=False, repr=False)
    _unread: bool = field(default=False, init=False, repr=False)
    """Somebody committed, and the policy was not read since: asked again, should the reading fail."""
    _every: float = field(default=1.0, repr=False)
    _asked: float = field(default=0.0, repr=False)

    @classmethod
    def open(cls, settings: Settings, *, clock: Clock, as_in_force: bool = False) -> Self:
        """Open the home that `settings` names.

        :param as_in_force: go by the policy in force where the documents do not load: to refuse them on record.
        :raises NotFound: there is none. :raises KeyUnavailable: its root key cannot be reached.
        :raises InvalidInput: its policies do not load. :raises Conflict: SCHEMA_OLD, SCHEMA_NEWER: of another version.
        """
        home = Home(settings.home.resolve(), reading=settings.reading)
        config = read_config(home)
        wipe_orphans(home)  # what a killed reader spilled
        return cls.assemble(home, config, settings, clock=clock, as_in_force=as_in_force)

    @classmethod
    def assemble(
        cls, home: Home, config: HomeConfig, settings: Settings, *, clock: Clock, as_in_force: bool = False
    ) -> Self:
        """Put the parts together from a configuration."""
        folder = settings.policies or config.policies
        documents = _documents(folder, tolerate=as_in_force)
        databases = Databases.of(home, settings, recorded=config.database)
        engines = databases.open_all()
        try:
            for part, engine in engines.items():
                schema.require_current(part, engine)
            uri, keys = _key_store(engines[Part.KEYS], config, settings, clock=clock)
            with begin(engines[Part.VAULT], read_only=True) as session:
                policy, said = _policies(session, documents)
        except BaseException:
            for engine in engines.values():
                engine.dispose()
            raise
        return cls(
            home=home,
            settings=settings,
            clock=clock,
            policy=policy,
            documents=said,
            policies=folder,
            origin=config.origin,
            root_uri=uri,
            keys=keys,
            main=engines[Part.VAULT],
            held=engines[Part.HELD],
            anon=engines[Part.ANON],
            audit_writer=databases.open_audit_writer(engines[Part.VAULT]),
            sign_in=sign_in_of(settings, policy),
        )

    def follow_policy(self, *, every: float = 1.0) -> None:
        """From now on decide by whatever is in force, activated by this process or another; for long-lived processes.

        :param every: seconds between two questions where each is a query (PostgreSQL).
        """
        self._watch, self._every = Watch(self.main), every

    def _renew_policy(self) -> None:
        """Notice an activation. On SQLite each unit asks, for a microsecond; elsewhere one query a second, and who
        decides by a policy that is no longer in force meanwhile is refused with POLICY_NOT_ACTIVE."""
        if self._watch is None:
            return
        if not self._watch.cheap:
            before, self._asked = self._asked, time.monotonic()
            if self._asked - before < self._every:
                self._asked = before
                return
        with self._renewing:  # whoever asks while another reads waits for the answer, and goes by it
            self._unread = self._watch.changed() or self._unread
            if self._unread:
                with begin(self.main, read_only=True) as session:
                    self.policy = gate.in_force(session, documents=self.policy, follow=True)
                self._unread = False

    def unit(self, actor: Actor, *, read_only: bool = False) -> UnitOfWork:
        """Return a unit of the identified side."""
        self._renew_policy()
        return self._unit(actor, self.policy, read_only=read_only)

    def _unit(self, actor: Actor, policy: Policy, *, read_only: bool) -> UnitOfWork:
        return UnitOfWork(
            actor=actor,
            clock=self.clock,
            policy=policy,
            home=self.home,
            append_events=self._append_events,
            anon_engine=self.anon,
            read_only=read_only,
            main_engine=self.main,
            held_engine=self.held,
            keys=self.keys,
            origin=self.origin,
            committed=self._note_rights,
        )

    def glance(self) -> UnitOfWork:
        """Return a unit of nobody's that only reads, and only by driver SQL; SQLite (`db.glance`).

        Its policy is what was in force in that look, asked anew as soon as anybody committed anything.
        """
        if self._glances is None:
            self._glances = Glances(self.main)
        session = self._glances.begin()
        try:
            policy = session.info.get(_POLICY)
            if policy is None:
                policy = self.policy
                if self._watch is not None:
                    policy = gate.in_force(session, documents=policy, follow=True)
                session.info[_POLICY] = policy
            uow = self._unit(ANONYMOUS, policy, read_only=True)
        except BaseException:
            session.close()
            raise
        uow.look(session)
        return uow

    def anon_unit(self, actor: Actor, *, read_only: bool = False) -> AnonUnitOfWork:
        """Return a unit of the anonymised side: it has no way to a member."""
        self._renew_policy()
        return AnonUnitOfWork(
            actor=actor,
            clock=self.clock,
            policy=self.policy,
            home=self.home,
            append_events=self._append_from_outside,
            anon_engine=self.anon,
            read_only=read_only,
        )

    def units(self, actor: Actor) -> UnitFactory:
        """Return a factory for long operations: one unit per batch."""
        return lambda: self.unit(actor)

    def run(
        self, actor: Actor, service: Callable[Concatenate[UnitOfWork, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run one operation in one unit; its result is handed out only after the commit."""
        with self.unit(actor) as uow:
            return service(uow, *args, **kwargs)

    def run_anon(
        self, actor: Actor, service: Callable[Concatenate[AnonUnitOfWork, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run one operation of the anonymised side in one unit."""
        with self.anon_unit(actor) as uow:
            return service(uow, *args, **kwargs)

    def authenticate(self, presented: str | None) -> Actor:
        """Return the actor behind a key or token. :raises Unauthenticated: it opens nothing; the attempt is logged."""
        found = self.recognise(presented)
        if isinstance(found, Unknown):
            self.refuse_login(found)
        return found.actor

    def recognise(self, presented: str | None) -> Recognised | Unknown:
        """Return the actor behind a key or token, or why it opens nothing; only the day of a key's use is written."""
        with self.unit(ANONYMOUS, read_only=True) as uow:
            found = access.recognise(uow, presented=presented, sign_in=self.sign_in)
        if isinstance(found, Recognised) and found.key_to_note is not None:
            with suppress(Conflict), self.unit(ANONYMOUS) as uow:  # busy: a later call of the day notes it
                access.note_use(uow, key_id=found.key_to_note)
        return found

    def refuse_login(self, unknown: Unknown) -> NoReturn:
        """Log a failed login. :raises Unauthenticated: always, and always the same."""
        with self.unit(ANONYMOUS, read_only=True) as uow:
            access.refuse_login(uow, cause=unknown.cause)

    def activate_policy(self) -> None:
        """Make the loaded policy the one in force, if it is not yet; the change is an event."""
        with self.unit(Actor.system()) as uow:
            gate.activate(uow)

    def sequence(self) -> Checkpoint | None:
        """Put committed events into the Merkle log and sign its head; None where nothing was new."""
        if not self._ledger_checked:  # a run before may have been killed between its commit and its line
            self._ledger_checked = True
            with suppress(IntegrityBroken):  # the next right that is used says so, and the sweep; the log goes on
                self.extend_ledger()
        with begin(self.main) as session:
            signer = LogSigner(self.origin, self.keys.signer("log"))
            return audit.sequence(session, signer=signer, now=self.clock.now())

    def _note_rights(self, events: Sequence[Event]) -> None:
        if any(map(ledger.concerns, events)):
            self.extend_ledger()

    def extend_ledger(self) -> None:
        """Bring the rights ledger up to what is committed: at once after each right used, and once when beginning."""
        with begin(self.main, read_only=True) as session:
            key = self.keys.system_key(ledger.LABEL)
            ledger.extend(session, path=self.home.rights_ledger, key=key, now=self.clock.now())

    def _append_events(self, events: Sequence[Event]) -> None:
        with begin(self.main) as session:
            audit.append(session, events)

    def _append_from_outside(self, events: Sequence[Event]) -> None:
        with begin(self.audit_writer) as session:
            audit.append(session, events)

    def close(self) -> None:
        """Let go of the databases."""
        if self._watch is not None:
            self._watch.close()
        for engine in (self.main, self.held, self.anon, self.audit_writer, self.keys.engine):
            engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
