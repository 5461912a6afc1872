"""Loading `policies/`: all of it or nothing.

Guarantees: unknown keys, gaps, loose types, dangling names and rules that the law forbids are errors, all of them named
at once as `file: place: rule`; what comes out is frozen and named by its digest. No value of a document is echoed.
Deliberately not here: activation (the gate records which policy decides) and any database.
"""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pdms.policy import assemble, lint
from pdms.policy import documents as d
from pdms.policy.canonical import digest_of
from pdms.policy.definitions import HierarchyTable, Notice, Policy, Prefecture
from pdms.policy.yaml_reader import PolicyInvalid, problems_of, read_rows, read_yaml
from pdms.taxonomy import Language

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

MOST_KEPT, MOST_BYTES = 4, 16 * 2**20
_loaded: dict[bytes, Policy] = {}
"""Policies by their bytes: a process opens the same one for each home, command and watch."""

FOLDERS = ("calendars", "hierarchies", "lookups", "notices", "segments", "sources", "tests", "views")


class _Collector:
    """Reads documents and gathers every problem before giving up."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problems: list[str] = []

    def name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def tried(self, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except PolicyInvalid as error:
            self.problems.extend(error.problems)
            return None

    def document(self, path: Path, form: type[M]) -> M | None:
        raw = self.tried(lambda: read_yaml(path, root=self.root))
        return None if raw is None else self.parsed(raw, form, file=self.name(path))

    def parsed(self, raw: object, form: type[M], *, file: str, place: str = "") -> M | None:
        try:
            return form.model_validate(raw)
        except ValidationError as error:
            prefix = f"{file}: {place}" if place else file
            self.problems.extend(
                found.replace(f"{file}: ", f"{prefix}.", 1) if place else found
                for found in problems_of(error, file=file, articles=d.ARTICLES)
            )
            return None

    def files(self, folder: str, suffix: str) -> list[Path]:
        base = self.root / folder
        found = sorted(base.glob(f"*{suffix}")) if base.is_dir() else []
        if base.is_dir():
            for stray in sorted(base.iterdir()):
                if stray not in found and not stray.name.startswith("."):
                    self.problems.append(f"{self.name(stray)}: not a {suffix} file; nothing reads it")
        return found


def load(folder: Path) -> Policy:
    """Read, check and freeze the policy in `folder`; the same bytes again give the same policy without another reading.

    :raises PolicyInvalid: something in it is unknown, missing, contradictory or forbidden; `problems` lists all of it.
    """
    before = _bytes_of(folder)
    if before is not None and before in _loaded:
        return _loaded[before]
    policy = _load(folder)
    if before is not None and _bytes_of(folder) == before:  # nobody wrote in it meanwhile
        while len(_loaded) >= MOST_KEPT:
            _loaded.pop(next(iter(_loaded)), None)
        _loaded[before] = policy
    return policy


def _bytes_of(folder: Path) -> bytes | None:
    """Return a digest of every name and byte below `folder`; None: too large to be worth keeping, or not readable."""
    digest, left = sha256(), MOST_BYTES
    try:
        for path in sorted(folder.rglob("*")):
            content = b"" if path.is_dir() else path.read_bytes() if path.stat().st_size <= left else None
            if content is None:
                return None
            left -= len(content)
            said = f"{path.relative_to(folder).as_posix()}\0{path.is_dir()}\0{path.is_file()}\0{len(content)}\0"
            digest.update(said.encode("utf-8", "surrogateescape") + content)
    except OSError:
        return None
    return digest.digest()


def _load(folder: Path) -> Policy:
    if not (folder / "policy.yaml").is_file():
        raise PolicyInvalid(["policy.yaml: missing (is this a policies folder?)"])
    found = _Collector(folder)
    for entry in sorted(folder.iterdir()):
        known = entry.name in FOLDERS if entry.is_dir() else entry.name == "policy.yaml" or entry.suffix == ".md"
        if not known and not entry.name.startswith("."):
            found.problems.append(f"{entry.name}: unknown; nothing reads it")
    main = found.document(folder / "policy.yaml", d.PolicyDocument)
    purposes = {} if main is None else _purposes(main, found)
    parts = {
        "notices": _notices(found),
        "sources": _each(found, "sources", d.SourceDocument, assemble.source),
        "views": _each(found, "views", d.ViewDocument, assemble.view),
        "hierarchies": _hierarchies(found),
        "prefectures": _prefectures(found),
        "calendars": _calendars(found),
        "segments": {
            path.stem: raw
            for path in found.files("segments", ".yaml")
            if (raw := found.tried(lambda path=path: read_yaml(path, root=folder))) is not None  # type: ignore[misc] # mypy infers no lambda with a default
        },
        "tests": tuple(
            assemble.case(case)
            for path in found.files("tests", ".yaml")
            if (doc := found.document(path, d.CasesDocument)) is not None
            for case in doc.cases
        ),
    }
    if main is None or found.problems:
        raise PolicyInvalid(found.problems)
    policy = _freeze(main, purposes, parts)
    problems = lint.problems(policy)
    if problems:
        raise PolicyInvalid(problems)
    return policy


def _freeze(main: d.PolicyDocument, purposes: dict[str, d.PurposeDocument], parts: dict[str, Any]) -> Policy:
    decisive = {
        "strict_separate": main.defaults.strict_separate,
        "controller": assemble.controller(main.controller),
        "fields": assemble.frozen({k: assemble.member_field(k, v) for k, v in main.fields.items()}),
        "categories": assemble.frozen(
            {k: assemble.category(k, v, fields=main.fields) for k, v in main.categories.items()}
        ),
        "purposes": assemble.frozen({k: assemble.purpose(k, v) for k, v in purposes.items()}),
        "recipients": assemble.frozen({k: assemble.recipient(k, v) for k, v in main.recipients.items()}),
        "restricted": tuple(assemble.restricted(line) for line in main.restricted_recipients),
        "roles": assemble.frozen({k: assemble.role(k, v) for k, v in main.roles.items()}),
        "pipias": assemble.frozen({k: assemble.pipia(k, v) for k, v in main.pipias.items()}),
        "notices": assemble.frozen(parts["notices"]),
        "sources": assemble.frozen(parts["sources"]),
        "views": assemble.frozen(parts["views"]),
        "hierarchies": assemble.frozen(parts["hierarchies"]),
        "prefectures": parts["prefectures"],
        "calendars": assemble.frozen(parts["calendars"]),
        "reveal": assemble.reveal(main.reveal),
        "keys": assemble.key_plan(main.keys),
        "denied_tags": tuple(sorted(set(main.tags.deny))) if main.tags else (),
        "budgets": assemble.frozen({k: assemble.budget(k, v) for k, v in main.budgets.items()}),
        "searches": assemble.frozen({k: assemble.search(k, v) for k, v in main.searches.items()}),
    }
    return Policy(
        digest=digest_of(decisive), segments=assemble.frozen(parts["segments"]), tests=parts["tests"], **decisive
    )


def _purposes(main: d.PolicyDocument, found: _Collector) -> dict[str, d.PurposeDocument]:
    made = {}
    for name, raw in main.purposes.items():
        full, place = raw, f"purposes.{name}"
        if "like" in raw:
            model = main.purposes.get(str(raw["like"]))
            if model is None or "like" in model:
                found.problems.append(f"policy.yaml: {place}.like: must name a purpose that is written out")
                continue
            full = {**model, **{key: value for key, value in raw.items() if key != "like"}}
        document = found.parsed(full, d.PurposeDocument, file="policy.yaml", place=place)
        if document is not None:
            made[name] = document
    return made


def _notices(found: _Collector) -> dict[str, Any]:
    made: dict[str, Any] = {}
    base = found.root / "notices"
    for folder in sorted(base.iterdir()) if base.is_dir() else []:
        if not folder.is_dir():
            found.problems.append(f"{found.name(folder)}: a notice is a folder with one file per language")
            continue
        languages: dict[Language, Notice] = {}
        for path in found.files(f"notices/{folder.name}", ".yaml"):
            if path.stem not in set(Language):
                found.problems.append(f"{found.name(path)}: the file name must be a language: {', '.join(Language)}")
                continue
            document = found.document(path, d.NoticeDocument)
            if document is not None:
                language = Language(path.stem)
                languages[language] = assemble.notice(folder.name, language, document)
        made[folder.name] = assemble.frozen(languages)
    return made


def _each(found: _Collector, folder: str, form: type[M], make: Callable[[str, M], T]) -> dict[str, T]:
    made = {}
    for path in found.files(folder, ".yaml"):
        document = found.document(path, form)
        if document is not None:
            made[path.stem] = make(path.stem, document)
    return made


def _hierarchies(found: _Collector) -> dict[str, HierarchyTable]:
    made = {}
    for path in found.files("hierarchies", ".csv"):
        read = found.tried(lambda path=path: read_rows(path, root=found.root))  # type: ignore[misc] # mypy infers no lambda with a default
        if read is not None:
            comments, rows = read
            made[path.stem] = HierarchyTable(
                name=path.stem, rows=tuple(tuple(row) for row in rows), source=" ".join(comments)
            )
    return made


def _prefectures(found: _Collector) -> tuple[Prefecture, ...]:
    made = []
    for path in found.files("lookups", ".csv"):
        if path.stem != "prefecture":
            found.problems.append(f"{found.name(path)}: unknown; nothing reads it")
            continue
        read = found.tried(lambda path=path: read_rows(path, root=found.root))  # type: ignore[misc] # mypy infers no lambda with a default
        for number, row in enumerate(read[1] if read else [], 1):
            if len(row) != 5 or not all(row) or len(row[0]) != 6 or not row[0].isdigit():
                found.problems.append(f"{found.name(path)}: row {number}: code;prefecture;province;region;city_tier")
            else:
                made.append(Prefecture(*row))
    return tuple(made)


def _calendars(found: _Collector) -> dict[int, Any]:
    made: dict[int, Any] = {}
    for path in found.files("calendars", ".yaml"):
        document = found.document(path, d.CalendarDocument)
        if document is None:
            continue
        if path.stem != f"cn-{document.year}":
            found.problems.append(f"{found.name(path)}: the file of year Y is named cn-Y.yaml")
        made[document.year] = assemble.calendar(document)
    return made
