"""The table of requirements and the tests that bear their ids: docs/requirements.md, from docs/requirements.yaml.

A test names a requirement by its id in its own name, or in the name of its case, `-`, `(` and `.` written as `_`:
`test_PIPL_14_2_…`; a case of policies/tests/ names it among its articles. Nothing is run here; whether the tests pass
is for the test run to say.
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
NEEDED = frozenset({"consent", "policy", "audit", "reports", "console"})
"""Modules of which every row has a test, or a line that says what is lacking."""
HEAD = """\
<!-- Written by scripts/reference.py from docs/requirements.yaml and the names of the tests; do not edit. -->

# Requirements and the tests that show them

Each row is a rule of law (or, with T, of a recommended standard) in our short words, with the tests that bear its id in
their names. *shown*: by these tests. *partly*: by these tests, but for what the row says is lacking. *not yet*: none,
and the row says why. *open*: no test bears the id; whether the rule is kept is not said here. A test shows that the
system behaves so, not that whoever runs it obeys the law: this is not legal advice.
"""
KEYS = {"id", "module", "title"}
CASE = re.compile(r"(?=.*[0-9])[A-Z][A-Z0-9]*_[A-Za-z0-9_]+")
"""First word of a case of a parametrised test: it becomes part of the test's name."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One row: its ids as the law writes them, and what of it is not there."""

    ids: tuple[str, ...]
    module: str
    title: str
    lacks: str


@dataclass(frozen=True, slots=True)
class Pitfall:
    """One mistake, and the names of the tests that fail where it is made."""

    mistake: str
    tests: tuple[str, ...]
    lacks: str


@dataclass(frozen=True, slots=True, order=True)
class Test:
    """One test function, or one named case."""

    path: str
    name: str


def requirements() -> tuple[Requirement, ...]:
    """Return every row of docs/requirements.yaml. :raises ValueError: a row has another form."""
    rows = yaml.safe_load((ROOT / "docs" / "requirements.yaml").read_text("utf-8"))["requirements"]
    for row in rows:
        if not KEYS <= set(row) <= KEYS | {"lacks"} or not all(isinstance(value, str) for value in row.values()):
            raise ValueError(f"docs/requirements.yaml: {row.get('id')}: a row has id, module, title and, maybe, lacks")
    return tuple(Requirement(tuple(r["id"].split(", ")), r["module"], r["title"], r.get("lacks", "")) for r in rows)


def pitfalls() -> tuple[Pitfall, ...]:
    """Return every mistake of docs/requirements.yaml."""
    rows = yaml.safe_load((ROOT / "docs" / "requirements.yaml").read_text("utf-8"))["pitfalls"]
    return tuple(Pitfall(row["mistake"], tuple(row["tests"]), row.get("lacks", "")) for row in rows)


def tests() -> tuple[Test, ...]:
    """Return every test function below tests/, every named case of one, and every case of policies/tests/."""
    found = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        place = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                found.append(Test(place, node.name))
            elif isinstance(node, ast.Tuple) and node.elts and isinstance(node.elts[0], ast.Constant):
                word = node.elts[0].value
                if isinstance(word, str) and CASE.fullmatch(word):
                    found.append(Test(place, word))
    for path in sorted((ROOT / "policies" / "tests").glob("*.yaml")):
        place = path.relative_to(ROOT).as_posix()
        cases = yaml.safe_load(path.read_text("utf-8"))["cases"]
        found += [Test(place, f"{case['name']} [{', '.join(case['articles'])}]") for case in cases]
    return tuple(sorted(found))


def named(identifier: str, name: str) -> bool:
    """Return whether a test's name bears the id, and not merely a longer one that begins alike."""
    parts = re.findall("[A-Za-z0-9]+", identifier)
    small = re.IGNORECASE if any(part.isdigit() for part in parts) else 0  # `sms` alone is a word like any other
    pattern = "[-_(.]+".join(map(re.escape, parts))
    return re.search(rf"(?<![A-Za-z0-9]){pattern}(?![-_(.]*[0-9])(?![A-Za-z])", name, small) is not None


def shown(all_tests: tuple[Test, ...] | None = None) -> dict[Requirement, tuple[Test, ...]]:
    """Return each requirement with the tests that bear one of its ids."""
    known = tests() if all_tests is None else all_tests
    return {row: tuple(t for t in known if any(named(one, t.name) for one in row.ids)) for row in requirements()}


def state(row: Requirement, its: tuple[Test, ...]) -> str:
    """Return the word for a row: shown, partly, not yet, or open where nobody has said anything."""
    if its:
        return "partly" if row.lacks else "shown"
    return "not yet" if row.lacks else "open"


def unaccounted() -> list[str]:
    """Return the rows of the needed modules that have neither a test nor a word on what is lacking."""
    return [", ".join(row.ids) for row, its in shown().items() if row.module in NEEDED and state(row, its) == "open"]


def absent() -> list[str]:
    """Return the tests that a mistake names and nobody wrote."""
    known = {test.name for test in tests()}
    return [name for row in pitfalls() for name in row.tests if name not in known]


def document() -> str:
    """Return docs/requirements.md."""
    found = shown()
    words = [state(row, its) for row, its in found.items()]
    lines = [
        HEAD,
        f"{len(words)} rows: "
        + ", ".join(f"{words.count(word)} {word}" for word in ("shown", "partly", "not yet", "open"))
        + ".\n",
    ]
    for module in dict.fromkeys(row.module for row in found):
        lines += [f"\n## {module}\n", "| id | requirement | state | tests |", "|---|---|---|---|"]
        for row, its in found.items():
            if row.module == module:
                title = f"{row.title}; *lacking: {row.lacks}*" if row.lacks else row.title
                lines.append(f"| {', '.join(row.ids)} | {title} | {state(row, its)} | {_cell(its)} |")
    known = {test.name: test for test in tests()}
    lines += ["\n## Mistakes that others make\n", "| mistake | tests that fail where it is made |", "|---|---|"]
    for pitfall in pitfalls():
        title = f"{pitfall.mistake}; *lacking: {pitfall.lacks}*" if pitfall.lacks else pitfall.mistake
        lines.append(f"| {title} | {_cell(tuple(known[name] for name in pitfall.tests if name in known))} |")
    return "\n".join(lines) + "\n"


def _cell(its: tuple[Test, ...]) -> str:
    return "<br>".join(f"`{test.name}` {test.path.removeprefix('tests/')}" for test in its) or "–"
