"""System keys and their versions: one key for each use, the newest in force, older ones kept for what they made.

Guarantees: a key of a use is made once, whoever asks first; a new version that any process makes is seen by every other
at its next question, since each asks whether the store was written to before it trusts its memory. No version is ever
deleted: `retired` ones are left out of look-ups, and still check what they signed or nested.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import RLock
from time import monotonic
from typing import Final, Protocol

from sqlalchemy import Connection, Engine

from pdms.crypto import Suite, SuitedKey, SuiteName, Unprintable, new_key, suited, with_suite
from pdms.db import Lock, Watch, alone, fetch
from pdms.keystore.epochs import EpochKeys
from pdms.keystore.labels import known_label
from pdms.keystore.places import FIRST_VERSION, stored, system_context
from pdms.keystore.walks import begin_walk, end_walk

LEASE: Final = 0.05
"""Seconds."""
_STATE: Final = (
    "SELECT (SELECT count(*) FROM system_key), (SELECT COALESCE(sum(version), 0) FROM system_key),"
    " (SELECT count(retired_at) FROM system_key), (SELECT count(*) FROM (SELECT 1 FROM member_key_next LIMIT 1) AS n),"
    " (SELECT target FROM key_rotation WHERE what = 'suite')"
)
"""What memory depends on: versions of system keys, whether members have two keys, the suite in force."""


@dataclass(frozen=True, slots=True)
class KeyVersion:
    """One version of a system key."""

    version: int
    key: SuitedKey = field(repr=False)
    retired: bool


class EpochSource(Protocol):
    """The key store, as far as system keys need it."""

    engine: Engine
    reading: Engine

    @property
    def suite(self) -> Suite:
        """The suite in force."""
        ...

    def current(self, connection: Connection) -> EpochKeys:
        """Return the newest living epoch."""
        ...

    def epoch(self, connection: Connection, number: int) -> EpochKeys:
        """Return one epoch's keys."""
        ...


class SystemKeys(Unprintable):
    """The system keys of an opened key store, as this process remembers them."""

    __slots__ = ("_known", "_lock", "_looked_at", "_stamp", "_store", "_watch", "next_keys", "suite")

    def __init__(self, store: EpochSource) -> None:
        self._store = store
        self._known: dict[str, tuple[KeyVersion, ...]] = {}
        self._watch = Watch(store.engine)
        self._lock = RLock()
        self._stamp: tuple[object, ...] | None = None
        self._looked_at = float("-inf")
        self.next_keys = False
        """Whether some members have a key that is coming."""
        self.suite: SuiteName | None = None
        """The suite that a rotation put in force; None: the one that the store was opened with."""

    def look(self, *, strict: bool = True) -> None:
        """Forget what another process may have changed. Cheap where nobody wrote.

        :param strict: where asking costs a journey to the server, reading may rely on what was known a moment ago (a
            look-up that finds nobody then asks again, strictly); writing may not.
        """
        with self._lock:
            if self._watch.cheap:
                if not self._watch.changed():
                    return
            elif not strict and monotonic() - self._looked_at < LEASE:
                return
            self._looked_at = monotonic()
            *stamp, next_keys, suite = fetch(self._store.engine, _STATE)[0]
            if (*stamp, suite) != self._stamp:
                self._known.clear()
                self._stamp = (*stamp, suite)
            self.next_keys = bool(next_keys)
            self.suite = SuiteName(suite) if suite is not None else None

    def of(self, label: str) -> tuple[KeyVersion, ...]:
        """Return the versions of one use, newest first; the first is made on first use.

        :raises InvalidInput: `UNKNOWN_KEY_LABEL`.
        """
        self.look(strict=False)
        known = self._known.get(label)
        if known is not None:
            return known
        use, stamp = known_label(label), self._stamp
        with self._store.reading.connect() as connection:
            found = self._stored(connection, use)
        if not found:
            with self._store.engine.begin() as connection:  # again, behind a lock: another process may have made it
                alone(connection, Lock.INITIALISE)
                found = self._stored(connection, use)
                if not found:
                    self.add(connection, use, self._store.current(connection))
                    found = self._stored(connection, use)
        if stamp == self._stamp:
            self._known[use] = found
        return found

    def add(
        self,
        connection: Connection,
        use: str,
        epoch: EpochKeys,
        *,
        version: int = FIRST_VERSION,
        now: datetime | None = None,
    ) -> None:
        """Make a version of a use."""
        key = new_key()
        wrapped = epoch.system.wrap(
            with_suite(key, self._store.suite.name), context=system_context(use, version, epoch.id)
        )
        connection.exec_driver_sql(
            "INSERT INTO system_key (label, version, epoch, wrapped, made_at) VALUES (?, ?, ?, ?, ?)",
            (use, version, epoch.id, wrapped, stored(now) if now is not None else None),
        )

    def rotate(self, labels: Sequence[str], *, now: datetime, walk: str | None = None) -> dict[str, int]:
        """Make a new version of each use, in one transaction; return label → version. Uses never asked for are made.

        :param walk: name of a walk through the vault that begins with it (`walks.py`); one that goes on already makes
            nothing new.
        """
        made: dict[str, int] = {}
        with self._store.engine.begin() as connection:
            alone(connection, Lock.INITIALISE)
            if walk is not None and not begin_walk(connection, walk, now=now):
                return made
            epoch = self._store.current(connection)
            for use in map(known_label, labels):
                newest = connection.exec_driver_sql(
                    "SELECT max(version) FROM system_key WHERE label = ?", (use,)
                ).scalar()
                made[use] = int(newest or 0) + 1
                self.add(connection, use, epoch, version=made[use], now=now)
        return made

    def retire(self, labels: Sequence[str], *, now: datetime, walk: str | None = None) -> None:
        """Leave all but the newest version of each use out of look-ups, and end the walk."""
        with self._store.engine.begin() as connection:
            alone(connection, Lock.INITIALISE)
            for use in map(known_label, labels):
                newest = connection.exec_driver_sql(
                    "SELECT max(version) FROM system_key WHERE label = ?", (use,)
                ).scalar()
                connection.exec_driver_sql(
                    "UPDATE system_key SET retired_at = ? WHERE label = ? AND retired_at IS NULL AND version < ?",
                    (stored(now), use, newest or 0),
                )
            if walk is not None:
                end_walk(connection, walk, now=now)

    def counts(self) -> dict[str, tuple[int, int]]:
        """Return label → (versions, versions that look-ups try)."""
        sql = "SELECT label, count(*), count(*) - count(retired_at) FROM system_key GROUP BY label ORDER BY label"
        return {label: (int(count), int(used)) for label, count, used in fetch(self._store.engine, sql)}

    def _stored(self, connection: Connection, use: str) -> tuple[KeyVersion, ...]:
        rows = connection.exec_driver_sql(
            "SELECT version, epoch, wrapped, retired_at FROM system_key WHERE label = ? ORDER BY version DESC", (use,)
        ).all()
        return tuple(
            KeyVersion(
                version,
                suited(
                    self._store.epoch(connection, number).system.unwrap(
                        wrapped, context=system_context(use, version, number)
                    ),
                    sealing=self._store.suite.name,
                ),
                retired is not None,
            )
            for version, number, wrapped, retired in rows
        )
