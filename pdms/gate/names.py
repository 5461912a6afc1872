"""Numbers for what columns hold: each is given once and never changes its meaning."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection

_ALL = "SELECT number, kind, text FROM set_name"
_PASSING = 1 << 31
"""Numbers above are not stored: they hold for one transaction, beside the stored ones."""


class Names:
    """The numbers of `set_name`, as this transaction sees them."""

    def __init__(self, connection: Connection, *, keep: bool = False) -> None:
        """:param keep: store new numbers, for whoever holds the lock of the pages; else they hold for this object."""
        self._connection, self._keep = connection, keep
        self._numbers: dict[tuple[str, str], int] = {}
        self._meanings: dict[int, tuple[str, str]] = {}
        self.refresh()

    def numbers(self, kind: str, meanings: Iterable[Any]) -> Mapping[Any, int]:
        """Return the number of each meaning (plain and hashable), giving new ones where there is none."""
        texts = {meaning: _text(meaning) for meaning in set(meanings)}
        missing = sorted({text for text in texts.values() if (kind, text) not in self._numbers})
        if missing and self._keep:
            sql = "INSERT INTO set_name (kind, text) VALUES (?, ?) ON CONFLICT (kind, text) DO NOTHING"
            self._connection.exec_driver_sql(sql, [(kind, text) for text in missing])
            self.refresh()
        for text in missing:
            if (kind, text) not in self._numbers:
                self._enter(max((_PASSING, *self._meanings)) + 1, kind, text)
        return {meaning: self._numbers[kind, text] for meaning, text in texts.items()}

    def meanings(self, kind: str) -> Mapping[int, Any]:
        """Return what each number of a kind means, as parsed JSON."""
        return {number: json.loads(text) for number, (one, text) in self._meanings.items() if one == kind}

    def refresh(self) -> None:
        """Read anew: others give numbers too."""
        for number, kind, text in self._connection.exec_driver_sql(_ALL):
            self._enter(number, kind, text)

    def _enter(self, number: int, kind: str, text: str) -> None:
        self._numbers[kind, text] = number
        self._meanings[number] = (kind, text)


def _text(meaning: Any) -> str:
    return json.dumps(meaning, separators=(",", ":"))
