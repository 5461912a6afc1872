"""Key epochs: which root wraps the keys of which time, and the subkeys of an epoch.

An epoch key is random, wrapped by the epoch's root, and split by HKDF into one wrapping key for each kind of key below
it. Which epochs live can be read without any root: it tells the caller which roots to open.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Engine, insert, inspect, select, update

from pdms.crypto import EpochState, KeyWrapper, RootKey, SuiteName, Unprintable, new_key
from pdms.errors import IntegrityBroken, KeyUnavailable, NotFound
from pdms.keystore.tables import EpochRow

FIRST_EPOCH: Final = 1
_EPOCH: Final = EpochRow.metadata.tables["epoch"]


def all_epochs(engine: Engine) -> list[EpochState]:
    """Return every epoch that ever was, oldest first; empty for a key store not yet initialised."""
    if not inspect(engine).has_table(_EPOCH.name):
        return []
    statement = select(_EPOCH.c.epoch, _EPOCH.c.root_uri, _EPOCH.c.created_at, _EPOCH.c.destroyed_at).order_by(
        _EPOCH.c.epoch
    )
    with engine.execution_options(pdms_begin="DEFERRED").connect() as connection:
        return [EpochState(*row) for row in connection.execute(statement)]


def live_epochs(engine: Engine) -> list[EpochState]:
    """Return the epochs whose keys are not destroyed, oldest first; empty for a key store not yet initialised."""
    return [one for one in all_epochs(engine) if one.destroyed_at is None]


class EpochKeys(Unprintable):
    """The opened wrapping keys of one epoch, one for each kind of key."""

    __slots__ = ("held", "id", "member", "suite", "system")

    def __init__(self, epoch: int, key: bytes, *, suite: SuiteName) -> None:
        self.id = epoch
        self.suite = suite
        self.member = KeyWrapper(key, label="wrap:member", suite=suite)
        self.system = KeyWrapper(key, label="wrap:system", suite=suite)
        self.held = KeyWrapper(key, label="wrap:held", suite=suite)


def begin_epoch(connection: Connection, epoch: int, *, root: RootKey, now: datetime) -> None:
    """Add an epoch with a fresh key wrapped by `root`."""
    wrapped = root.wrap(new_key(), context=_context(epoch))
    connection.execute(insert(_EPOCH).values(epoch=epoch, root_uri=root.uri, wrapped=wrapped, created_at=now))


def open_epoch(
    connection: Connection, epoch: int, *, roots: Sequence[RootKey], suite: SuiteName
) -> tuple[EpochKeys, RootKey]:
    """Open an epoch with whichever of `roots` wrapped it (a moved home changes the URI, not the root).

    :return: its keys, and the root that opened it.
    :raises KeyUnavailable: `EPOCH_DESTROYED`, or `WRONG_ROOT`: none of the roots opens it.
    """
    row = connection.execute(select(_EPOCH.c.wrapped, _EPOCH.c.root_uri).where(_EPOCH.c.epoch == epoch)).one_or_none()
    if row is None or row.wrapped is None:
        raise KeyUnavailable("key epoch: destroyed, or never begun", code="EPOCH_DESTROYED")
    wrapped = row.wrapped
    for root in roots:
        try:
            return EpochKeys(epoch, root.unwrap(wrapped, context=_context(epoch)), suite=suite), root
        except KeyUnavailable as error:
            if error.code != "WRONG_ROOT":
                raise
        except IntegrityBroken:  # to a root of another kind, what this one wrapped is of no known form
            if root.uri == row.root_uri:
                raise
    raise KeyUnavailable("key epoch: the root key that was opened is not the one of this key store", code="WRONG_ROOT")


def rewrap_epoch(connection: Connection, epoch: int, *, root: RootKey) -> None:
    """Wrap an epoch's key anew by its own root, as that wraps now."""
    wrapped = connection.execute(select(_EPOCH.c.wrapped).where(_EPOCH.c.epoch == epoch)).scalar_one()
    if wrapped is not None:
        anew = root.wrap(root.unwrap(wrapped, context=_context(epoch)), context=_context(epoch))
        connection.execute(update(_EPOCH).where(_EPOCH.c.epoch == epoch).values(wrapped=anew))


def begin_end(connection: Connection, epoch: int, *, now: datetime) -> None:
    """Note that the root of an epoch is about to be destroyed; to be committed before it is."""
    connection.execute(update(_EPOCH).where(_EPOCH.c.epoch == epoch).values(ending_at=now))


def ending(connection: Connection, epoch: int) -> bool:
    """Tell whether the destruction of an epoch's root was begun."""
    return connection.execute(select(_EPOCH.c.ending_at).where(_EPOCH.c.epoch == epoch)).scalar_one() is not None


def end_epoch(connection: Connection, epoch: int, *, now: datetime) -> None:
    """Forget an epoch's key: what it wrapped can be opened by nobody, even with its root."""
    connection.execute(update(_EPOCH).where(_EPOCH.c.epoch == epoch).values(wrapped=None, destroyed_at=now))


def share_all(connection: Connection, *, now: datetime) -> None:
    """Note of every living epoch that another home may hang on its root."""
    connection.execute(update(_EPOCH).where(_EPOCH.c.destroyed_at.is_(None)).values(shared_at=now))


def is_shared(connection: Connection, epoch: int) -> bool:
    """Tell whether another home may hang on the root of an epoch."""
    return connection.execute(select(_EPOCH.c.shared_at).where(_EPOCH.c.epoch == epoch)).scalar_one() is not None


def root_uri_of(connection: Connection, epoch: int) -> str:
    """Return where the root of an epoch lies. :raises NotFound: no such epoch."""
    uri = connection.execute(select(_EPOCH.c.root_uri).where(_EPOCH.c.epoch == epoch)).scalar_one_or_none()
    if uri is None:
        raise NotFound("key epoch: none of that number")
    return str(uri)


def _context(epoch: int) -> bytes:
    return b"epoch" + epoch.to_bytes(4, "big")
