"""Documents say what is: settings, exit codes, floors, commands, links; and the log's catalogue is what is emitted."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from common.commands import commands, group
from pdms.audit.catalogue import CATALOGUE, EventKind
from pdms.errors import EXIT_REJECTED_ROWS, FAMILIES
from pdms.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def table(name: str, first: str) -> dict[str, list[str]]:
    """First cell → other cells, of the table whose head begins with `first`."""
    lines = text(name).splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(f"| {first} |"))
    rows = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows[cells[0]] = cells[1:]
    return rows


def test_settings_are_documented():
    documented = {name.strip("`"): cells for name, cells in table("docs/operations.md", "variable").items()}
    assert set(documented) == {f"PDMS_{name.upper()}" for name in Settings.model_fields}
    for name, setting in Settings.model_fields.items():
        if isinstance(setting.default, (str, Path)):
            assert str(setting.default).removeprefix("./") in documented[f"PDMS_{name.upper()}"][1]


def test_nothing_secret_has_a_default(monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(f"PDMS_{name.upper()}", raising=False)
    settings = Settings()
    assert [settings.token, settings.passphrase, settings.root_key, settings.smtp_url, settings.source_password] == [
        None
    ] * 5


def test_exit_codes_are_documented():
    codes = {str(m.exit_code): family.title for family, m in FAMILIES.items()}
    codes |= {"0": "done", str(EXIT_REJECTED_ROWS): "rows rejected"}
    for name, content in (("operations", text("docs/operations.md")), ("help", group().epilog)):
        said = dict(re.findall(r"(\d) ([a-z ]+)", content.split("Exit codes: ")[1].split(".")[0].replace("\n", " ")))
        assert {code: words.strip() for code, words in said.items()} == codes, name


def test_floors_are_documented():
    settings = tomllib.loads(text("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    (house,) = [c["layers"] for c in settings if c["type"] == "layers"]
    present = {path.parent.name for path in (ROOT / "pdms").glob("*/__init__.py")}
    present |= {path.stem for path in (ROOT / "pdms").glob("*.py")} - {"__init__", "__main__"}
    contract = [{name.strip(" ()") for name in floor.split("|")} & present for floor in house]
    documented = [set(re.findall(r"`(\w+)`", cell)) for cell in table("docs/architecture.md", "floor")]
    assert documented == [floor for floor in contract if floor]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    content = path.read_text("utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", content):
        if not re.match(r"[a-z]+:", target) and not target.startswith("#"):
            assert (path.parent / target.partition("#")[0]).exists(), target


def test_every_command_and_option_explains_itself():
    silent = [name for name, command in commands().items() if not (command.help or "").strip()]
    silent += [
        f"{name} {p.name}"
        for name, command in commands().items()
        for p in command.params
        if not (getattr(p, "help", None) or "").strip()
    ]
    assert silent == []


def test_every_kind_of_event_is_catalogued():
    assert set(CATALOGUE) == set(EventKind)
    assert all(entry.meaning.endswith(".") for entry in CATALOGUE.values())


def emitted() -> set[EventKind]:
    """Kinds that code outside the catalogue names, but for where it only reads the log."""
    found = set()
    for path in (ROOT / "pdms").rglob("*.py"):
        if path.relative_to(ROOT / "pdms").as_posix() in (
            "audit/catalogue.py",
            "audit/reading.py",
            "reports/pack_words.py",
        ):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith("EventKind"):
                found.add(EventKind[node.attr])
    return found


def test_every_kind_of_event_is_emitted_somewhere():
    assert set(EventKind) - emitted() == set()


def test_starter_policies_are_documents_with_comments():
    """Each kind has one complete commented example."""
    policies = ROOT / "policies"
    for kind in ("sources", "views", "segments", "calendars", "tests"):
        files = list((policies / kind).glob("*.yaml"))
        assert any("#" in path.read_text("utf-8") for path in files), kind
    assert text("policies/policy.yaml").count("\n#") + text("policies/policy.yaml").count("  #") > 20
