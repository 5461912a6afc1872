"""Key epochs: which root wraps the keys of which time, and the subkeys of an epoch.

An epoch key is random, wrapped by the epoch's root, and split by HKDF into one wrapping key for each kind of key below
it. Which epochs live can be read without any root: it tells the caller which roots to open.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Engine, insert, inspect, select

from pdms.crypto import KeyWrapper, RootKey, SuiteName, Unprintable, new_key
from pdms.errors import KeyUnavailable
from pdms.keystore.tables import EpochRow

FIRST_EPOCH: Final = 1
_EPOCH: Final = EpochRow.metadata.tables["epoch"]


@dataclass(frozen=True, slots=True)
class EpochInfo:
    """A living epoch, as anyone may know it."""

    id: int
    root_uri: str
    created_at: datetime


def live_epochs(engine: Engine) -> list[EpochInfo]:
    """Return the epochs whose keys are not destroyed, oldest first; empty for a key store not yet initialised."""
    if not inspect(engine).has_table(_EPOCH.name):
        return []
    statement = (
        select(_EPOCH.c.epoch, _EPOCH.c.root_uri, _EPOCH.c.created_at)
        .where(_EPOCH.c.destroyed_at.is_(None))
        .order_by(_EPOCH.c.epoch)
    )
    with engine.execution_options(pdms_begin="DEFERRED").connect() as connection:
        return [EpochInfo(row.epoch, row.root_uri, row.created_at) for row in connection.execute(statement)]


class EpochKeys(Unprintable):
    """The opened wrapping keys of one epoch, one for each kind of key."""

    __slots__ = ("held", "id", "member", "system")

    def __init__(self, epoch: int, key: bytes, *, suite: SuiteName) -> None:
        self.id = epoch
        self.member = KeyWrapper(key, label="wrap:member", suite=suite)
        self.system = KeyWrapper(key, label="wrap:system", suite=suite)
        self.held = KeyWrapper(key, label="wrap:held", suite=suite)


def begin_epoch(connection: Connection, epoch: int, *, root: RootKey, now: datetime) -> None:
    """Add an epoch with a fresh key wrapped by `root`."""
    wrapped = root.wrap(new_key(), context=_context(epoch))
    connection.execute(insert(_EPOCH).values(epoch=epoch, root_uri=root.uri, wrapped=wrapped, created_at=now))


def open_epoch(connection: Connection, epoch: int, *, roots: Sequence[RootKey], suite: SuiteName) -> EpochKeys:
    """Open an epoch with whichever of `roots` wrapped it (a moved home changes the URI, not the root).

    :raises KeyUnavailable: `EPOCH_DESTROYED`, or `WRONG_ROOT`: none of the roots opens it.
    """
    wrapped = connection.execute(select(_EPOCH.c.wrapped).where(_EPOCH.c.epoch == epoch)).scalar_one_or_none()
    if wrapped is None:
        raise KeyUnavailable("key epoch: destroyed, or never begun", code="EPOCH_DESTROYED")
    for root in roots:
        try:
            return EpochKeys(epoch, root.unwrap(wrapped, context=_context(epoch)), suite=suite)
        except KeyUnavailable as error:
            if error.code != "WRONG_ROOT":
                raise
    raise KeyUnavailable("key epoch: the root key that was opened is not the one of this key store", code="WRONG_ROOT")


def _context(epoch: int) -> bytes:
    return b"epoch" + epoch.to_bytes(4, "big")
