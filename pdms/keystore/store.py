"""The key store: wrapped keys in a database of their own, and the fence around erased members.

Guarantees: every method is one committed transaction, durable when it returns. A key is minted once: asking again for
the same member returns the same key. A fenced member gets no key, minted or opened, ever again; a key is destroyed only
behind its fence. Several processes may work on the store at once. After `purge` the destroyed bytes are neither in the
file nor in its log.

It does not commit together with any other database. The order of writes makes that safe: key before data when storing;
fence, key, data when shredding; a sweep drops keys whose member never arrived (`drop_orphans`).
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import repeat
from typing import Any, Final

from sqlalchemy import Connection, inspect
from sqlalchemy.exc import IntegrityError, OperationalError

from pdms.crypto import (
    Dek,
    Signer,
    in_suite,
)
from pdms.db import (
    Column,
    Lock,
    Same,
    alone,
    beside,
    checkpoint_and_vacuum,
    erases_bytes,
    insert_columns,
    on_postgres,
    one_of,
)
from pdms.db.bases import KeysTable
from pdms.errors import Conflict, InvalidInput
from pdms.keystore.epochs import FIRST_EPOCH, begin_epoch
from pdms.keystore.held_months import HeldMonths
from pdms.keystore.labels import SystemKey
from pdms.keystore.places import FIRST_VERSION, PLACE
from pdms.taxonomy import ID_BYTES, MemberId

# Bound lists of one length share one prepared statement; SQLite takes 32,766 values in a statement.
_CHUNK: Final = 1000
_ID_LENGTHS: Final = frozenset({ID_BYTES})

# Driver SQL, not Core: SQLAlchemy's executemany costs twice the insert itself (5.5 against 11 microseconds a row).
_INSERT_KEY: Final = (
    "INSERT INTO member_key (member_id, key_version, epoch, minted_at, wrapped) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (member_id) DO NOTHING"
)
_SELECT_NEXT: Final = (
    "SELECT member_id, key_version, epoch, wrapped FROM member_key_next AS k WHERE member_id IN ({})"
    " AND NOT EXISTS (SELECT 1 FROM fence AS f WHERE f.member_id = k.member_id)"
)
_SELECT_KEYS: Final = (
    "SELECT member_id, key_version, epoch, wrapped FROM member_key AS k WHERE member_id IN ({})"
    " AND NOT EXISTS (SELECT 1 FROM fence AS f WHERE f.member_id = k.member_id)"
)
_SELECT_BOTH: Final = f"{_SELECT_KEYS.format('?1')} UNION ALL {_SELECT_NEXT.format('?1')}"
"""Of one member, on SQLite: to ask whether anybody has two keys costs more there than to look."""


class KeyStore(HeldMonths):
    """The opened key store. Threads may share it.

    :param engine: on `keys.db`. :param root: the open root of the newest epoch.
    :param older_roots: open roots of older epochs that still hold keys.
    :param roots: opens the roots that were not given, by the address that their epoch names: of older epochs, and of
        one that another process began meanwhile.
    :param suite: wraps new keys and sets the length of new DEKs; old wrappings of another suite still open.
    """

    __slots__ = ()

    def initialise(self) -> bool:
        """Make the tables, the first epoch and the `SystemKey`s; return whether anything was missing.

        :raises KeyUnavailable: `WRONG_ROOT`: the store belongs to another root.
        """
        fresh = not inspect(self.engine).has_table("epoch")
        with self.engine.begin() as connection:
            alone(connection, Lock.INITIALISE)
            KeysTable.metadata.create_all(connection)
            if connection.exec_driver_sql("SELECT count(*) FROM epoch").scalar_one() == 0:
                root = in_suite(self._roots[0], self.suite.name)
                begin_epoch(connection, FIRST_EPOCH, root=root, now=self._clock.now())
                fresh = True
            epoch = self.current(connection)
            for label in SystemKey:
                known = "SELECT count(*) FROM system_key WHERE label = ?"
                if not connection.exec_driver_sql(known, (label.value,)).scalar_one():
                    self.system.add(connection, label, epoch)
                    fresh = True
        return fresh

    def purge(self) -> None:
        """Rewrite the file and cut its log, so that destroyed keys are in neither. Outside any transaction.

        On PostgreSQL it does nothing: wrapped keys stay readable in heap and WAL until reused, opened by no live epoch
        once the epoch is destroyed; the fence keeps pdms itself from them at once.

        :raises Conflict: `PURGE_INCOMPLETE`: another process kept the store open in a transaction for too long.
        """
        if not erases_bytes(self.engine):
            return
        try:
            checkpoint_and_vacuum(self.engine)
            raw = self.engine.raw_connection()
            try:
                # The pragma does not fail when a reader still needs the log: it says so in its first column.
                busy = raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            finally:
                raw.close()
        except (OperationalError, sqlite3.OperationalError):
            busy = 1
        if busy:
            raise Conflict("key store: in use; destroyed keys may be in its log until purged", code="PURGE_INCOMPLETE")

    # --- members

    def mint(self, member_ids: Sequence[MemberId]) -> list[bytes]:
        """Return one DEK (`Dek`) per id, in order: a fresh one, or the one that the id has already.

        :raises Conflict: `FENCED`: one of the ids was erased; then none is minted.
        """
        _check_ids(member_ids)
        if not member_ids:
            return []
        if on_postgres(self.engine):
            try:
                return self._mint(member_ids, copy=True)
            except IntegrityError:  # one of them has a key already
                pass
        return self._mint(member_ids, copy=False)

    def _mint(self, member_ids: Sequence[MemberId], *, copy: bool) -> list[bytes]:
        minted_at = int(self._clock.now().timestamp())
        self.system.look()
        with self.engine.begin() as connection:
            beside(connection, Lock.FENCE)
            if self._fenced(connection, member_ids):
                raise Conflict("member: erased; no key is minted for it again", code="FENCED")
            epoch = self.current(connection)
            size = self.suite.key_bytes
            block = os.urandom(size * len(member_ids))
            deks = [Dek(block[at : at + size]) for at in range(0, len(block), size)]
            place = PLACE.pack(FIRST_VERSION, epoch.id)
            wrapped = epoch.member.wrap_many(deks, contexts=[one + place for one in member_ids])
            columns: list[Column] = [
                ("member_id", "bytea", member_ids),
                ("key_version", "int4", Same(FIRST_VERSION)),
                ("epoch", "int4", Same(epoch.id)),
                ("minted_at", "int8", Same(minted_at)),
                ("wrapped", "bytea", wrapped),
            ]
            if copy:
                insert_columns(connection, "member_key", columns)
                return list(deks)
            if not on_postgres(connection):
                inserted = insert_columns(connection, "member_key", columns, unless="member_id")
            else:  # in order of id: of two who mint the same members one waits, and neither waits for the other
                version, number = repeat(FIRST_VERSION), repeat(epoch.id)
                rows = sorted(zip(member_ids, version, number, repeat(minted_at), wrapped))
                inserted = connection.exec_driver_sql(_INSERT_KEY, rows).rowcount
            if inserted == len(member_ids):
                return list(deks)
            stored: dict[MemberId, bytes] = {}
            for chunk, marks in _chunks(member_ids):
                self._unwrap(connection.exec_driver_sql(_SELECT_KEYS.format(marks), chunk).all(), into=stored)
        return [stored[one] for one in member_ids]

    def deks(self, member_ids: Sequence[MemberId]) -> dict[MemberId, bytes]:
        """Return the DEKs (`Dek`) that exist; ids without one, and fenced ids, are absent.

        :raises IntegrityBroken: a wrapped key was altered or moved to another member.
        """
        _check_ids(member_ids)
        found: dict[MemberId, bytes] = {}
        coming: dict[MemberId, bytes] = {}
        if on_postgres(self.engine):  # one question for both costs less there than to ask whether there are two
            for chunk, marks in _chunks(member_ids):
                both = f"{_SELECT_KEYS.format(marks)} UNION ALL {_SELECT_NEXT.format(marks)}"
                self._unwrap_both(self._reader.fetch(both, (*chunk, *chunk)), found, coming)
        elif len(member_ids) == 1:
            self._unwrap_both(self._reader.fetch(_SELECT_BOTH, (member_ids[0],)), found, coming)
        else:
            self.system.look()
            if self.system.next_keys:  # before the old ones: a key that takes its place in between is found there
                for chunk, marks in _chunks(member_ids):
                    self._unwrap(self._reader.fetch(_SELECT_NEXT.format(marks), chunk), into=coming)
            for chunk, marks in _chunks(member_ids):
                self._unwrap(self._reader.fetch(_SELECT_KEYS.format(marks), chunk), into=found)
        for member_id, key in coming.items():
            held = found.get(member_id)
            if isinstance(key, Dek) and isinstance(held, Dek) and held.version < key.version:
                key.other = held
                found[member_id] = key
        return found

    def _unwrap_both(self, rows: Sequence[Any], found: dict[MemberId, bytes], coming: dict[MemberId, bytes]) -> None:
        """Open keys read in one statement: of a member's two the one of the greater version is coming."""
        if len(rows) > 1:
            least = {row[0]: row[1] for row in sorted(rows, key=lambda row: -row[1])}
            self._unwrap((row for row in rows if row[1] != least[row[0]]), into=coming)
            rows = [row for row in rows if row[1] == least[row[0]]]
        self._unwrap(rows, into=found)

    def _unwrap(self, rows: Iterable[Any], *, into: dict[MemberId, bytes]) -> None:
        for member_id, version, number, wrapped in rows:
            epoch = self._epochs.get(number) or self._open(number)
            key = epoch.member.unwrap(wrapped, context=member_id + PLACE.pack(version, number))
            into[member_id] = Dek.of(key, version=version)

    def fence(self, member_ids: Sequence[MemberId]) -> None:
        """Refuse from now on, for ever, to mint or open a key for these ids."""
        _check_ids(member_ids)
        if member_ids:
            with self.engine.begin() as connection:
                alone(connection, Lock.FENCE)  # a key that is being minted is there, and seen, before it is destroyed
                connection.exec_driver_sql(
                    "INSERT INTO fence (member_id) VALUES (?) ON CONFLICT DO NOTHING", [(one,) for one in member_ids]
                )

    def fenced(self, member_ids: Sequence[MemberId]) -> set[MemberId]:
        """Return which of these ids are fenced."""
        _check_ids(member_ids)
        with self.reading.connect() as connection:
            return self._fenced(connection, member_ids)

    def _fenced(self, connection: Connection, member_ids: Sequence[MemberId]) -> set[MemberId]:
        found: set[MemberId] = set()
        for at in range(0, len(member_ids), _CHUNK):
            condition, bound = one_of(connection, member_ids[at : at + _CHUNK], width=ID_BYTES)
            rows = connection.exec_driver_sql(f"SELECT member_id FROM fence WHERE member_id {condition}", bound)
            found.update(rows.scalars())
        return found

    def destroy(self, member_ids: Sequence[MemberId]) -> None:
        """Destroy the wrapped DEKs of fenced ids. A second time finds none, and is fine.

        :raises Conflict: `NOT_FENCED`: one of the ids is not fenced; then none is destroyed.
        """
        _check_ids(member_ids)
        if not member_ids:
            return
        with self.engine.begin() as connection:
            if len(self._fenced(connection, member_ids)) != len(set(member_ids)):
                raise Conflict("member: its key is destroyed only behind a fence", code="NOT_FENCED")
            for table in ("member_key_next", "member_key"):  # in order of id: see `promote`
                connection.exec_driver_sql(
                    f"DELETE FROM {table} WHERE member_id = ?", [(one,) for one in sorted(set(member_ids))]
                )

    def member_ids(self, *, minted_before: datetime | None = None) -> Iterator[MemberId]:
        """Iterate over the ids that have a key, in order of id, in bounded memory and short transactions."""
        limit = (1 << 62) if minted_before is None else int(minted_before.timestamp())
        last = b""
        while True:
            with self.reading.connect() as connection:
                page: Sequence[MemberId] = (
                    connection.exec_driver_sql(
                        "SELECT member_id FROM member_key WHERE member_id > ? AND minted_at < ?"
                        " ORDER BY member_id LIMIT 10000",
                        (last, limit),
                    )
                    .scalars()
                    .all()
                )
            if not page:
                return
            yield from page
            last = page[-1]

    def drop_orphans(self, member_ids: Sequence[MemberId], *, minted_before: datetime) -> int:
        """Remove keys whose member never arrived in the vault; return how many.

        :param minted_before: younger keys stay: their member may be about to be committed.
        """
        _check_ids(member_ids)
        if not member_ids:
            return 0
        limit = int(minted_before.timestamp())
        with self.engine.begin() as connection:
            connection.exec_driver_sql(
                "DELETE FROM member_key_next WHERE member_id = ? AND minted_at < ?",
                [(one, limit) for one in member_ids],
            )
            gone = connection.exec_driver_sql(
                "DELETE FROM member_key WHERE member_id = ? AND minted_at < ?", [(one, limit) for one in member_ids]
            )
            return gone.rowcount

    # --- system keys, signers, held months

    def refresh(self) -> None:
        """Before writing what depends on system keys: see the versions that another process has made by now."""
        self.system.look()

    def system_key(self, label: str) -> bytes:
        """Return the 256-bit key of one use (`SystemKey`, or `index:` and an index name), made on first use.

        :raises InvalidInput: `UNKNOWN_KEY_LABEL`.
        """
        return self.system.of(label)[0].key

    def system_keys(self, label: str, *, retired: bool = False) -> list[bytes]:
        """Return the keys of one use, newest first; `retired`: also those that no look-up needs any more."""
        return [one.key for one in self.system.of(label) if retired or not one.retired]

    def signer(self, name: str = "log") -> Signer:
        """Return the Ed25519 signer of `log` (checkpoints), `receipts` or `manifests`."""
        return Signer(self.system_key(f"sign:{name}"))

    def public_keys(self, name: str = "log") -> list[bytes]:
        """Return the public keys under which documents of one kind were ever signed, newest first."""
        return [Signer(key).public_key for key in self.system_keys(f"sign:{name}", retired=True)]


def _chunks(member_ids: Sequence[MemberId]) -> Iterator[tuple[tuple[MemberId, ...], str]]:
    for at in range(0, len(member_ids), _CHUNK):
        chunk = tuple(member_ids[at : at + _CHUNK])
        yield chunk, ",".join("?" * len(chunk))


def _check_ids(member_ids: Sequence[MemberId]) -> None:
    if not _ID_LENGTHS.issuperset(map(len, member_ids)):
        raise InvalidInput(f"member: an id has {ID_BYTES} bytes", code="MEMBER_ID_LENGTH")
