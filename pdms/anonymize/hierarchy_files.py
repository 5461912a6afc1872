"""Hierarchy files in ARX's CSV form, examined line by line before anything is built from them.

Guarantees: every finding names a rule and a line, never a cell: a file that somebody drew from members' data would
otherwise be told to a terminal or a log. What passes without an error builds a `Hierarchy`, in which nothing is a
formula to a spreadsheet, and that reads back as the same tree from `text_of`. Size, lines, depth and cells are bounded
before they are parsed; time grows with the cells. Pure.
"""

import csv
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Literal

from pdms.anonymize.hierarchies import MAX_LEAVES, ROOT, Hierarchy, from_rows
from pdms.errors import InvalidInput

LARGEST = 32 << 20
"""Bytes of a file."""
DEEPEST = 16
LONGEST = 200
"""Characters of a cell."""
_ENDS = frozenset({"Cc", "Zl", "Zp"})
"""Categories of characters that control a terminal, or that some reader takes for the end of a line."""
MOST_TOLD = 50
"""Findings of one rule that are told one by one; the rest are counted in the last."""
FORMULA = re.compile(r"^(?:[=＝@＠+＋－|%\t\r\n]|-(?![0-9.][^=+@|!(]*$))")
"""What a spreadsheet may run as a formula (OWASP, CSV injection); a negative number, or a range from one, is none."""
DAY = re.compile(r"^(?:19|20)\d{2}[-/.]?(?:0[1-9]|1[0-2])[-/.]?(?:0[1-9]|[12]\d|3[01])$")


class Rule(StrEnum):
    """What a file may break."""

    TOO_LARGE = "TOO_LARGE"
    NOT_UTF8 = "NOT_UTF8"
    BOM = "BOM"
    NOT_CSV = "NOT_CSV"
    NO_LEAVES = "NO_LEAVES"
    DEPTH = "DEPTH"
    EMPTY_CELL = "EMPTY_CELL"
    LONG_CELL = "LONG_CELL"
    CONTROL = "CONTROL"
    COMMENT = "COMMENT"
    FORMULA = "FORMULA"
    DUPLICATE_LEAF = "DUPLICATE_LEAF"
    TWO_PARENTS = "TWO_PARENTS"
    CYCLE = "CYCLE"
    AMBIGUOUS = "AMBIGUOUS"
    NO_ROOT = "NO_ROOT"
    EXACT_DATE = "EXACT_DATE"
    NOT_COVERED = "NOT_COVERED"


WORDS: dict[Rule, tuple[str, str]] = {
    Rule.TOO_LARGE: (
        f"the file is larger than {LARGEST >> 20} MiB, or has more than {MAX_LEAVES} lines; bin the values first",
        "文件过大或行数过多，请先分箱",
    ),
    Rule.NOT_UTF8: ("the file is not UTF-8; save it as UTF-8 (not GBK)", "文件不是 UTF-8 编码，请另存为 UTF-8"),
    Rule.BOM: ("a byte order mark heads the file; it was dropped", "文件带有 BOM，已忽略"),
    Rule.NOT_CSV: ("a quote is open at the end of the line, or stands inside a cell", "引号未闭合或位于单元格中间"),
    Rule.NO_LEAVES: ("there is no line with a leaf", "没有任何叶子行"),
    Rule.DEPTH: (f"the line is not as deep as the first, or not 2 to {DEEPEST} cells", "层数与首行不同或超出范围"),
    Rule.EMPTY_CELL: ("a cell is empty, or blank at an end", "有空单元格或首尾空白"),
    Rule.LONG_CELL: (f"a cell is longer than {LONGEST} characters", "单元格过长"),
    Rule.CONTROL: ("a cell holds a control character", "单元格含控制字符"),
    Rule.COMMENT: ("the leaf begins with #, as a comment does", "叶子以 # 开头，会被当作注释"),
    Rule.FORMULA: ("a cell begins as a spreadsheet's formula does", "单元格以公式字符开头"),
    Rule.DUPLICATE_LEAF: ("the leaf is listed on an earlier line already", "叶子在前面已出现"),
    Rule.TWO_PARENTS: ("a node has another parent here than on an earlier line", "节点在此行的上级与前面不同"),
    Rule.CYCLE: ("a node stands above itself", "节点位于自身之上，形成循环"),
    Rule.AMBIGUOUS: ("one label stands for two different groups of leaves", "同一标签代表两组不同的叶子"),
    Rule.NO_ROOT: ("the last cell is not *; a root was added", "末列不是 *，已补根节点"),
    Rule.EXACT_DATE: (
        "leaves are single days; a release holds no exact date, let a view begin a level above",
        "叶子为具体日期；发布的行不得含具体日期，视图应从上一级开始",
    ),
    Rule.NOT_COVERED: ("the value is none of the leaves", "该值不在任何叶子之中"),
}
"""Rule → what it says, in English and Chinese."""
UNREADABLE = frozenset({Rule.TOO_LARGE, Rule.NOT_UTF8, Rule.NOT_CSV, Rule.DEPTH})
"""Rules without which there is no telling how the lines hang together."""
WARNINGS = frozenset({Rule.BOM, Rule.NO_ROOT, Rule.EXACT_DATE})


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach. `line`: 1-based, 0 for the file as a whole; `more`: further lines of this rule that are not told."""

    rule: Rule
    line: int
    severity: Literal["error", "warning"]
    explanation: str
    explanation_zh: str
    more: int = 0


@dataclass(frozen=True, slots=True)
class Examined:
    """A file as read. `source`: its comment lines; `hierarchy` is None where an error stands in its way."""

    name: str
    source: str
    findings: tuple[Finding, ...]
    hierarchy: Hierarchy | None = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether it may be used."""
        return self.hierarchy is not None and not any(one.severity == "error" for one in self.findings)


