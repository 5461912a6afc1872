"""From the columns of a file to the targets of a source definition.

Guarantees: a column that the source does not classify refuses the whole file, and so does a missing column that the
kind cannot do without; what a cell says is cleaned by the target's own rule; a row is rejected for its first broken
rule. Names of unknown columns are shown only where the header looks like a header, since a file without one would
show a person's data there.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from pdms.clock import SHANGHAI
from pdms.errors import InvalidInput
from pdms.ingest import values
from pdms.ingest.normalise import Broken, clean, field_normaliser, translated
from pdms.ingest.readers import RawBatch, Rejected, pick
from pdms.policy.definitions import Policy, Source, SourceColumn
from pdms.policy.lint import TARGETS
from pdms.taxonomy import Language

KEY_MEMBER: Final = "key.member"
FIELD: Final = "field."
IGNORE: Final = "ignore"
_ISO_FORMS: Final = frozenset({"%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"})
TELLING: Final = re.compile(r"\d{5}|@")
"""What no column is called, but a member's value may hold: such a "name" is not repeated."""
_INSTANTS: Final = frozenset({"registered_at", "placed_at", "completed_at", "at"})
_LONG_TEXT: Final = 1 << 20
_SAMPLE: Final = 1000


@dataclass(frozen=True, slots=True)
class Bound:
    """One target, the column that says it ("" for a constant), and how its cells are read."""

    target: str
    column: str
    read: Callable[[str], Any]
    default: Any = None
    required: bool = False
    longest: int | None = None
    """Greatest length of a text, where the policy sets one."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Cleaned records by target; None or "" is empty. `numbers` are their rows in the file."""

    number: int
    numbers: Sequence[int]
    values: Mapping[str, Sequence[Any]] = field(repr=False)
    rejected: Sequence[Rejected]
    read: int

    def __len__(self) -> int:
        return len(self.numbers)

    def without(self, wrong: Mapping[int, tuple[str, str]]) -> "Batch":
        """Return the batch less some of its records. :param wrong: place → (field, rule)."""
        if not wrong:
            return self
        keep = [at for at in range(len(self)) if at not in wrong]
        more = [Rejected(self.numbers[at], field, rule) for at, (field, rule) in sorted(wrong.items())]
        return Batch(
            self.number,
            pick(self.numbers, keep),
            {target: pick(column, keep) for target, column in self.values.items()},
            [*self.rejected, *more],
            self.read,
        )


@dataclass(frozen=True, slots=True)
class Binding:
    """A source bound to the columns of one file."""

    source: Source
    bound: Sequence[Bound]

    @property
    def targets(self) -> frozenset[str]:
        """Targets that the file or a constant speaks of."""
        return frozenset(one.target for one in self.bound)

    def column_of(self, target: str) -> str:
        """Return the file's name of a target, for reports."""
        return next((one.column or target for one in self.bound if one.target == target), target)

    def apply(self, raw: RawBatch) -> Batch:
        """Clean a batch."""
        size = len(raw.numbers)
        wrong: dict[int, tuple[str, str]] = {}
        found: dict[str, Sequence[Any]] = {}
        for one in self.bound:
            if not one.column:
                found[one.target] = [one.default] * size
                continue
            column = _read(raw.columns.get(one.column) or [""] * size, one, wrong)
            if one.longest is not None and max(map(len, column), default=0) > one.longest:
                for at, value in enumerate(column):
                    if len(value) > one.longest:
                        wrong.setdefault(at, (one.column, "TOO_LONG"))
            if one.default is not None:
                column = [one.default if value is None or value == "" else value for value in column]
            if one.required and not all(value is not None and value != "" for value in column):
                for at, value in enumerate(column):
                    if value is None or value == "":
                        wrong.setdefault(at, (one.column, _missing(self.source.kind, one.target)))
            found[one.target] = column
        return Batch(raw.number, raw.numbers, found, raw.rejected, raw.read).without(wrong)


def _read(column: Sequence[str], one: Bound, wrong: dict[int, tuple[str, str]]) -> list[Any]:
    read = one.read
    try:
        if _repeats(column):
            known = {value: read(value) for value in set(column)}
            return [known[value] for value in column]
        return [read(value) for value in column]
    except Broken:
        found: list[Any] = []
        for at, value in enumerate(column):
            try:
                found.append(read(value))
            except Broken as broken:
                wrong.setdefault(at, (one.column, broken.rule))
                found.append("" if one.target.startswith(FIELD) else None)
        return found


