"""The form that every compliance report has, and its three renderings: JSON, CSV and a page.

Guarantees: each row says what it rests on: ids of events that anyone may look up and prove, the policy in force, or an
honest "no evidence"; texts stand in zh-CN and en; no rendering adds or leaves out a row. A cell that a spreadsheet
would run as a formula is written as text. What a report says is its own module's matter.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from pdms.clock import SHANGHAI
from pdms.taxonomy import Language

Both = Mapping[Language, str]
Cell = str | int | date | datetime | Both | None
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class RowState(StrEnum):
    """What a row asks of its reader."""

    NONE = ""
    FINE = "fine"
    FINDING = "finding"
    DUE = "due"
    OVERDUE = "overdue"
    NO_EVIDENCE = "no_evidence"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name in JSON and CSV, and its heading."""

    name: str
    title: Both


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `evidence` holds event ids, `policy:` with the digest of the policy that says so, `notice:` with a
    version, ids of operators and keys, or `section:` where the figure sums up another section."""

    cells: tuple[Cell, ...]
    evidence: tuple[str, ...] = ()
    articles: tuple[str, ...] = ()
    state: RowState = RowState.NONE


@dataclass(frozen=True, slots=True)
class Section:
    """A table of a report. `chart` names a column of labels and one of numbers."""

    name: str
    title: Both
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    chart: tuple[str, str] | None = None
    note: Both | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report."""

    name: str
    title: Both
    about: Both
    controller: Both
    made_at: datetime
    policy: str
    since: datetime | None
    until: datetime | None
    sections: tuple[Section, ...]

    def section(self, name: str) -> Section:
        """Return a section by name. :raises KeyError: there is none."""
        return {section.name: section for section in self.sections}[name]


def both(zh: str, en: str) -> Both:
    """A text in both languages."""
    return {Language.ZH: zh, Language.EN: en}


def columns(**titles: tuple[str, str]) -> tuple[Column, ...]:
    """Columns by name: `purpose=("目的", "purpose")`."""
    return tuple(Column(name, both(*title)) for name, title in titles.items())


def as_json(report: Report) -> dict[str, Any]:
    """Return the report as JSON takes it, texts in both languages."""
    return {
        "report": report.name,
        "title": _plain(report.title),
        "about": _plain(report.about),
        "controller": _plain(report.controller),
        "made_at": _plain(report.made_at),
        "policy": report.policy,
        "since": _plain(report.since),
        "until": _plain(report.until),
        "sections": [
            {
                "section": section.name,
                "title": _plain(section.title),
                "note": _plain(section.note),
                "columns": [{"name": c.name, "title": _plain(c.title)} for c in section.columns],
                "rows": [
                    {
                        "values": {c.name: _plain(cell) for c, cell in zip(section.columns, row.cells, strict=True)},
                        "articles": list(row.articles),
                        "evidence": list(row.evidence),
                        "state": row.state.value,
                    }
                    for row in section.rows
                ],
            }
            for section in report.sections
        ],
    }


def json_bytes(report: Report) -> bytes:
    """Return the report as a JSON file."""
    return json.dumps(as_json(report), ensure_ascii=False, indent=1).encode() + b"\n"


def csv_bytes(report: Report, *, language: Language) -> bytes:
    """Return the report as one CSV file (UTF-8 with a mark, as spreadsheets want it): each section with its heading."""
    out = io.StringIO()
    writer = csv.writer(out)
    for section in report.sections:
        headings = [column.title[language] for column in section.columns]
        writer.writerow(["section", *headings, *(_HEADINGS[language])])
        for row in section.rows:
            cells = [_safe(text_of(cell, language)) for cell in row.cells]
            evidence = " ".join(row.evidence) or NO_EVIDENCE[language]
            writer.writerow([section.name, *cells, row.state.value, " ".join(row.articles), evidence])
        writer.writerow([])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def text_of(cell: Cell, language: Language) -> str:
    """Return a cell as people read it; instants in Asia/Shanghai, as legal days are."""
    if cell is None:
        return "–"
    if isinstance(cell, Mapping):
        return cell[language]
    if isinstance(cell, datetime):
        return cell.astimezone(SHANGHAI).isoformat(sep=" ", timespec="seconds")
    return str(cell)


NO_EVIDENCE = both("无证据", "no evidence")
_HEADINGS = {
    Language.ZH: ("状态", "条款", "证据"),
    Language.EN: ("state", "articles", "evidence"),
}


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _plain(cell: Any) -> Any:
    if isinstance(cell, Mapping):
        return {str(language.value): text for language, text in cell.items()}
    if isinstance(cell, date):  # and instants
        return cell.isoformat()
    return cell


def numbers(section: Section) -> Sequence[tuple[Cell, int]]:
    """Return what a section's chart shows, greatest first; empty where it has none."""
    if section.chart is None:
        return ()
    names = [column.name for column in section.columns]
    label, value = (names.index(name) for name in section.chart)
    found = [(row.cells[label], row.cells[value]) for row in section.rows]
    return sorted(((one, n) for one, n in found if isinstance(n, int) and n > 0), key=lambda pair: -pair[1])
