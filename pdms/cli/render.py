"""Results as tables for people and as JSON for programs. One rule for all: bytes are hex, instants ISO 8601."""

import dataclasses
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pdms.bootstrap.plain import plain
from pdms.clock import SHANGHAI

UNBOUNDED: Final = 10_000
"""Columns of what is no terminal."""
ID: Final = re.compile(r"[a-z]{2,5}-[0-9a-f]{12,32}|R-\d{4}-\d+|[0-9a-f]{32}")
"""What people copy from one command into the next; longer digests are compared, not typed."""


def json_line(value: Any) -> str:
    """Return `value` as one line of JSON."""
    return json.dumps(plain(value), ensure_ascii=False, separators=(", ", ": "))


def show(value: Any, *, as_json: bool, title: str = "", columns: Sequence[str] = ()) -> None:
    """Print a result: JSON on one line, or a table (one row an item, or one row a field).

    :param columns: for a sequence of items, which fields to show, in this order; default: all.
    """
    if as_json:
        print(json_line(value))
        return
    console = _console()
    if isinstance(value, Mapping) or (dataclasses.is_dataclass(value) and not isinstance(value, type)):
        table = _fields(plain(value), title=title)
    elif isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        table = _rows([plain(item) for item in value], title=title, columns=columns)
    else:
        console.print(Text(cell(plain(value))))
        return
    console.print(table, crop=False)


def show_once(value: Mapping[str, Any], *, once: str, as_json: bool, title: str = "") -> None:
    """Print a result with a secret that is shown once: for people the secret last, on a line of its own, to be copied.

    :param once: name of the secret in `value`; where it is not there, this is `show`.
    """
    if as_json or once not in value:
        show(value, as_json=as_json, title=title)
        return
    show({name: content for name, content in value.items() if name != once}, as_json=False, title=title)
    print(f"\n{once.replace('_', ' ')}, shown once:\n{value[once]}")


def _console() -> Console:
    """Return where tables go: as wide as the terminal; where there is none, as wide as they are."""
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = UNBOUNDED
    return console


def _unfolded(texts: Iterable[str]) -> int | None:
    """Return how wide a column must be lest an id, which is there to be copied, be folded; None: it holds no id."""
    return max((len(line) for text in texts for line in text.splitlines() if ID.fullmatch(line)), default=None)


def _fields(value: Mapping[str, Any], *, title: str) -> Table:
    table = Table(title=title or None, show_header=False, title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    told = {name: cell(content) for name, content in value.items() if content is not None}  # None: JSON says so
    table.add_column(overflow="fold", min_width=_unfolded(told.values()))
    for name, content in told.items():
        table.add_row(Text(name.replace("_", " ")), Text(content))
    return table


def _rows(rows: Sequence[Any], *, title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title or None, title_justify="left")
    if not rows:
        table.add_column("nothing here")
        return table
    if not isinstance(rows[0], Mapping):
        table.add_column(title or "value", min_width=_unfolded(map(cell, rows)))
        for row in rows:
            table.add_row(Text(cell(row)))
        return table
    names = list(columns) or list(rows[0])
    told = [[cell(row.get(name)) for name in names] for row in rows]
    for name, column in zip(names, zip(*told, strict=True), strict=True):
        table.add_column(name.replace("_", " "), overflow="fold", min_width=_unfolded(column))
    table.show_lines = any("\n" in text for row in told for text in row)  # else nobody sees where a row ends
    for row in told:
        table.add_row(*map(Text, row))
    return table


def cell(value: Any) -> str:
    """One cell's text."""
    if value is None or value == "" or value == [] or value == {}:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"  # people read no exponents
    if isinstance(value, Mapping):
        return "\n".join(f"{k}: {cell(v)}" for k, v in value.items())
    if isinstance(value, list):
        return (
            "\n".join(cell(v) for v in value)
            if any(isinstance(v, Mapping) for v in value)
            else ", ".join(map(cell, value))
        )
    text = str(value)
    if len(text) >= 19 and text[4:5] == "-" and text[10:11] == "T" and text.endswith("+00:00"):
        return datetime.fromisoformat(text).astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
    return text
