"""Members' keys wrapped under another epoch, many at once.

On SQLite the rows are changed where they lie: the database calls back for each row, so that no row is carried into
Python and none back, which costs twice what wrapping does. A key is in the clear for the moment between two calls of
the cipher, in this process alone, on either database.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import Connection

from pdms.keystore.epochs import EpochKeys
from pdms.keystore.opened import OpenedEpochs
from pdms.keystore.places import PLACE

_NAME: Final = "pdms_rewrap"


class Rewrapping:
    """Wraps members' keys under one epoch, whichever epoch they are under."""

    def __init__(self, store: OpenedEpochs, connection: Connection, epoch: EpochKeys) -> None:
        self._store = store
        self._connection = connection
        self._epoch = epoch
        self._from: dict[tuple[int, int], tuple[Callable[[bytes, bytes, bytes], bytes], bytes, bytes]] = {}

    def one(self, member_id: bytes, version: int, before: int, wrapped: bytes) -> bytes:
        """Return one member's key wrapped anew. :raises IntegrityBroken: it was altered, or moved to another member."""
        known = self._from.get((version, before))
        if known is None:
            known = self._from[version, before] = (
                self._store.epoch(self._connection, before).member.rewrapping(self._epoch.member),
                PLACE.pack(version, before),
                PLACE.pack(version, self._epoch.id),
            )
        rewrap, was, now = known
        return rewrap(wrapped, member_id + was, member_id + now)

    def put(self, connection: Connection, table: str, rows: Sequence[Any]) -> None:
        """Write rows of (member id, version, epoch, wrapped) anew; they are locked."""
        if rows:
            connection.exec_driver_sql(
                f"UPDATE {table} SET epoch = ?, wrapped = ? WHERE member_id = ?",
                [(self._epoch.id, self.one(*row), row[0]) for row in rows],
            )

    def put_in_place(self, connection: Connection, condition: str, bound: tuple[object, ...]) -> None:
        """Write the rows of `member_key` under a condition anew, where they lie (SQLite)."""
        driver: Any = connection.connection.driver_connection
        failed: list[Exception] = []

        def rewrap(member_id: bytes, version: int, before: int, wrapped: bytes) -> bytes:
            try:
                return self.one(member_id, version, before, wrapped)
            except Exception as error:  # whatever it is: the driver would put an error of its own in its place
                failed.append(error)
                raise

        # Opened here: inside the statement, the database could not be asked for another epoch.
        for (before,) in connection.exec_driver_sql(f"SELECT DISTINCT epoch FROM member_key WHERE {condition}", bound):
            self._store.epoch(connection, before)
        driver.create_function(_NAME, 4, rewrap)
        try:
            connection.exec_driver_sql(
                f"UPDATE member_key SET epoch = ?, wrapped = {_NAME}(member_id, key_version, epoch, wrapped)"
                f" WHERE {condition}",
                (self._epoch.id, *bound),
            )
        except Exception:  # the driver's, whose kind depends on its version; raised again, or what caused it
            if failed:  # the driver says no more than that a function of ours failed
                raise failed[0] from None
            raise
        finally:
            driver.create_function(_NAME, 4, None)
