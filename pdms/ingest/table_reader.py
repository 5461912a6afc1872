"""An existing table as a source: read page by page in the order of its key, at bounded memory, changing nothing.

Guarantees: each page begins after the last key of the one before (never an OFFSET), so that rows written meanwhile are
neither skipped nor read twice, and a killed run goes on from its last stored page; each page is a short read-only
transaction of its own, so that an old shop's database holds no snapshot for hours; only mapped columns are read; a
value that is too long stays in the database, one that is not text is rejected by row and rule.
What changed behind the reader after it passed is found by the next run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import (
    ColumnElement,
    Executable,
    LargeBinary,
    Select,
    String,
    Text,
    case,
    cast,
    column,
    false,
    func,
    inspect,
    literal,
    or_,
    select,
    table,
    text,
    tuple_,
)
from sqlalchemy import types as sqltypes
from sqlalchemy.engine import Inspector

from pdms.db.outside import Outside, asked
from pdms.errors import InvalidInput, NotFound
from pdms.ingest.inspect import MAX_COLUMNS
from pdms.ingest.readers import MAX_FIELD, RawBatch, Rejected

PAGE_CHARACTERS: Final = 32 << 20
"""A page ends early once its values are this long together."""
_FETCH: Final = 256
"""Rows fetched at once."""
_TEXTS: Final = (str, bytes)
_NESTED: Final = (sqltypes.ARRAY, sqltypes.JSON)

Key = tuple[Any, ...]
"""A row's key as the database gives it; SQLite's texts as `_SqliteText`."""


@dataclass(frozen=True, slots=True)
class _SqliteText:
    """The bytes of a text: SQLite compares a text with no blob, and its bytes need not be UTF-8."""

    raw: bytes = field(repr=False)


_KEY_FORMS: Final[Mapping[type, tuple[str, Callable[[Any], object]]]] = {
    int: ("i", int),
    float: ("f", float),
    str: ("s", str),
    bytes: ("b", bytes),
    _SqliteText: ("t", lambda one: one.raw),
    Decimal: ("d", str),
    UUID: ("u", str),
    datetime: ("m", datetime.isoformat),
    date: ("a", date.isoformat),
}
_KEY_READS: Final[Mapping[str, Callable[[Any], object]]] = {
    "i": int, "f": float, "s": str, "b": bytes, "t": _SqliteText, "d": Decimal, "u": UUID,
    "m": datetime.fromisoformat, "a": date.fromisoformat,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A table of an outside database, as its catalogue describes it."""

    database: Outside
    schema: str | None
    name: str
    columns: tuple[str, ...]
    types: Mapping[str, Any]
    key: tuple[str, ...]
    unchecked: bool = False
    """The server takes any bytes for text (PostgreSQL's SQL_ASCII)."""

    @property
    def content(self) -> bytes:
        """What tells this table from another."""
        return msgspec.msgpack.encode(["table", self.database.name, self.schema, self.name, self.key])


def describe(database: Outside, name: str) -> SourceTable:
    """Look a table up, `NAME` or `SCHEMA.NAME`.

    :raises NotFound: TABLE_MISSING. :raises InvalidInput: NO_KEY: rows cannot be told apart; TOO_MANY_COLUMNS; the
        database cannot be read.
    """
    return asked(lambda: _describe(database, name))


def _describe(database: Outside, name: str) -> SourceTable:
    inspector = inspect(database.engine)
    schema, found = None, name
    if not inspector.has_table(name) and "." in name:
        schema, _, found = name.partition(".")
    if not inspector.has_table(found, schema=schema):
        raise NotFound("table: the source database has none of that name", code="TABLE_MISSING")
    columns = {one["name"]: one for one in inspector.get_columns(found, schema=schema)}
    if len(columns) > MAX_COLUMNS:
        raise InvalidInput(f"table: more than {MAX_COLUMNS} columns", code="TOO_MANY_COLUMNS")
    key = _key(inspector, found, schema, columns)
    types = {one: columns[one]["type"] for one in columns}
    unchecked = not database.is_sqlite and _ask(database, text("SHOW server_encoding")) == "SQL_ASCII"
    described = SourceTable(database, schema, found, tuple(columns), types, key, unchecked)
    _refuse_empty_keys(described)
    return described


