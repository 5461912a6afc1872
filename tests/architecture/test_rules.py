"""Rules of the house that no linter knows, read off the syntax tree; each is shown to find what it forbids."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from pdms.policy.reasons import REASONS

ROOT = Path(__file__).resolve().parents[2]
FACES = ("pdms/api", "pdms/cli", "pdms/web")
ERRORS = {
    "InvalidInput", "Unauthenticated", "Denied", "NotFound", "Conflict", "IntegrityBroken", "KeyUnavailable",
    "PolicyInvalid", "PdmsError", "Reason", "ValueError", "RuntimeError", "TypeError",
}  # fmt: skip
TELLING = {
    "value", "values", "cell", "cells", "content", "body", "secret", "token", "passphrase", "password", "presented",
    "plain", "plaintext", "said", "external_id", "email", "phone", "address", "number_text", "digest", "pseudonym",
    "member", "member_id", "record", "line_text", "raw", "repr", "answer", "typed",
}  # fmt: skip
"""Words for what may hold a member's data; nothing called so is formatted into an error."""
NOT_VALUES = {("pdms/rights/intake.py", "number")}
"""The running number of a request, R-2026-000123."""


@cache
def sources() -> dict[str, ast.Module]:
    return {
        str(path.relative_to(ROOT)): ast.parse(path.read_text("utf-8"))
        for path in sorted((ROOT / "pdms").rglob("*.py"))
    }


def below_faces() -> dict[str, ast.Module]:
    return {path: tree for path, tree in sources().items() if not path.startswith(FACES)}


def called(node: ast.AST) -> str:
    """Dotted name of what a call calls, as written."""
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def text_in(node: ast.AST) -> str:
    """A literal's text; empty for every other node."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


Rule = Callable[[str, ast.Module], Iterator[str]]


def permits_made(path: str, tree: ast.Module) -> Iterator[str]:
    if path.startswith("pdms/gate/"):
        return
    for node in ast.walk(tree):
        altered = called(node) in ("dataclasses.replace", "replace") and "permit" in ast.unparse(node)
        if called(node).rpartition(".")[2] == "Permit" or altered:
            yield f"{path}:{node.lineno} makes or alters a Permit"


def approvals_made(path: str, tree: ast.Module) -> Iterator[str]:
    if path == "pdms/access/approvals.py":
        return
    for node in ast.walk(tree):
        altered = called(node) in ("dataclasses.replace", "replace") and "approved" in ast.unparse(node)
        if called(node).rpartition(".")[2] == "Approved" or altered:
            yield f"{path}:{node.lineno} makes or alters the proof of an approval"


def commits(path: str, tree: ast.Module) -> Iterator[str]:
    if path == "pdms/unit_of_work/unit.py" or path.startswith(("pdms/keystore/", "pdms/db/")):
        return
    for node in ast.walk(tree):
        if called(node).endswith((".commit", ".begin_nested", ".rollback")):
            yield f"{path}:{node.lineno} ends a transaction"
        if re.match(r"\s*(BEGIN|COMMIT|ROLLBACK|SAVEPOINT)\b", text_in(node)):
            yield f"{path}:{node.lineno} ends a transaction in SQL"


def clocks(path: str, tree: ast.Module) -> Iterator[str]:
    if path == "pdms/clock.py" or path.startswith(FACES):
        return
    for node in ast.walk(tree):
        name = called(node)
        if name.endswith((".utcnow", ".today")) or re.search(r"\b(datetime|date)\.now$", name):
            yield f"{path}:{node.lineno} reads the clock"
        if name in ("time.time", "time.time_ns", "time.gmtime", "time.localtime", "time", "Timestamp.now"):
            yield f"{path}:{node.lineno} reads the clock"
        if re.search(r"CURRENT_(TIMESTAMP|DATE|TIME)|datetime\('now'|date\('now'|\bnow\(\)", text_in(node)):
            yield f"{path}:{node.lineno} lets the database read the clock"


ALONE = ("pdms/audit/verifier.py", "pdms/crypto/verify_receipt.py")
"""Programs of their own."""


def prints(path: str, tree: ast.Module) -> Iterator[str]:
    if path.startswith("pdms/cli/") or path in ALONE:
        return
    for node in ast.walk(tree):
        if called(node) in ("print", "pprint", "breakpoint", "sys.stdout.write", "sys.stderr.write", "warnings.warn"):
            yield f"{path}:{node.lineno} prints"


def tables(path: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            is_table = any(k.arg == "table" for k in node.keywords)
            if is_table and not path.endswith("/tables.py"):
                yield f"{path}:{node.lineno} declares a table"
            if any(ast.unparse(base).endswith("SQLModel") for base in node.bases) and path != "pdms/db/bases.py":
                yield f"{path}:{node.lineno} derives from SQLModel, not from the base of one database"


def told_values(path: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if called(node).rpartition(".")[2] not in ERRORS:
            continue
        for argument in [*node.args, *(k.value for k in node.keywords)]:
            for part in ast.walk(argument):
                if isinstance(part, ast.FormattedValue) or (
                    isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mod)
                ):
                    inner = part.value if isinstance(part, ast.FormattedValue) else part.right
                    names = {n.id for n in ast.walk(inner) if isinstance(n, ast.Name)}
                    names |= {n.attr for n in ast.walk(inner) if isinstance(n, ast.Attribute)}
                    bad = {name for name in names & TELLING if (path, name) not in NOT_VALUES}
                    if bad:
                        yield f"{path}:{node.lineno} formats {', '.join(sorted(bad))} into an error"
                    if isinstance(part, ast.FormattedValue) and part.conversion == ord("r"):
                        yield f"{path}:{node.lineno} formats a repr into an error"


def foreign_errors(path: str, tree: ast.Module) -> Iterator[str]:
    """`str(error)` of a library's exception often repeats its input."""
    if path in ALONE:  # they read what holds no member data
        return
    for handler in (n for n in ast.walk(tree) if isinstance(n, ast.ExceptHandler) and n.name):
        kinds = {ast.unparse(k).rpartition(".")[2] for k in _kinds(handler)}
        ours = kinds <= ERRORS - {"ValueError", "RuntimeError", "TypeError"}
        for node in ast.walk(handler):
            whole = isinstance(node, ast.FormattedValue) and isinstance(node.value, ast.Name)
            text = called(node) in ("str", "repr") and len(node.args) == 1 and isinstance(node.args[0], ast.Name)
            name = node.value.id if whole else node.args[0].id if text else None
            if name == handler.name and not ours:
                yield f"{path}:{node.lineno} repeats the text of {', '.join(sorted(kinds))}"


