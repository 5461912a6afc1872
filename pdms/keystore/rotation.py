"""Epoch rotation inside the key store: keys wrapped under an older epoch are wrapped under the newest one.

Guarantees: nothing that the keys sealed is touched; each batch is one committed transaction, and which keys are still
to be done stands in their own rows, so that a run that was cut off goes on where it was, in this process or another.
Other processes read, mint and promote meanwhile: a row is of one epoch or of the other, never half. An epoch is ended
only when no key hangs on it, coming ones included; its end is claimed only of a root that was seen and then destroyed.
The root of an epoch that a restore took over is not destroyed while the home that the backup is of may hang on it, too:
pdms knows of that home only what the operator says. A folder copied by other means is not known as a copy.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from pdms.crypto import RootKey, RootsOf, has_horizon, in_suite
from pdms.db import Lock, alone, for_update, on_postgres
from pdms.errors import Conflict, KeyUnavailable, NotFound
from pdms.keystore.epochs import (
    EpochKeys,
    begin_end,
    begin_epoch,
    end_epoch,
    ending,
    is_shared,
    root_uri_of,
    share_all,
)
from pdms.keystore.places import month_context, system_context
from pdms.keystore.rewrapping import Rewrapping
from pdms.keystore.store import KeyStore

BATCH: Final = 20_000
"""Members a transaction: others that write wait for a tenth of a second at most."""
_ABSENT: Final = (
    "root key: not where its epoch names it; mount it, or put its token into its slot, and ask again: what cannot be"
    " seen cannot be destroyed"
)


@dataclass(frozen=True, slots=True)
class EpochCount:
    """How many keys are wrapped under an epoch."""

    epoch: int
    members: int
    """Coming keys count too: a member has two while the fields are being sealed anew."""
    system: int
    held_months: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.members + self.system + self.held_months


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """Keys wrapped anew by one batch."""

    members: int
    coming: int
    system: int
    held_months: int

    def __bool__(self) -> bool:
        return bool(self.members or self.coming or self.system or self.held_months)


def counts(store: KeyStore) -> list[EpochCount]:
    """Return the number of keys under each epoch, destroyed ones too, oldest first."""
    with store.reading.connect() as connection:
        return _counts(connection)


def newest(store: KeyStore) -> int:
    """Return the number of the newest living epoch. :raises KeyUnavailable: `NOT_INITIALISED`."""
    living = [one.id for one in store.epochs() if one.destroyed_at is None]
    if not living:
        raise KeyUnavailable("key store: not initialised", code="NOT_INITIALISED")
    return max(living)


def left(store: KeyStore) -> int:
    """Return how many keys are not wrapped under the newest epoch."""
    with store.reading.connect() as connection:
        return sum(_left(connection, newest(store), "count(*)"))


def any_left(store: KeyStore) -> bool:
    """Tell whether a key is not wrapped under the newest epoch; where some are, at once."""
    with store.reading.connect() as connection:
        return any(_left(connection, newest(store), "1"))


def begin(store: KeyStore, *, root: RootKey, now: datetime) -> int:
    """Begin an epoch under `root`; from now on new keys are wrapped under it. Return its number.

    :raises Conflict: `ROOT_IN_USE`: the root is that of an epoch already. `ROTATION_RUNNING`: keys still hang on an
        epoch before the newest.
    """
    with store.engine.begin() as connection:
        # Behind whoever mints or makes keys now: nobody who has seen the old epoch as the newest comes after.
        alone(connection, Lock.FENCE)
        alone(connection, Lock.INITIALISE)
        number = int(connection.exec_driver_sql("SELECT max(epoch) FROM epoch").scalar_one()) + 1
        known = connection.exec_driver_sql("SELECT root_uri FROM epoch").scalars().all()
        if root.uri in known:
            raise Conflict("root key: an epoch has it already; a new epoch takes a new root", code="ROOT_IN_USE")
        if any(_left(connection, store.current(connection).id, "1")):
            raise Conflict("rotation: an earlier one is to be finished first", code="ROTATION_RUNNING")
        begin_epoch(connection, number, root=in_suite(root, store.suite.name), now=now)
    store.hold(root)
    return number


def rewrap_some(
    store: KeyStore, *, batch: int = BATCH, after: int | bytes | None = None
) -> tuple[Rewrapped, int | bytes | None]:
    """Wrap up to `batch` members' keys under the newest epoch; before the first batch all coming, system and held keys.

    :param after: where the batch before ended; None to begin.
    :return: what was wrapped anew, and where this batch ended. None wrapped after a beginning with None: all is done.
    """
    coming = 0
    if after is None:
        # On their own: whoever promotes holds a coming key first and the old one then.
        with store.engine.begin() as connection:
            coming = _coming(store, connection, store.current(connection))
    with store.engine.begin() as connection:
        epoch = store.current(connection)
        system = held = 0
        if after is None:
            system, held = _system(store, connection, epoch), _held(store, connection, epoch)
        members, after = _members(store, connection, epoch, batch=batch, after=after)
        return Rewrapped(members, coming, system, held), after


def share(store: KeyStore, *, now: datetime) -> None:
    """Note of every living epoch that another home may hang on its root, as after a restore."""
    with store.engine.begin() as connection:
        share_all(connection, now=now)


def check_end(store: KeyStore, epoch: int, *, other_home_gone: bool = False) -> None:
    """Return if the epoch may be ended.

    :raises NotFound: no such epoch. :raises Conflict: `EPOCH_ENDED`, `EPOCH_NEWEST`, `EPOCH_IN_USE`, `ROOT_SHARED`.
    """
    with store.reading.connect() as connection:
        _check_end(connection, epoch, other_home_gone=other_home_gone)


def endings(store: KeyStore) -> list[int]:
    """Return the epochs whose end was begun and cut off."""
    with store.reading.connect() as connection:
        sql = "SELECT epoch FROM epoch WHERE ending_at IS NOT NULL AND destroyed_at IS NULL ORDER BY epoch"
        return [int(one) for one in connection.exec_driver_sql(sql).scalars()]


def end(store: KeyStore, epoch: int, *, now: datetime, other_home_gone: bool = False) -> bool:
    """Destroy the root of an epoch and forget the epoch's key; return whether its end can be known everywhere.

    Three steps, each durable before the next: the root is seen and the end noted, the root is destroyed, the epoch's
    key is forgotten. A second run goes on where one was cut off; only after the note does a missing root count as
    destroyed. Of a root that pdms does not make (`env:`) only the wrapped key is forgotten.

    :param other_home_gone: of an epoch that a restore took over: nothing else hangs on its root any more.
    :raises NotFound: no such epoch. :raises Conflict: `EPOCH_ENDED`, `EPOCH_NEWEST`, `EPOCH_IN_USE`, `ROOT_SHARED`.
    :raises KeyUnavailable: `ROOT_UNREACHABLE`: the root is not where its epoch names it, or as opening it; nothing is
        claimed.
    """
    with store.engine.begin() as connection:
        alone(connection, Lock.FENCE)
        _check_end(connection, epoch, other_home_gone=other_home_gone)
        uri = root_uri_of(connection, epoch)
        certain = has_horizon(uri)
        if certain and not ending(connection, epoch):
            try:
                _roots(store).reach(uri)
            except KeyUnavailable as error:
                if error.code != "ROOT_MISSING":
                    raise
                raise KeyUnavailable(_ABSENT, code="ROOT_UNREACHABLE") from None
            begin_end(connection, epoch, now=now)
    with store.engine.begin() as connection:  # behind the write lock: nothing is minted meanwhile
        alone(connection, Lock.FENCE)
        _check_end(connection, epoch, other_home_gone=other_home_gone)
        if certain:
            try:
                _roots(store).destroy(uri)
            except KeyUnavailable as error:
                if error.code != "ROOT_MISSING":  # destroyed by a run that was cut off
                    raise
        end_epoch(connection, epoch, now=now)
    store.forget(epoch)
    return certain


def _roots(store: KeyStore) -> RootsOf:
    if store.roots is None:
        raise KeyUnavailable("root key: this key store cannot reach its roots", code="ROOT_UNREACHABLE")
    return store.roots


def _check_end(connection: Connection, epoch: int, *, other_home_gone: bool) -> None:
    found = connection.exec_driver_sql("SELECT epoch, destroyed_at FROM epoch").all()
    rows = {int(row[0]): row[1] for row in found}
    if epoch not in rows:
        raise NotFound("key epoch: none of that number")
    if rows[epoch] is not None:
        raise Conflict("key epoch: destroyed already", code="EPOCH_ENDED")
    if epoch == max(one for one, destroyed in rows.items() if destroyed is None):
        raise Conflict("key epoch: the newest; rotate first", code="EPOCH_NEWEST")
    if any(one.total for one in _counts(connection) if one.epoch == epoch):
        raise Conflict(
            "key epoch: keys that are needed still hang on it; finish the rotation first", code="EPOCH_IN_USE"
        )
    if not other_home_gone and is_shared(connection, epoch):
        raise Conflict(
            "root key: this home was restored from a backup, and the home that the backup is of hangs on this root too:"
            " destroy it there, or say that nothing of that home is needed any more",
            code="ROOT_SHARED",
        )


def _left(connection: Connection, number: int, what: str) -> Iterator[int]:
    """Yield, table by table, `count(*)` or 1 of what is not under an epoch; coming keys first, as `_counts`."""
    for rows in (
        "member_key_next WHERE",
        "member_key WHERE",
        "system_key WHERE",
        "held_month_key WHERE wrapped IS NOT NULL AND",
    ):
        found = connection.exec_driver_sql(f"SELECT {what} FROM {rows} epoch <> ? LIMIT 1", (number,)).scalar()
        yield int(found or 0)


def _counts(connection: Connection) -> list[EpochCount]:
    def per_epoch(sql: str) -> dict[int, int]:
        return {int(epoch): int(count) for epoch, count in connection.exec_driver_sql(sql)}

    # Coming keys first: one that takes its place in between is counted there, or twice, and never missed.
    coming = per_epoch("SELECT epoch, count(*) FROM member_key_next GROUP BY epoch")
    members = per_epoch("SELECT epoch, count(*) FROM member_key GROUP BY epoch")
    system = per_epoch("SELECT epoch, count(*) FROM system_key GROUP BY epoch")
    held = per_epoch("SELECT epoch, count(*) FROM held_month_key WHERE wrapped IS NOT NULL GROUP BY epoch")
    epochs = connection.exec_driver_sql("SELECT epoch FROM epoch ORDER BY epoch").scalars().all()
    return [
        EpochCount(one, members.get(one, 0) + coming.get(one, 0), system.get(one, 0), held.get(one, 0))
        for one in epochs
    ]


def _system(store: KeyStore, connection: Connection, epoch: EpochKeys) -> int:
    rows = connection.exec_driver_sql(
        "SELECT label, version, epoch, wrapped FROM system_key WHERE epoch <> ? ORDER BY label, version"
        + for_update(connection),
        (epoch.id,),
    ).all()
    for label, version, number, wrapped in rows:
        key = store.epoch(connection, number).system.unwrap(wrapped, context=system_context(label, version, number))
        anew = epoch.system.wrap(key, context=system_context(label, version, epoch.id))
        connection.exec_driver_sql(
            "UPDATE system_key SET epoch = ?, wrapped = ? WHERE label = ? AND version = ?",
            (epoch.id, anew, label, version),
        )
    return len(rows)


def _held(store: KeyStore, connection: Connection, epoch: EpochKeys) -> int:
    rows = connection.exec_driver_sql(
        "SELECT month, epoch, wrapped FROM held_month_key WHERE epoch <> ? AND wrapped IS NOT NULL ORDER BY month"
        + for_update(connection),
        (epoch.id,),
    ).all()
    for month, number, wrapped in rows:
        key = store.epoch(connection, number).held.unwrap(wrapped, context=month_context(month, number))
        anew = epoch.held.wrap(key, context=month_context(month, epoch.id))
        connection.exec_driver_sql(
            "UPDATE held_month_key SET epoch = ?, wrapped = ? WHERE month = ? AND wrapped IS NOT NULL",
            (epoch.id, anew, month),
        )
    return len(rows)


def _members(
    store: KeyStore, connection: Connection, epoch: EpochKeys, *, batch: int, after: int | bytes | None
) -> tuple[int, int | bytes | None]:
    work = Rewrapping(store, connection, epoch)
    if on_postgres(connection):
        rows = connection.exec_driver_sql(
            "SELECT member_id, key_version, epoch, wrapped FROM member_key WHERE member_id > ? AND epoch <> ?"
            f" ORDER BY member_id LIMIT ?{for_update(connection)}",  # a key promoted meanwhile must not be overwritten
            (after if after is not None else b"", epoch.id, batch),
        ).all()
        work.put(connection, "member_key", rows)
        return len(rows), rows[-1][0] if rows else after
    # In the order in which the rows lie: by key, every batch would touch every page of the table.
    count, last = connection.exec_driver_sql(
        "SELECT count(*), max(rowid) FROM"
        " (SELECT rowid FROM member_key WHERE rowid > ? AND epoch <> ? ORDER BY rowid LIMIT ?)",
        (after or 0, epoch.id, batch),
    ).one()
    if count:
        work.put_in_place(connection, "rowid > ? AND rowid <= ? AND epoch <> ?", (after or 0, last, epoch.id))
    return count, last if count else after


def _coming(store: KeyStore, connection: Connection, epoch: EpochKeys) -> int:
    """Wrap all coming keys: of a batch or two of members, since a rotation of data keys makes them batch by batch."""
    rows = connection.exec_driver_sql(
        "SELECT member_id, key_version, epoch, wrapped FROM member_key_next WHERE epoch <> ? ORDER BY member_id"
        + for_update(connection),
        (epoch.id,),
    ).all()
    Rewrapping(store, connection, epoch).put(connection, "member_key_next", rows)
    return len(rows)