def _key(inspector: Inspector, name: str, schema: str | None, columns: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the primary key, or else the shortest unique one whose columns are never empty."""
    primary = inspector.get_pk_constraint(name, schema=schema)["constrained_columns"]
    if primary:
        return tuple(primary)
    # What SQLite makes for a UNIQUE of a column; the constraint itself SQLAlchemy reads for ASCII names only.
    more = {"include_auto_indexes": True} if inspector.dialect.name == "sqlite" else {}
    unique: list[Sequence[str | None]] = [
        one["column_names"] for one in inspector.get_unique_constraints(name, schema=schema)
    ]
    unique += [
        one["column_names"]
        for one in inspector.get_indexes(name, schema=schema, **more)
        if one["unique"] and not one.get("dialect_options", {}).keys() & {"postgresql_where", "sqlite_where"}
    ]
    named = [tuple(str(part) for part in names) for names in unique if names and None not in names]
    whole = [names for names in named if all(one in columns and not columns[one]["nullable"] for one in names)]
    if not whole:
        raise InvalidInput(
            "table: it has neither a primary key nor a unique column that is never empty, so that its rows cannot be"
            " told apart; give it one",
            code="NO_KEY",
        )
    return min(whole, key=lambda names: (len(names), names))


def _refuse_empty_keys(described: SourceTable) -> None:
    """SQLite lets a primary key be NULL (sqlite.org/quirks.html); such a row would never be read."""
    if not described.database.is_sqlite:
        return
    source = _source(described)
    query = select(literal(1)).select_from(source).where(or_(false(), *(source.c[k].is_(None) for k in described.key)))
    with described.database.engine.connect() as connection:
        if connection.execute(query.limit(1)).first() is not None:
            raise InvalidInput("table: its key is empty in some row, which could never be read", code="EMPTY_KEY")


def _source(described: SourceTable) -> Any:
    return table(described.name, *(column(one) for one in described.columns), schema=described.schema)


@dataclass(frozen=True, slots=True)
class _Page:
    """Rows as they came: for each the number of its first too long value (0: none), then its values."""

    rows: list[tuple[Any, ...]] = field(repr=False)
    last: Key = field(repr=False)


class TableReader:
    """Reads the mapped columns of one table."""

    def __init__(self, described: SourceTable, wanted: Sequence[str]) -> None:
        """:raises InvalidInput: NESTED_VALUE: a mapped column holds lists or documents."""
        for name in wanted:
            if isinstance(described.types[name], _NESTED):
                raise InvalidInput(f"table: the column {name} holds lists or records", code="NESTED_VALUE")
        self._table, self._wanted = described, tuple(wanted)
        self._source = _source(described)
        self._select = self._query()

    def count(self) -> int:
        """Return how many rows the table has at this moment."""
        query = select(func.count()).select_from(self._source)
        return int(asked(lambda: _ask(self._table.database, query)))

    def batches(self, *, size: int, first: int = 0, read: int = 0, stored: bytes | None = None) -> Iterator[RawBatch]:
        """Read on from a position; what lies before comes first, as batches numbered −1, to be passed over.

        :param first: number of the first batch after `stored`. :param read: rows read up to there.
        :param stored: `RawBatch.position` of the last batch that was stored.
        """
        after: Key | None = None
        if stored is not None:
            until = read_position(stored)
            while page := self._page(after, size, until=until):
                yield self._batch(-1, 0, page)
                after = page.last
            after = until
        while page := self._page(after, size):
            yield self._batch(first, read, page)
            first, read, after = first + 1, read + len(page.rows), page.last

    def _query(self) -> Select[Any]:
        keys = [self._source.c[name] for name in self._table.key]
        kinds = [func.typeof(one) for one in keys] if self._table.database.is_sqlite else []
        values, lengths = [], []
        for name in self._wanted:
            value, length = self._value(name)
            values.append(value if length is None else case((length > MAX_FIELD, None), else_=value))
            lengths.append(length)
        long = [(length > MAX_FIELD, at) for at, length in enumerate(lengths, 1) if length is not None]
        flag: ColumnElement[Any] = case(*long, else_=0) if long else literal(0)
        named = [one.label(f"c{at}") for at, one in enumerate([*keys, *kinds, flag, *values])]
        return select(*named).select_from(self._source).order_by(*keys)

    def _value(self, name: str) -> tuple[ColumnElement[Any], ColumnElement[Any] | None]:
        """Return what is selected of a column, and its length where it may be long."""
        one, kind = self._source.c[name], self._table.types[name]
        if self._table.unchecked and isinstance(kind, String):
            return func.convert_to(one, "SQL_ASCII"), func.octet_length(one)
        if self._table.database.is_sqlite or isinstance(kind, (String, LargeBinary)):
            return one, func.length(one)
        # The server writes dates, numbers and the like: the driver refuses some that a database may hold (infinity).
        written = cast(one, Text)
        return written, func.length(written) if isinstance(kind, sqltypes.NullType) else None

    def _bound(self, key: Key) -> list[ColumnElement[Any]]:
        return [
            cast(literal(one.raw, sqltypes.NullType()), Text)
            if isinstance(one, _SqliteText)
            else literal(one, sqltypes.NullType())
            for one in key
        ]

    def _page(self, after: Key | None, size: int, *, until: Key | None = None) -> _Page | None:
        query = self._select.limit(size)
        keys = [self._source.c[name] for name in self._table.key]
        if len(keys) == 1:
            query = query if after is None else query.where(keys[0] > self._bound(after)[0])
            query = query if until is None else query.where(keys[0] <= self._bound(until)[0])
        else:
            query = query if after is None else query.where(tuple_(*keys) > tuple_(*self._bound(after)))
            query = query if until is None else query.where(tuple_(*keys) <= tuple_(*self._bound(until)))
        return asked(lambda: self._fetch(query))

    def _fetch(self, query: Select[Any]) -> _Page | None:
        width, lite = len(self._table.key), self._table.database.is_sqlite
        rows: list[tuple[Any, ...]] = []
        last: tuple[Any, ...] = ()
        characters = 0
        with self._table.database.engine.connect() as connection:
            if lite:
                connection.connection.driver_connection.text_factory = bytes  # type: ignore[union-attr]  # it is open here
            with connection.execution_options(stream_results=True, max_row_buffer=_FETCH).execute(query) as found:
                for part in found.partitions(_FETCH):
                    last = tuple(part[-1])
                    taken = [row[width * 2 if lite else width :] for row in part]
                    rows += taken
                    characters += sum(len(v) for row in taken for v in row if v.__class__ in _TEXTS)
                    if characters > PAGE_CHARACTERS:
                        break
        if not rows:
            return None
        if lite:
            kinds = last[width : width * 2]
            return _Page(
                rows,
                tuple(
                    _SqliteText(one) if kind == b"text" else one for one, kind in zip(last[:width], kinds, strict=True)
                ),
            )
        return _Page(rows, last[:width])

    def _batch(self, number: int, before: int, page: _Page) -> RawBatch:
        flags, *columns = zip(*page.rows, strict=True)
        wrong: dict[int, tuple[str, str]] = {}
        for at, flag in enumerate(flags):
            if flag:
                wrong[at] = (self._wanted[flag - 1], "FIELD_TOO_LONG")
        texts = {name: _texts(values, name, wrong) for name, values in zip(self._wanted, columns, strict=True)}
        numbers: Sequence[int] = range(before + 1, before + 1 + len(page.rows))
        rejected: list[Rejected] = []
        if wrong:
            rejected = [Rejected(numbers[at], name, rule) for at, (name, rule) in sorted(wrong.items())]
            keep = [at for at in range(len(numbers)) if at not in wrong]
            numbers = [numbers[at] for at in keep]
            texts = {name: [values[at] for at in keep] for name, values in texts.items()}
        return RawBatch(number, numbers, texts, rejected, len(page.rows), position_of(page.last))


def _ask(database: Outside, query: Executable) -> Any:
    with database.engine.connect() as connection:
        return connection.execute(query).scalar_one()


def _texts(values: Sequence[Any], name: str, wrong: dict[int, tuple[str, str]]) -> list[str]:
    found = []
    for at, value in enumerate(values):
        one = value if value.__class__ is str else _text(value)
        if one is None:
            wrong.setdefault(at, (name, "ENCODING"))
            one = ""
        found.append(one)
    return found


def _text(value: Any) -> str | None:
    """Return a value as text; None where its bytes are not UTF-8."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))  # ids that a spreadsheet made into doubles
    return str(value)


def position_of(key: Key) -> bytes:
    """Return a key as bytes. It may be a person's own number: seal it before it is stored.

    :raises InvalidInput: KEY_TYPE: values of that kind are not ordered by pdms.
    """
    parts = []
    for one in key:
        form = _KEY_FORMS.get(type(one))
        if form is None:
            raise InvalidInput("table: its key has a type that is not supported", code="KEY_TYPE")
        parts.append((form[0], form[1](one)))
    return msgspec.msgpack.encode(parts)


def read_position(position: bytes) -> Key:
    """Return the key of `position_of`."""
    return tuple(_KEY_READS[form](value) for form, value in msgspec.msgpack.decode(position))
