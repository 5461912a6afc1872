"""Keys of held records, one for each month in which records expire (design: held records, statutory retention).

Guarantee: the key of a month is made once, whoever asks first; destroyed, it is never made again, and what lay under it
is opened by nobody.
"""

import re
from typing import Final

from sqlalchemy import Connection

from pdms.crypto import DEFAULT_SUITE, KeyBytes, SuitedKey, new_key
from pdms.db import Lock, alone
from pdms.errors import InvalidInput, KeyUnavailable
from pdms.keystore.opened import OpenedEpochs
from pdms.keystore.places import month_context

_MONTH: Final = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])")


class HeldMonths(OpenedEpochs):
    """The part of a key store that keeps the keys of months."""

    __slots__ = ()

    def held_month_key(self, month: str) -> bytes:
        """Return the key of held records that expire in `month` (YYYY-MM), made on first use.

        :raises KeyUnavailable: `HELD_MONTH_DESTROYED`.
        """
        _check_month(month)
        with self.reading.connect() as connection:
            key = self._stored_month_key(connection, month)
        if key is not None:
            return self._sealing(key)
        with self.engine.begin() as connection:
            alone(connection, Lock.INITIALISE)
            key = self._stored_month_key(connection, month)
            if key is None:
                epoch = self.current(connection)
                key = new_key()
                connection.exec_driver_sql(
                    "INSERT INTO held_month_key (month, epoch, wrapped) VALUES (?, ?, ?)",
                    (month, epoch.id, epoch.held.wrap(key, context=month_context(month, epoch.id))),
                )
            return self._sealing(key)

    def _sealing(self, key: bytes) -> SuitedKey:
        return SuitedKey.of(key, suite=DEFAULT_SUITE, sealing=self.suite.name)

    def destroy_held_month(self, month: str) -> None:
        """Destroy the key of a month for good: the records under it can be opened by nobody."""
        _check_month(month)
        with self.engine.begin() as connection:
            alone(connection, Lock.INITIALISE)
            connection.exec_driver_sql(
                "INSERT INTO held_month_key (month, epoch, wrapped) VALUES (?, ?, NULL)"
                " ON CONFLICT (month) DO UPDATE SET wrapped = NULL",
                (month, self.current(connection).id),
            )

    def _stored_month_key(self, connection: Connection, month: str) -> KeyBytes | None:
        row = connection.exec_driver_sql(
            "SELECT epoch, wrapped FROM held_month_key WHERE month = ?", (month,)
        ).one_or_none()
        if row is None:
            return None
        if row.wrapped is None:
            raise KeyUnavailable("held records: the key of this month was destroyed", code="HELD_MONTH_DESTROYED")
        keys = self.epoch(connection, row.epoch).held
        return keys.unwrap(row.wrapped, context=month_context(month, row.epoch))


def _check_month(month: str) -> None:
    if _MONTH.fullmatch(month) is None:
        raise InvalidInput("month: YYYY-MM", code="MONTH_FORM")