def _kinds(handler: ast.ExceptHandler) -> list[ast.expr]:
    if handler.type is None:
        return [ast.Name("anything")]
    return list(handler.type.elts) if isinstance(handler.type, ast.Tuple) else [handler.type]


def environment(path: str, tree: ast.Module) -> Iterator[str]:
    roots = ("pdms/crypto/roots.py", "pdms/crypto/token_root.py")
    if path in ("pdms/settings.py", "pdms/audit/verifier.py", *roots) or path.startswith(FACES):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.getenv", "sys.argv"):
            yield f"{path}:{node.lineno} reads the environment"


def temporary_files(path: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        if "tempfile" in names:
            yield f"{path}:{node.lineno} uses temporary files"


def weak_hashes(path: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if called(node) in ("hashlib.md5", "hashlib.sha1", "hash", "zlib.crc32"):
            yield f"{path}:{node.lineno} uses {called(node)}"


def unregistered(path: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and called(node).rpartition(".")[2] in ("reason", "Reason") and node.args:
            code = text_in(node.args[0])
            if code and code not in REASONS:
                yield f"{path}:{node.lineno} refuses for the unregistered reason {code}"


def swallowed(path: str, tree: ast.Module) -> Iterator[str]:
    if path == "pdms/cli/entry.py" or path.startswith("pdms/api/"):
        return
    for handler in (n for n in ast.walk(tree) if isinstance(n, ast.ExceptHandler)):
        broad = any(ast.unparse(k) in ("anything", "Exception", "BaseException") for k in _kinds(handler))
        raises = any(isinstance(n, ast.Raise) for n in ast.walk(handler))
        if broad and not raises:
            yield f"{path}:{handler.lineno} swallows every error"


CASES: list[tuple[Rule, str]] = [
    (permits_made, "def f():\n    return permit.Permit(id='x')"),
    (permits_made, "def f(permit):\n    return dataclasses.replace(permit, fields=())"),
    (approvals_made, "def f():\n    return approvals.Approved('x', act, {}, actor, now)"),
    (approvals_made, "def f(approved):\n    return replace(approved, parameters={})"),
    (commits, "def f(s):\n    s.commit()"),
    (commits, "def f(c):\n    c.exec_driver_sql('COMMIT')"),
    (clocks, "def f():\n    return datetime.now(UTC)"),
    (clocks, "def f():\n    return date.today()"),
    (clocks, "def f():\n    return time.time()"),
    (clocks, "SQL = 'UPDATE t SET at = CURRENT_TIMESTAMP'"),
    (prints, "print('x')"),
    (tables, "class A(MainTable, table=True):\n    pass"),
    (tables, "class A(SQLModel):\n    pass"),
    (told_values, "def f(value):\n    raise InvalidInput(f'phone: {value} is wrong')"),
    (told_values, "def f(row):\n    raise Conflict(f'{row.member_id.hex()}')"),
    (told_values, "def f(x):\n    raise InvalidInput(f'field: {x!r}')"),
    (told_values, "def f(email):\n    raise InvalidInput('wrong: %s' % email)"),
    (foreign_errors, "try:\n    g()\nexcept ValueError as error:\n    raise InvalidInput(f'bad: {error}') from None"),
    (foreign_errors, "try:\n    g()\nexcept OSError as e:\n    raise InvalidInput(str(e)) from None"),
    (environment, "X = os.environ['HOME']"),
    (temporary_files, "import tempfile"),
    (weak_hashes, "hashlib.sha1(x)"),
    (unregistered, "raise Denied('no', reasons=(reason('NOT_A_CODE'),))"),
    (swallowed, "try:\n    g()\nexcept Exception:\n    pass"),
]
RULES = list(dict.fromkeys(rule for rule, _ in CASES))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_holds(rule):
    assert [finding for path, tree in sources().items() for finding in rule(path, tree)] == []


@pytest.mark.parametrize(("rule", "code"), CASES, ids=lambda case: getattr(case, "__name__", ""))
def test_rule_finds(rule, code):
    assert list(rule("pdms/marketing/planted.py", ast.parse(code)))


def test_each_reason_is_registered_once():
    (register,) = [
        node.value
        for node in sources()["pdms/policy/reasons.py"].body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_ALL"
    ]
    assert isinstance(register, ast.Tuple)
    codes = [text_in(row.elts[0]) for row in register.elts if isinstance(row, ast.Tuple)]
    assert len(codes) == len(set(codes)) == len(REASONS)


# --- every operation that a face calls asks who acts, before it touches any store ---------------------------------

OPEN_DOORS = {
    "pdms.access.service.authenticate": "finds out who asks",
    "pdms.access.service.recognise": "finds out who asks",
    "pdms.access.idempotency.claim": "the guard calls it for the caller it has just recognised; keyed by that caller",
    "pdms.access.idempotency.release": "as claim",
    "pdms.access.idempotency.settle": "as claim",
    "pdms.rights.withdraw.opt_out": "the opaque link is the right; the answer is always the same",
    "pdms.rights.packages.open_package": "the one-time secret is the right",
    "pdms.consent.notices.versions": "published texts, no member data",
    "pdms.consent.notices.notice_text": "published texts, no member data",
    "pdms.consent.notices.notice_content": "published texts, no member data",
    "pdms.consent.notices.notice_diff": "published texts, no member data",
    "pdms.consent.service.receipt_keys": "public keys",
}
CHECKS = {"require", "only_self", "own_or_staff", "guard_member"}
"""Functions that refuse by actor. `only_self` and `own_or_staff` are read below: they are checks of this kind."""
STORES = {"session", "held", "anon", "keys", "home"}


@dataclass
class Function:
    module: str
    node: ast.FunctionDef
    names: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.module}.{self.node.name}"


def module_file(module: str) -> str | None:
    path = module.replace(".", "/")
    return next((p for p in (f"{path}.py", f"{path}/__init__.py") if p in sources()), None)


def imported(nodes: list[ast.stmt] | list[ast.AST]) -> dict[str, str]:
    found = {}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pdms"):
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {(a.asname or a.name): a.name for a in node.names if a.name.startswith("pdms")}
    return found


@cache
def function(full: str) -> Function | None:
    """The function of a dotted name, followed through re-exports."""
    module, _, name = full.rpartition(".")
    path = module_file(module)
    if path is None:
        return None
    body = sources()[path].body
    for node in body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return Function(module, node)
    target = imported(body).get(name)
    return function(target) if target and target != full else None


def names_in(owner: Function) -> dict[str, str]:
    path = module_file(owner.module)
    assert path is not None
    local = {n.name: f"{owner.module}.{n.name}" for n in sources()[path].body if isinstance(n, ast.FunctionDef)}
    return local | imported(sources()[path].body) | imported(list(ast.walk(owner.node)))


def resolved(call: ast.expr, names: dict[str, str]) -> str:
    text = ast.unparse(call)
    head, dot, rest = text.partition(".")
    return names.get(head, head) + dot + rest


def guarded(owner: Function, *, above: tuple[str, ...] = ()) -> bool | None:
    """Whether the first thing a function does with its unit is to check the actor; None where it has no unit."""
    arguments = [a.arg for a in (*owner.node.args.args, *owner.node.args.kwonlyargs)]
    handles = {"uow", "units"} & set(arguments)
    if not handles:
        return None
    if owner.name in above:
        return True
    names = names_in(owner)
    for node in in_order(owner.node):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "uow" and node.attr in STORES:
            return False
        if not isinstance(node, ast.Call):
            continue
        name = called(node)
        if name == "uow.require" or name.rpartition(".")[2] in CHECKS:
            return True
        passes = any(isinstance(a, ast.Name) and a.id in ("uow", "units") for a in node.args)
        if passes and name != "units":
            target = function(resolved(node.func, names))
            if target is None:
                continue
            inner = guarded(target, above=(*above, owner.name))
            if inner is not None:
                return inner
    return True  # it hands its unit to nobody and opens no store


def in_order(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes in the order of the source, calls after what they are made of."""
    found = [n for n in ast.walk(node) if isinstance(n, (ast.Call, ast.Attribute))]
    found.sort(key=lambda n: (n.lineno, n.col_offset, isinstance(n, ast.Call)))
    return iter(found)


def operations() -> dict[str, set[str]]:
    """Operations that a face hands a unit to, with the faces' files; what these call inside is read with them."""
    found: dict[str, set[str]] = {}
    for path, tree in sources().items():
        if not path.startswith(FACES):
            continue
        module = path.removesuffix(".py").replace("/", ".")
        own = {n.name: f"{module}.{n.name}" for n in tree.body if isinstance(n, ast.FunctionDef)}
        top = own | imported(tree.body)
        for scope in [tree, *(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef))]:
            names = top | (imported(list(ast.walk(scope))) if isinstance(scope, ast.FunctionDef) else {})
            inside = {
                id(node.func)
                for node in ast.walk(scope)
                if isinstance(node, ast.Call) and node.args and ast.unparse(node.args[0]) == "uow"
            }
            for node in ast.walk(scope):
                if isinstance(node, (ast.Attribute, ast.Name)) and id(node) not in inside:
                    full = resolved(node, names)
                    target = function(full) if full.startswith("pdms.") else None
                    if target is not None and not target.module.startswith("pdms.bootstrap"):
                        found.setdefault(target.name, set()).add(path)
    return found


def test_faces_call_operations_of_every_noun():
    assert len(operations()) > 50


def test_every_operation_asks_who_acts_first():
    unguarded = []
    for name, faces in sorted(operations().items()):
        target = function(name)
        assert target is not None
        if name not in OPEN_DOORS and guarded(target) is False:
            unguarded.append(f"{name} (called by {', '.join(sorted(faces))})")
    assert unguarded == []


def test_open_doors_are_all_needed():
    gone = [n for n in OPEN_DOORS if (found := function(n)) is None or guarded(found) is not False]
    assert [n for n in gone if n != "pdms.access.service.authenticate"] == []


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def f(uow):\n    uow.require(Scope.ADMIN)\n    uow.session.get(1)", True),
        ("def f(uow):\n    uow.session.get(1)\n    uow.require(Scope.ADMIN)", False),
        ("def f(units):\n    with units() as uow:\n        uow.require(Scope.ADMIN)", True),
        ("def f(units):\n    with units() as uow:\n        uow.session.get(1)", False),
        ("def f(value):\n    return value", None),
    ],
)
def test_reading_of_guards(code, expected):
    tree = ast.parse(code).body[0]
    assert isinstance(tree, ast.FunctionDef)
    assert guarded(Function("pdms.errors", tree)) is expected
