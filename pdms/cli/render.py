"""Results as tables for people and as JSON for programs. One rule for all: bytes are hex, instants ISO 8601."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pdms.bootstrap.plain import plain
from pdms.clock import SHANGHAI


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
    console = Console()
    if isinstance(value, Mapping) or (dataclasses.is_dataclass(value) and not isinstance(value, type)):
        console.print(_fields(plain(value), title=title))
    elif isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        console.print(_rows([plain(item) for item in value], title=title, columns=columns))
    else:
        console.print(Text(cell(plain(value))))


def _fields(value: Mapping[str, Any], *, title: str) -> Table:
    table = Table(title=title or None, show_header=False, title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, content in value.items():
        if content is None:  # JSON says so; a person need not read it
            continue
        table.add_row(Text(name.replace("_", " ")), Text(cell(content)))
    return table


def _rows(rows: Sequence[Any], *, title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title or None, title_justify="left")
    if not rows:
        table.add_column("nothing here")
        return table
    if not isinstance(rows[0], Mapping):
        table.add_column(title or "value")
        for row in rows:
            table.add_row(Text(cell(row)))
        return table
    names = list(columns) or list(rows[0])
    for name in names:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell(row.get(name))) for name in names))
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
        return f"{value:,.4g}"
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