class _Findings:
    """Gathers findings, so many of each rule."""

    def __init__(self) -> None:
        self.lines: dict[Rule, list[int]] = {}

    def add(self, rule: Rule, line: int = 0) -> None:
        self.lines.setdefault(rule, []).append(line)

    def told(self) -> tuple[Finding, ...]:
        found = []
        for rule, lines in self.lines.items():
            english, chinese = WORDS[rule]
            severity: Literal["error", "warning"] = "warning" if rule in WARNINGS else "error"
            shown = lines[:MOST_TOLD]
            for place, line in enumerate(shown):
                more = len(lines) - len(shown) if place == len(shown) - 1 else 0
                found.append(Finding(rule, line, severity, english, chinese, more))
        return tuple(found)

    @property
    def unreadable(self) -> bool:
        return bool(set(self.lines) & UNREADABLE)

    @property
    def errors(self) -> bool:
        return bool(set(self.lines) - WARNINGS)


def examine(name: str, content: bytes, *, delimiter: str = ";", values: Iterable[str] | None = None) -> Examined:
    """Examine a file in ARX's CSV form: `leaf;…;*`, one leaf a line; lines that begin with # are its source.

    :param values: values that must be leaves, one a line of some other file; those that are none are findings by line.
    """
    found = _Findings()
    text = _decoded(content, found)
    comments: list[str] = []
    rows = _rows(text, delimiter, comments, found) if text is not None else []
    if text is not None and not rows and not found.errors:
        found.add(Rule.NO_LEAVES)
    tree = None
    if rows and not found.unreadable:
        tree = _built(name, rows, found)
    if tree is not None and values is not None:
        leaves = frozenset(tree.leaves)
        for number, value in enumerate(values, 1):
            if value not in leaves:
                found.add(Rule.NOT_COVERED, number)
    return Examined(name, " ".join(comments), found.told(), tree)


def _decoded(content: bytes, found: _Findings) -> str | None:
    if len(content) > LARGEST:
        found.add(Rule.TOO_LARGE)
        return None
    if content.startswith(b"\xef\xbb\xbf"):
        found.add(Rule.BOM, 1)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found.add(Rule.NOT_UTF8, content[: error.start].count(b"\n") + 1)
        return None


