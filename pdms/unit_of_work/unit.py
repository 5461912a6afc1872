"""Units of work. Services never commit; the unit does, with the audit events of what was done.

Guarantees: what a service did and the events that tell of it are committed together or not at all; a refusal is in the
log although the operation rolls back; one instant (`now`) holds for the whole unit. It does not make two databases one:
of several, the identified one commits first, and what lies outside is bracketed by intent and outcome events.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import NoReturn, Self

from sqlalchemy import Engine

from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.audit.events import Event, Outcome
from pdms.clock import Clock
from pdms.crypto import Signer
from pdms.db import Session, locks, open_session
from pdms.errors import Denied, PdmsError, Reason
from pdms.policy.definitions import Policy
from pdms.settings import Home
from pdms.taxonomy import MemberId, Scope
from pdms.unit_of_work.actor import Actor
from pdms.unit_of_work.keyring import Keyring


@dataclass
class AnonUnitOfWork:
    """A unit of the anonymised side: `anon.db`, the releases folder, and an audit writer that can only append."""

    actor: Actor
    clock: Clock
    policy: Policy
    home: Home
    append_events: Callable[[Sequence[Event]], None] = field(repr=False)
    """All that this side can do to the identified database: commit events, in a transaction of their own."""
    anon_engine: Engine = field(repr=False)
    read_only: bool = False
    now: datetime = field(init=False)
    _events: list[Event] = field(init=False, repr=False, default_factory=list)
    _anon: Session | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        self.now = self.clock.now()

    @property
    def anon(self) -> Session:
        """Session on the anonymised side's database, begun on first use."""
        if self._anon is None:
            self._anon = open_session(self.anon_engine, read_only=self.read_only)
        return self._anon

    def record(
        self,
        kind: EventKind,
        *,
        member: MemberId | None = None,
        purpose: str | None = None,
        outcome: Outcome = Outcome.DONE,
        reasons: Sequence[str] = (),
        refs: Mapping[str, str] | None = None,
        numbers: Mapping[str, int] | None = None,
        digest: str | None = None,
        ticket: str | None = None,
    ) -> str:
        """Add an event that will be committed with this unit; return its id.

        :param reasons: registered codes. :param refs: names to ids or slugs. :param numbers: names to integers.
        :raises InvalidInput: something in it is not an id, a code or a number.
        """
        event = Event(
            kind,
            self.now,
            self.actor.id,
            member_id=member.hex() if member is not None else None,
            purpose=purpose,
            outcome=outcome,
            reasons=tuple(reasons),
            refs=refs or {},
            numbers=numbers or {},
            digest=digest,
            ticket=ticket,
        )
        self._events.append(event)
        return event.event_id

    def refuse(
        self,
        error: PdmsError,
        *,
        kind: EventKind = EventKind.DENIAL,
        member: MemberId | None = None,
        purpose: str | None = None,
        refs: Mapping[str, str] | None = None,
        numbers: Mapping[str, int] | None = None,
    ) -> NoReturn:
        """Roll back what this unit did, commit one event saying that it was refused, and raise `error`."""
        reasons = tuple(r.code for r in error.reasons) if isinstance(error, Denied) else ()
        self._end(commit=False)
        self._events.clear()
        self.record(
            kind,
            member=member,
            purpose=purpose,
            outcome=Outcome.DENIED,
            reasons=reasons or (error.code,),
            refs=refs,
            numbers=numbers,
        )
        self._append_apart()
        raise error

    def require(self, *scopes: Scope) -> None:
        """Refuse unless the actor holds one of `scopes`."""
        if not self.actor.scopes.intersection(scopes):
            names = " or ".join(scopes)
            self.refuse(
                Denied(
                    f"this needs the scope {names}", reasons=(Reason("SCOPE_MISSING", "PIPL-51-4", f"needs {names}"),)
                )
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            try:
                self._commit()
            except BaseException:  # no lock may outlive the unit, nor a half of it be committed by the next
                self._end(commit=False)
                self._events.clear()
                raise
        else:
            self._end(commit=False)
            self._events.clear()

    def _commit(self) -> None:
        # The event first: an anonymised-side change without its event would be invisible to the officer.
        self._append_apart()
        self._end(commit=True)

    def _append_apart(self) -> None:
        if self._events:
            self.append_events(self._events)
            self._events.clear()

    def _end(self, *, commit: bool) -> None:
        _close(self._anon, commit=commit)
        self._anon = None


@dataclass
class UnitOfWork(AnonUnitOfWork):
    """A unit of the identified side: besides the above, members, consent and audit in one session, held, keys."""

    main_engine: Engine = field(kw_only=True, repr=False)
    held_engine: Engine = field(kw_only=True, repr=False)
    keys: Keyring = field(kw_only=True, repr=False)
    origin: str = field(kw_only=True)
    """Name of this home's log, as its signed notes carry it."""
    committed: Callable[[Sequence[Event]], None] = field(kw_only=True, repr=False, default=lambda _: None)
    """Told of the events after each commit, before the operation is acknowledged: the rights ledger listens here."""
    _main: Session | None = field(init=False, repr=False, default=None)
    _held: Session | None = field(init=False, repr=False, default=None)

    @property
    def session(self) -> Session:
        """Session on the identified database (members, consent, audit, access), begun on first use."""
        if self._main is None:
            self._main = open_session(self.main_engine, read_only=self.read_only)
        return self._main

    def look(self, session: Session) -> None:
        """Read from a session that was begun elsewhere; it ends with this unit."""
        self._main = session

    @property
    def held(self) -> Session:
        """Session on the store of held records; only `rights` opens it."""
        if self._held is None:
            self._held = open_session(self.held_engine, read_only=self.read_only)
        return self._held

    @property
    def anon(self) -> Session:
        """Session on the anonymised side's database, begun on first use; begun before the identified one."""
        if self._anon is None and self._main is not None and not self.read_only and self._main.in_transaction():
            raise AssertionError("a unit takes the anonymised database first: lock_anon_first")
        return super().anon

    def lock_anon_first(self, *, alone: bool = False) -> None:
        """Begin on the anonymised database before the identified one.

        :param alone: nobody else is between here and their commit: a release goes live with no withdrawal half done,
            which on SQLite the write lock sees to.

        The one order in which a unit may hold both: an anonymised unit holds its own database when its commit appends
        events to the other, so that the opposite order could wait for ever.
        """
        (locks.alone if alone else locks.beside)(self.anon.connection(), locks.Lock.RELEASES)

    @property
    def log_signer(self) -> "LogSigner":
        """The signer of this home's checkpoints."""
        return LogSigner(self.origin, self.keys.signer("log"), tuple(self.keys.public_keys("log")[1:]))

    def commit_intent(self) -> None:
        """Commit what this unit did so far, events included, and go on: an intent must precede its effect."""
        self._commit()

    def _commit(self) -> None:
        events = tuple(self._events)
        if self._main is not None and not self.read_only and self._events:
            audit.append(self._main, self._events)
            self._events.clear()
        # Held records first: a step may only be noted as done when what it saved is durable.
        held, self._held = self._held, None
        _close(held, commit=True)
        main, self._main = self._main, None
        _close(main, commit=True)
        self._append_apart()
        self._end(commit=True)
        if events:
            self.committed(events)

    def _end(self, *, commit: bool) -> None:
        for session in (self._main, self._held):
            _close(session, commit=commit)
        self._main = self._held = None
        super()._end(commit=commit)


@dataclass(frozen=True, slots=True)
class LogSigner:
    """An Ed25519 signer under the log's name, as C2SP signed notes want it."""

    name: str
    key: Signer = field(repr=False)
    older: tuple[bytes, ...] = ()
    """Public keys with which the log was signed before."""

    @property
    def public_key(self) -> bytes:
        """Raw Ed25519 public key, 32 bytes."""
        return self.key.public_key

    def sign(self, message: bytes) -> bytes:
        """Return the raw 64-byte signature of `message`."""
        return self.key.sign(message)


def _close(session: Session | None, *, commit: bool) -> None:
    if session is None:
        return
    try:
        if commit:
            session.commit()
    finally:
        session.close()


UnitFactory = Callable[[], UnitOfWork]
"""Makes a unit per batch of a long operation; each batch commits with its progress row and its events."""