def _repeats(column: Sequence[str]) -> bool:
    """Tell whether reading each distinct value once is worth its dictionary, by how often the first thousand repeat.

    As of birthdays: a few days that come twice among a thousand rows say that most come again among forty thousand.
    """
    first = column[:_SAMPLE]
    return (len(first) - len(set(first))) * len(column) * 2 > len(first) ** 2


def _missing(kind: str, target: str) -> str:
    if target == KEY_MEMBER and kind != "members":
        return "MISSING_MEMBER"
    return "MISSING_KEY" if target.startswith("key.") else "MISSING_VALUE"


def bind(policy: Policy, source: Source, columns: Sequence[str], *, now: datetime, what: str = "file") -> Binding:
    """Bind a source to the columns of a file or table.

    :param what: how messages name it.
    :raises InvalidInput: UNKNOWN_COLUMN, MISSING_COLUMN (the column is named) or WRONG_SOURCE (no column is known).
    """
    known = {column.column: column for column in source.columns}
    unknown = [(position, name) for position, name in enumerate(columns, 1) if name not in known]
    if len(unknown) == len(columns):
        raise InvalidInput(
            f"{what}: none of its columns is one of source {source.name}; another source, or no header",
            code="WRONG_SOURCE",
        )
    if unknown:
        names = ", ".join(f"column {at}" if TELLING.search(name) else name for at, name in unknown)
        raise InvalidInput(
            f"{what}: source {source.name} does not classify {names}; the {what} is refused whole",
            code="UNKNOWN_COLUMN",
        )
    required = TARGETS[source.kind][0]
    present = set(columns)
    bound: list[Bound] = []
    for column in source.columns:
        if column.target == IGNORE:
            continue
        must = column.target in required
        if column.column not in present:
            if must and column.target not in source.defaults:
                raise InvalidInput(
                    f"{what}: the column {column.column} of source {source.name} is missing", code="MISSING_COLUMN"
                )
            continue
        read = _reader(policy, source, column, now=now)
        default = read(source.defaults[column.target]) if column.target in source.defaults else None
        longest = (
            policy.fields[column.target.removeprefix(FIELD)].max_length if column.target.startswith(FIELD) else None
        )
        bound.append(Bound(column.target, column.column, read, default, must, longest))
    said = {one.target for one in bound}
    for target, constant in source.defaults.items():
        if target not in said:
            read = _reader(policy, source, SourceColumn(target, target), now=now)
            bound.append(Bound(target, "", read, read(constant), target in required))
    return Binding(source, tuple(bound))


def _reader(policy: Policy, source: Source, column: SourceColumn, *, now: datetime) -> Callable[[str], Any]:
    target = column.target
    form = None if column.format in _ISO_FORMS else column.format
    if target.startswith(FIELD):
        return field_normaliser(
            policy,
            target.removeprefix(FIELD),
            today=now.astimezone(SHANGHAI).date(),
            form=form,
            values=column.values,
        )
    read = _typed(policy, source, target, form, now=now)
    return read if column.values is None else translated(read, column.values)


def _typed(policy: Policy, source: Source, target: str, form: str | None, *, now: datetime) -> Callable[[str], Any]:
    if target == "at" and source.kind == "consents":  # a day alone counts to its end where it says no
        return values.moment_reader(zone=source.timezone, now=now, form=form)
    if target in _INSTANTS:
        return values.instant_reader(zone=source.timezone, now=now, form=form)
    if target == "amount":
        return values.money_reader(form=form)
    if target == "unit_price":
        return values.price_reader(form=form)
    if target == "quantity":
        return values.quantity
    if target == "key.line":
        return values.line_number
    if target == "invoiced":
        return values.truth
    if target == "category":
        return _category(policy)
    if target == "text":
        return _free_text
    if target == "language":
        return _language
    return values.code_reader()


def _category(policy: Policy) -> Callable[[str], Any]:
    """Goods outside the policy's category tree are `other`, so that a category stays coarse."""
    read = values.code_reader()
    table = policy.hierarchies.get("category")
    leaves = {row[0] for row in table.rows} if table else set()
    if "other" not in leaves:
        return read

    def coarse(value: str) -> object:
        found = read(value)
        return found if found is None or found in leaves else "other"

    return coarse


def _free_text(value: str) -> str | None:
    """Free text keeps its lines; it is redacted before it is stored."""
    if len(value) > _LONG_TEXT:
        raise Broken("TOO_LONG")
    return "\n".join(clean(line) for line in value.replace("\t", " ").splitlines()).strip() or None


def _language(value: str) -> Language | None:
    try:
        return Language(clean(value)) if value else None
    except ValueError:
        raise Broken("VALUE_UNKNOWN") from None
