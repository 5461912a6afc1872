"""The house holds: floors, the boundary, and who may import what; checked by import-linter and by two other ways."""

import ast
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "pdms"
ANONYMISED = ("marketing", "segments", "views", "anonymize")
IDENTIFIED = ("vault", "consent", "facts", "gate", "ingest", "features", "keystore", "rights", "publish", "dispatch")
PURE = (
    "pdms.policy",
    "pdms.anonymize",
    "pdms.crypto",
    "pdms.discovery",
    "pdms.segments.rules",
    "pdms.segments.compiled",
    "pdms.segments.counts",
    "pdms.consent.state",
    "pdms.vault.age",
    "pdms.vault.masks",
    "pdms.rights.clocks",
    "pdms.rights.machine",
    "pdms.audit.merkle",
    "pdms.audit.events",
    "pdms.audit.verifier",
)
DATABASES = ("sqlalchemy", "sqlmodel", "sqlite3", "pdms.db")


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def graph() -> dict[str, frozenset[str]]:
    """Module → everything it names in an import, wherever in the file, lazily or for types only."""
    known = modules()
    return {name: frozenset(_imports(name, path, known)) for name, path in known.items()}


def _imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        targets: list[str] = []
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([base] if base else [])])
            targets = [base, *(full for alias in node.names if (full := f"{base}.{alias.name}") in known)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in known:
            targets = [node.value]  # named as text: importlib, an entry point, a server's factory string
        for target in targets:
            yield target
            if target in known:  # importing a module runs the packages above it
                pieces = target.split(".")
                yield from (".".join(pieces[:n]) for n in range(1, len(pieces)))


def reached(start: str) -> set[str]:
    """Everything of pdms that importing `start` may load, directly or not."""
    seen: set[str] = set()
    todo = [name for name in graph() if name == start or name.startswith(f"{start}.")]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo.extend(target for target in graph().get(name, ()) if target in graph())
    return seen


def within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([str(program), "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)


def test_contracts_are_kept():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


def contracts() -> dict[str, dict]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    return {contract["name"]: contract for contract in settings["contracts"]}


def test_every_package_has_its_floor():
    (house,) = [contract for contract in contracts().values() if contract["type"] == "layers"]
    assert house["exhaustive"] is True
    assert set(house["exhaustive_ignores"]) <= {"__main__"}
    assert "ignore_imports" not in house
    named = {name.strip(" ()") for floor in house["layers"] for name in floor.split("|")}
    present = {name.split(".")[1] for name in modules() if "." in name} - {"__main__"}
    assert present <= named
    assert named - present <= {"web", "backup"}


def test_the_boundary_contract_names_both_sides_whole():
    (boundary,) = [contract for name, contract in contracts().items() if "anonymised side" in name]
    assert set(boundary["source_modules"]) >= {f"pdms.{name}" for name in ANONYMISED}
    assert set(boundary["forbidden_modules"]) >= {
        f"pdms.{name}" for name in ("vault", "consent", "facts", "gate", "ingest", "features", "keystore")
    }
    assert not {"ignore_imports", "allow_indirect_imports"} & set(boundary)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("marketing/service.py", "import pdms.vault.service"),
        ("views/store.py", "def later():\n    from pdms.facts import service"),
        ("policy/decide.py", "from pdms.keystore import KeyStore"),  # two floors down from marketing: indirect
        ("audit/merkle.py", "import pdms.rights"),
        ("consent/state.py", "import pdms.vault.age"),
        ("vault/service.py", "import cryptography"),
        ("rights/service.py", "import fastapi"),
        ("novelty/__init__.py", ""),
    ],
)
def test_the_linter_would_find(tmp_path, file, line):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(PACKAGE, tmp_path / "pdms", ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "pdms" / file
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as out:
        out.write(f"\n{line}\n")
    assert lint(tmp_path).returncode != 0


@pytest.mark.parametrize("name", ANONYMISED)
def test_the_anonymised_side_reaches_no_identified_module(name):
    found = {module for module in reached(f"pdms.{name}") if within(module, tuple(f"pdms.{i}" for i in IDENTIFIED))}
    assert found == set()


def test_the_reading_above_would_see_a_chain():
    assert "pdms.vault.service" in reached("pdms.dispatch")
    assert "pdms.db.engine" in reached("pdms.marketing")


def test_the_anonymised_side_loads_no_identified_module_when_run():
    names = sorted(name for name in modules() if within(name, tuple(f"pdms.{a}" for a in ANONYMISED)))
    program = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program, *names], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert set(names) <= set(loaded)
    assert [name for name in loaded if within(name, tuple(f"pdms.{i}" for i in IDENTIFIED))] == []


def test_no_cycles():
    # A package's own __init__ is loaded before its modules; that edge is Python's, not the author's.
    edges = {
        name: {t for t in targets if t in graph() and not name.startswith(f"{t}.") and t != name}
        for name, targets in graph().items()
    }
    done: set[str] = set()
    open_ones: list[str] = []

    def visit(name: str) -> None:
        assert name not in open_ones, " → ".join([*open_ones[open_ones.index(name) :], name])
        if name in done:
            return
        open_ones.append(name)
        for target in sorted(edges[name]):
            visit(target)
        done.add(open_ones.pop())

    for name in sorted(edges):
        visit(name)


@pytest.mark.parametrize(
    ("library", "owners"),
    [
        ("cryptography", ("pdms.crypto", "pdms.audit.verifier")),
        ("argon2", ("pdms.crypto",)),
        ("hmac", ("pdms.crypto",)),
        ("fastapi", ("pdms.api",)),
        ("starlette", ("pdms.api",)),
        ("uvicorn", ("pdms.api",)),
        ("typer", ("pdms.cli",)),
        ("rich", ("pdms.cli",)),
        ("duckdb", ("pdms.facts", "pdms.features", "pdms.publish")),
        ("ibis", ("pdms.facts", "pdms.features", "pdms.publish")),
        ("presidio_analyzer", ("pdms.discovery",)),
        ("numba", ("pdms.anonymize",)),
        ("smtplib", ("pdms.dispatch",)),
        ("pickle", ("pdms.crypto.conformance",)),
        ("random", ()),
        ("requests", ()),
        ("urllib.request", ("pdms.access.jwks",)),
        ("joserfc", ("pdms.access",)),
        ("logging", ("pdms.api",)),
    ],
)
def test_a_library_is_imported_only_by_its_owner(library, owners):
    users = {name for name, targets in graph().items() if any(within(target, (library,)) for target in targets)}
    assert {name for name in users if not within(name, owners)} == set()


def test_a_permit_is_visible_only_to_the_gate_and_to_what_it_guards():
    users = {name for name, targets in graph().items() if "pdms.policy.permit" in targets}
    allowed = ("pdms.gate", "pdms.vault", "pdms.publish", "pdms.dispatch", "pdms.rights")
    assert users
    assert {name for name in users if not within(name, allowed)} == set()


def test_tables_belong_to_their_package():
    strangers = {
        f"{name} uses {target}"
        for name, targets in graph().items()
        for target in targets
        if target.endswith(".tables") and not within(name, (target.rpartition(".")[0], "pdms.all_tables"))
    }
    assert strangers == set()


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_import_no_database(name):
    owned = [module for module in graph() if within(module, (name,))]
    assert owned, "the module moved: name it anew"
    for module in owned:
        for target in graph()[module]:
            assert not within(target, DATABASES), f"{module} imports {target}"


def test_the_verifier_of_exports_stands_alone():
    program = "import sys\nimport pdms.audit.verifier\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert [name for name in loaded if within(name, ("pdms",))] == ["pdms", "pdms.audit", "pdms.audit.verifier"]
    foreign = {name.partition(".")[0] for name in loaded} - {"pdms"} - set(sys.stdlib_module_names)
    assert {name for name in foreign if not name.startswith("_")} <= {"cryptography", "cffi"}