def _rows(text: str, delimiter: str, comments: list[str], found: _Findings) -> list[tuple[int, tuple[str, ...]]]:
    """Return (line, cells) of each line with cells; what is wrong with a single line is found here."""
    lines = text.replace("\r\n", "\n").split("\n")
    if len(lines) > MAX_LEAVES + 1000:
        found.add(Rule.TOO_LARGE)
        return []
    rows: list[tuple[int, tuple[str, ...]]] = []
    for number, line in enumerate(lines, 1):
        if line.startswith("#"):
            comments.append(line.lstrip("# ").rstrip())
        elif line.strip():
            try:
                cells = tuple(next(csv.reader([line], delimiter=delimiter, strict=True)))
            except csv.Error:
                found.add(Rule.NOT_CSV, number)
                continue
            depth = len(rows[0][1]) if rows else len(cells)
            if len(cells) != depth or not 2 <= depth <= DEEPEST:
                found.add(Rule.DEPTH, number)
            for rule in sorted({rule for cell in cells for rule in _of_cell(cell)}):
                found.add(rule, number)
            if cells[0].startswith("#"):
                found.add(Rule.COMMENT, number)
            rows.append((number, cells))
    if rootless := next((number for number, cells in rows if cells[-1] != ROOT), 0):
        found.add(Rule.NO_ROOT, rootless)
        if len(rows[0][1]) == DEEPEST:
            found.add(Rule.DEPTH, rootless)  # a root would make it deeper still
    if rows and all(DAY.match(cells[0]) for _, cells in rows[:3]):
        found.add(Rule.EXACT_DATE, rows[0][0])
    return rows


def _of_cell(cell: str) -> Iterable[Rule]:
    if not cell or cell != cell.strip():
        yield Rule.EMPTY_CELL
    if len(cell) > LONGEST:
        yield Rule.LONG_CELL
    if any(unicodedata.category(sign) in _ENDS for sign in cell):
        yield Rule.CONTROL
    if FORMULA.match(cell):
        yield Rule.FORMULA


def _built(name: str, rows: Sequence[tuple[int, tuple[str, ...]]], found: _Findings) -> Hierarchy | None:
    """Return the tree, or None where lines contradict each other."""
    parents: dict[tuple[int, str], str] = {}
    leaves: set[str] = set()
    above: dict[str, dict[str, int]] = {}
    for number, cells in rows:
        if cells[0] in leaves:
            found.add(Rule.DUPLICATE_LEAF, number)
        leaves.add(cells[0])
        wrong = False
        for level, (node, parent) in enumerate(pairwise(cells)):
            wrong |= parents.setdefault((level, node), parent) != parent
            if node != parent:
                above.setdefault(node, {}).setdefault(parent, number)
        if wrong:
            found.add(Rule.TWO_PARENTS, number)
    if closing := _cycle(above):
        found.add(Rule.CYCLE, closing)
    if found.errors:
        return None
    root = (ROOT,) if any(cells[-1] != ROOT for _, cells in rows) else ()
    rows = [(number, cells + root) for number, cells in rows]
    twice = _ambiguous(rows)
    for number in twice:
        found.add(Rule.AMBIGUOUS, number)
    if twice:
        return None
    return from_rows(name, [cells for _, cells in rows])


def _cycle(above: Mapping[str, Mapping[str, int]]) -> int:
    """Return the line that closes some cycle, 0 where there is none. `above`: node → parent → line."""
    try:
        TopologicalSorter(above).prepare()
    except CycleError as error:
        return max(above[node][parent] for parent, node in pairwise(error.args[1]))
    return 0


def _ambiguous(rows: Sequence[tuple[int, tuple[str, ...]]]) -> list[int]:
    """Return the lines of labels that on two levels stand for two different groups of leaves."""
    groups: dict[str, dict[int, list[int]]] = {}
    for number, cells in rows:
        for level, label in enumerate(cells):
            groups.setdefault(label, {}).setdefault(level, []).append(number)
    held = [list(levels.values()) for levels in groups.values()]
    return [max(group[0] for group in one) for one in held if any(group != one[0] for group in one)]


def text_of(hierarchy: Hierarchy, *, source: str) -> str:
    """Return a hierarchy as a file of `policies/hierarchies/`: its source as comment lines, then ARX's form.

    :raises InvalidInput: no source is named.
    """
    lines = [line.strip() for line in source.splitlines() if line.strip()]
    if not lines:
        raise InvalidInput("source: say where the tree comes from")
    return "".join(f"# {line}\n" for line in lines) + hierarchy.to_arx()
