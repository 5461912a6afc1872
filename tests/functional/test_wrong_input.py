"""Wrong input of every kind, through the command line: a clear answer, a documented exit code, nothing half-written.

No answer repeats a value of what was given: each file below carries the telephone number `TOLD`.
"""

import gzip
import io
import json
import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.shell import Answer, Shell, command_line, program
from common.world import ROOT_VARIABLE, World, consents_of, orders_of, people
from pdms.crypto import new_root_text

TOLD = "13712349876"
NAME = "慕容望舒"
HEADER = "会员编号,姓名,手机号,邮箱,身份证号,出生日期,性别,收货地址,登录名,注册时间"
GOOD = f"G1,{NAME},{TOLD},good@example.com,,1990-01-02,女,浙江省杭州市西湖区一号,good_one,2025-01-01"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    world = World.make(tmp_path_factory.mktemp("wrong"))
    yield Shell(world)
    world.close()


def held(home: Path) -> dict[str, Any]:
    """What a home holds of members and facts; its log and the notes on loads may grow by a refusal."""
    found: dict[str, Any] = {}
    for name, skipped in (("vault", ("audit_", "ingest_", "reveal_")), ("keys", ()), ("held", ()), ("anon", ())):
        with closing(sqlite3.connect(home / f"{name}.db")) as database:
            tables = [r[0] for r in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                if not table.startswith(skipped or ("~",)):
                    found[f"{name}.{table}"] = database.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]
    found["files"] = sorted(
        str(p.relative_to(home))
        for d in ("facts", "releases", "packages", "spill")
        for p in (home / d).rglob("*")
        if p.is_file()
    )
    return found


def refused(answer: Answer, code: int) -> None:
    assert answer.code == code, answer.text
    assert answer.out == ""
    assert answer.err.startswith("pdms: ")
    assert "internal error" not in answer.err
    assert "Traceback" not in answer.err
    for value in (TOLD, NAME, "good@example.com", "good_one"):
        assert value not in answer.text


def text_file(content: str, encoding: str = "utf-8") -> Callable[[Path], object]:
    return raw_file(content.encode(encoding))


def raw_file(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def parquet_bytes() -> bytes:
    names = HEADER.split(",")
    rows = [dict(zip(names, GOOD.split(","), strict=True)) | {"会员编号": f"P{n}"} for n in range(200)]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


def loop(path: Path) -> None:
    path.symlink_to(path)


def to_nowhere(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


BODY = f"{HEADER}\n{GOOD}\n"
GARBAGE = random.Random(3).randbytes(20_000)
JSON_ROW = json.dumps(dict(zip(HEADER.split(","), GOOD.split(","), strict=True)), ensure_ascii=False)
WHOLE_FILES: list[tuple[str, str, Callable[[Path], object]]] = [
    ("missing", "a.csv", lambda _: None),
    ("a folder", "a.csv", lambda path: path.mkdir()),
    ("a pipe", "a.csv", lambda path: os.mkfifo(path)),
    ("a link to itself", "a.csv", loop),
    ("a link to nothing", "a.csv", to_nowhere),
    ("empty", "a.csv", text_file("")),
    ("blank", "a.csv", text_file("\n\n  \n")),
    ("only a mark", "a.csv", raw_file(b"\xef\xbb\xbf")),
    ("no header", "a.csv", text_file(f"{GOOD}\n{GOOD}\n")),
    ("UTF-16", "a.csv", text_file(BODY, "utf-16")),
    ("UTF-32", "a.csv", text_file(BODY, "utf-32")),
    ("broken UTF-8", "a.csv", raw_file(BODY.encode() + "姓名".encode()[:-1] + b"\n" + TOLD.encode())),
    ("Latin-1", "a.csv", raw_file(HEADER.encode() + f"\nG1,Müller {TOLD}\n".encode("latin-1"))),
    ("NUL bytes", "a.csv", raw_file(BODY.encode() + b"\0" * 100 + TOLD.encode())),
    ("garbage", "a.csv", raw_file(GARBAGE + TOLD.encode())),
    ("an image", "a.csv", raw_file(b"\x89PNG\r\n\x1a\n" + GARBAGE)),
    ("a zip", "a.csv", raw_file(b"PK\x03\x04" + GARBAGE)),
    ("unknown column", "a.csv", text_file(f"{HEADER},备用手机\n{GOOD},{TOLD}\n")),
    ("a value as column", "a.csv", text_file(f"{HEADER},{TOLD}\n{GOOD},1\n")),
    ("no key column", "a.csv", text_file(f"姓名,手机号\n{NAME},{TOLD}\n")),
    ("a column twice", "a.csv", text_file(f"会员编号,手机号,手机号\nG1,{TOLD},{TOLD}\n")),
    ("an open quote", "a.csv", text_file(f'{HEADER}\nG1,"{NAME},{TOLD}\n' + f"{GOOD}\n" * 50)),
    ("a line without end", "a.csv", raw_file(HEADER.encode() + b"\n" + b"x" * (70 << 20))),
    ("broken Parquet", "a.parquet", raw_file(parquet_bytes()[: len(parquet_bytes()) // 2])),
    ("Parquet, damaged within", "a.parquet", lambda path: path.write_bytes(damaged(parquet_bytes()))),
    ("Parquet in name only", "a.parquet", text_file(BODY)),
    ("Parquet's marks alone", "a.parquet", raw_file(b"PAR1" + GARBAGE + b"PAR1")),
    ("Parquet with lists", "a.parquet", lambda p: pq.write_table(pa.table({"会员编号": [["G1"], [TOLD]]}), p)),
    ("broken gzip", "a.csv.gz", raw_file(gzip.compress(BODY.encode() * 500)[:-200])),
    ("gzip in name only", "a.csv.gz", text_file(BODY)),
    ("gzip of nothing", "a.csv.gz", raw_file(gzip.compress(b""))),
    ("gzip that swells", "a.csv.gz", raw_file(gzip.compress(b"\0" * (80 << 20), compresslevel=9))),
    ("a truncated JSON line", "a.jsonl", text_file(JSON_ROW + "\n" + JSON_ROW[:-20])),
    ("JSON, one array", "a.jsonl", text_file(f"[{JSON_ROW}]")),
    ("JSON, no object", "a.jsonl", text_file('"13712349876"\n12\n')),
    ("JSON, unknown name", "a.jsonl", text_file(JSON_ROW[:-1] + f', "备用手机": "{TOLD}"}}\n')),
    ("JSON in GB18030", "a.jsonl", text_file(JSON_ROW + "\n", "gb18030")),
]


def damaged(content: bytes) -> bytes:
    """Flip bytes in the pages, not in the footer."""
    changed = bytearray(content)
    for place in range(200, 1200, 7):
        changed[place] ^= 0xFF
    return bytes(changed)


@pytest.mark.parametrize(("name", "make"), [(f, m) for _, f, m in WHOLE_FILES], ids=[n for n, _, _ in WHOLE_FILES])
def test_a_file_that_cannot_be_taken_is_refused_whole(shell, tmp_path, name, make):
    make(tmp_path / name)
    before = held(shell.world.app.home.root)
    answer = shell("ingest", "ingest", "shop-members", str(tmp_path / name), expect=None)
    refused(answer, 2 if (tmp_path / name).exists() else 5)
    scanned = shell("ingest", "scan", str(tmp_path / name), expect=None)
    assert scanned.code in (0, answer.code)
    assert TOLD not in scanned.text
    assert held(shell.world.app.home.root) == before


LONG = "长" * (4 << 20)
ROWS: list[tuple[str, str, str]] = [
    ("the year 20245", f"R1,{NAME},{TOLD},,,20245-01-02,女,,,2025-01-01", "DATE_YEAR"),
    ("the year 20245, registered", f"R1,{NAME},{TOLD},,,1990-01-02,女,,,20245-01-02", "INSTANT_YEAR"),
    ("a day that is none", f"R1,{NAME},{TOLD},,,1990-02-30,女,,,2025-01-01", "DATE_IMPOSSIBLE"),
    ("born tomorrow", f"R1,{NAME},{TOLD},,,2099-02-03,女,,,2025-01-01", "DATE_FUTURE"),
    ("ten megabytes", f"R1,{LONG},{TOLD},,,1990-01-02,女,,,2025-01-01", "FIELD_TOO_LONG"),
    ("too long a name", f"R1,{'长' * 2000},{TOLD},,,1990-01-02,女,,,2025-01-01", "TOO_LONG"),
    ("no number", f",{NAME},{TOLD},,,1990-01-02,女,,,2025-01-01", "MISSING_KEY"),
    ("not a phone", f"R1,{NAME},{TOLD}{TOLD},,,1990-01-02,女,,,2025-01-01", "PHONE_FORM"),
    ("not an address", f"R1,{NAME},,{TOLD}@,,1990-01-02,女,,,2025-01-01", "EMAIL_FORM"),
    ("wrong check digit", f"R1,{NAME},,,330102199001021239,1990-01-02,女,,,2025-01-01", "ID_CHECKSUM"),
    ("too few cells", f"R1,{NAME},{TOLD}", "COLUMN_COUNT"),
    ("too many cells", f"{GOOD},{TOLD}", "COLUMN_COUNT"),
    ("a control character", f"R1,慕\x07容,{TOLD},,,1990-01-02,女,,,2025-01-01", "CONTROL_CHARACTER"),
    ("an unknown code", f"R1,{NAME},{TOLD},,,1990-01-02,{NAME},,,2025-01-01", "VALUE_UNKNOWN"),
    ("the key twice", f"G1,{NAME},{TOLD},,,1990-01-02,女,,,2025-01-01", "DUPLICATE_KEY"),
]


@pytest.mark.parametrize(("row", "rule"), [(r, c) for _, r, c in ROWS], ids=[name for name, _, _ in ROWS])
def test_a_wrong_row_is_rejected_and_the_rest_is_kept(shell, tmp_path, row, rule):
    path = tmp_path / "rows.csv"
    path.write_text(f"{HEADER}\n{GOOD}\n{row}\n{GOOD.replace('G1', 'G2').replace(TOLD, '')}\n", "utf-8")
    answer = shell("ingest", "--json", "ingest", "shop-members", str(path))
    assert answer.json["rejected_by_rule"] == {rule: 1}
    assert (answer.json["read"], answer.json["accepted"]) == (3, 2)
    assert [(r["row"], r["rule"]) for r in answer.json["rejections"]] == [(2, rule)]
    assert TOLD not in answer.text
    assert NAME not in answer.text
    strict = shell("ingest", "ingest", "shop-members", str(path), "--strict", expect=9)
    assert TOLD not in strict.text
    for number in ("G1", "G2"):
        shell("support", "member", "show", f"shop:{number}")
    shell("support", "member", "show", "shop:R1", expect=5)


def test_a_broken_json_line_in_the_middle_is_one_rejected_row(shell, tmp_path):
    path = tmp_path / "rows.jsonl"
    second = JSON_ROW.replace('"G1"', '"G3"')
    path.write_text(f"{JSON_ROW}\n{JSON_ROW[:-30]}\n{second}\n", "utf-8")
    answer = shell("ingest", "--json", "ingest", "shop-members", str(path))
    assert answer.json["rejected_by_rule"] == {"JSON_SYNTAX": 1}
    assert answer.json["accepted"] == 2


@pytest.mark.parametrize(
    ("source", "row", "rule"),
    [
        ("shop-orders", {"订单金额": "NaN"}, "NUMBER_FORM"),
        ("shop-orders", {"订单金额": "9" * 20}, "NUMBER_RANGE"),
        ("shop-orders", {"订单金额": "Infinity"}, "NUMBER_FORM"),
        ("shop-orders", {"下单时间": "20245-01-01 00:00:00"}, "INSTANT_YEAR"),
        ("shop-orders", {"下单时间": "2099-01-01 00:00:00"}, "INSTANT_FUTURE"),
        ("shop-orders", {"会员编号": "NOBODY"}, "UNKNOWN_MEMBER"),
        ("shop-orders", {"是否开票": TOLD}, "VALUE_UNKNOWN"),
        ("shop-orders", {"状态": TOLD}, "VALUE_UNKNOWN"),
        ("shop-consents", {"时间": "2099-01-01 00:00:00"}, None),
        ("shop-consents", {"目的": TOLD}, "VALUE_UNKNOWN"),
        ("shop-consents", {"证据编号": ""}, None),
        ("shop-consents", {"会员编号": ""}, "MISSING_MEMBER"),
    ],
)
def test_wrong_rows_of_orders_and_consents(shell, source, row, rule):
    members = people(2, seed=99)
    for member in members:
        member["会员编号"] = "W" + member["会员编号"]
    shell.world.ingest("shop-members", members)
    rows = orders_of(members)[0] if source == "shop-orders" else consents_of(members)
    wrong = dict(rows[0]) | row
    if source == "shop-orders":
        wrong["订单号"] = "WRONG-1"
    before = held(shell.world.app.home.root)
    answer = shell("ingest", "--json", "ingest", source, str(shell.world.file("one.csv", [wrong])))
    assert answer.json["rejected"] == 1, answer.text
    if rule:
        assert answer.json["rejected_by_rule"] == {rule: 1}
    assert TOLD not in answer.text
    assert held(shell.world.app.home.root) == before


def test_a_pipe_does_not_hold_the_program_up(shell, tmp_path):
    path = tmp_path / "pipe.csv"
    os.mkfifo(path)
    answer = program(shell.world.app.home.root, shell.world.tokens["ingest"], "ingest", "shop-members", str(path))
    refused(answer, 2)


def test_rejected_rows_go_nowhere_near_the_home(shell, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(f"{HEADER}\n{GOOD}\nR1,{NAME},{TOLD}{TOLD},,,,,,,2025-01-01\n", "utf-8")
    home = shell.world.app.home.root
    (tmp_path / "link").symlink_to(home)
    for inside in (
        home / "rows.csv",
        home / "facts" / "rows.csv",
        tmp_path / "link" / "rows.csv",
        home / ".." / home.name / "x",
    ):
        refused(shell("ingest", "ingest", "shop-members", str(path), "--rejected-rows", str(inside), expect=None), 2)
    outside = tmp_path / "rejected.csv"
    shell("ingest", "ingest", "shop-members", str(path), "--rejected-rows", str(outside))
    assert TOLD in outside.read_text("utf-8")
    assert oct(outside.stat().st_mode & 0o777) == "0o600"


DOCUMENTS = {
    "not YAML": "name: [unclosed\n",
    "a list": "- a\n- b\n",
    "an alias": "a: &x {b: 1}\nname: *x\n",
    "an object": "!!python/object/apply:os.system ['true']\n",
    "unknown keys": f"name: fine\nview: member_value\nrule: {{feature: orders, at_least: 2}}\nphone: '{TOLD}'\n",
    "no rule": "name: fine\nview: member_value\n",
    "empty": "",
    "not UTF-8": "\ud800",
    "huge": "a" * (2 << 20),
    "deep": "{a: " * 200 + "1" + "}" * 200,
    "many": "name: fine\nview: member_value\nrule: {all: [" + "{feature: orders, at_least: 2}," * 3000 + "]}\n",
}


@pytest.mark.parametrize("command", ["segment save", "campaign create"])
@pytest.mark.parametrize("content", DOCUMENTS.values(), ids=DOCUMENTS)
def test_wrong_documents_are_refused(shell, tmp_path, command, content):
    path = tmp_path / "document.yaml"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    before = held(shell.world.app.home.root)
    refused(shell("marketing", *command.split(), str(path), expect=None), 2)
    assert held(shell.world.app.home.root) == before


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["member", "show", "nonsense"], 2),
        (["member", "show", "shop:"], 5),
        (["member", "show", "0" * 32], 5),
        (["member", "show", "shop:" + "x" * 100_000], 5),
        (["member", "find", "gender"], 2),
        (["request", "show", "req-nothing"], 5),
        (["request", "show", "'; DROP TABLE member; --"], 5),
        (["request", "submit", "shop:G9", "--type", "everything"], 2),
        (["request", "list", "--limit", "0"], 2),
        (["request", "list", "--limit", "x"], 2),
        (["consent", "history", "shop:G9", "--as-of", "20245-01-01"], 2),
        (["consent", "history", "shop:G9", "--as-of", "2026-02-30"], 2),
        (["nothing"], 2),
        (["member"], 2),
        (["member", "nothing"], 2),
        (["--nothing"], 2),
    ],
)
def test_wrong_words(shell, words, code):
    answer = shell("support", *words, typed=f"{TOLD}\n", expect=None)
    assert answer.code == code, answer.text
    assert "internal error" not in answer.text
    assert TOLD not in answer.text


# --- homes that are not as they were ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A small home with its root in a file, to be copied and spoilt."""
    folder = tmp_path_factory.mktemp("healthy")
    world = World.make(folder, file_root=True)
    members = people(80)
    world.ingest("shop-members", members)
    world.ingest("shop-orders", orders_of(members)[0])
    world.ingest("shop-consents", consents_of(members))
    shell = Shell(world)
    shell("compliance", "view", "build", "member_lifecycle")
    world.close()
    return folder, world.tokens


class Spoilt:
    """A copy of the home, to be spoilt and asked."""

    def __init__(self, folder: Path, tokens: dict[str, str], target: Path) -> None:
        self.home, self.root, self.tokens = target / "home", target / "home.root", tokens
        shutil.copytree(folder / "home", self.home)
        shutil.copytree(folder / "home.root", self.root)
        config = self.home / "home.yaml"
        config.write_text(config.read_text("utf-8").replace(str(folder), str(target)), "utf-8")
        with closing(sqlite3.connect(self.home / "keys.db")) as keys, keys:
            keys.execute("UPDATE epoch SET root_uri = ?", (f"file:{self.root / 'epoch-1.json'}",))

    def ask(self, role: str, *words: str, typed: str = "", **environment: str) -> Answer:
        return command_line(self.home, self.tokens[role], *words, typed=typed, environment=environment)

    def refuses(self, code: int, role: str, *words: str, **environment: str) -> Answer:
        answer = self.ask(role, *words, **environment)
        assert answer.code == code, answer.text
        assert answer.err.startswith("pdms: ")
        assert "internal error" not in answer.err
        assert "Traceback" not in answer.err
        return answer

    def flip(self, path: Path, place: int, mask: int = 0xFF) -> None:
        content = bytearray(path.read_bytes())
        content[place] ^= mask
        path.write_bytes(content)

    def sql(self, name: str, statement: str) -> None:
        with closing(sqlite3.connect(self.home / f"{name}.db")) as database, database:
            database.execute(statement)
        with closing(sqlite3.connect(self.home / f"{name}.db")) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.fixture
def spoilt(healthy, tmp_path) -> Spoilt:
    return Spoilt(*healthy, tmp_path)


LOOK = ("support", "member", "show", "shop:H00001")


def test_the_copy_is_healthy(spoilt):
    assert spoilt.ask(*LOOK).code == 0


def test_no_home(spoilt, tmp_path):
    token = spoilt.tokens["support"]
    assert command_line(tmp_path / "nowhere", token, "member", "list").code == 2
    assert command_line(tmp_path / "nowhere", token, *LOOK[1:]).code == 5
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        answer = command_line(path, token, *LOOK[1:])
        assert answer.code in (2, 5), answer.text
        assert "internal error" not in answer.text
        answer = command_line(path, None, "init")
        assert answer.code == 2, answer.text
        assert "internal error" not in answer.text
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "thesis.doc").write_text("x")
    assert command_line(strange, None, "init").code == 2
    assert [p.name for p in strange.iterdir() if not p.name.startswith(".")] == ["thesis.doc"]


def test_wrong_passphrase(spoilt):
    answer = spoilt.refuses(8, *LOOK, PDMS_PASSPHRASE="not the passphrase at all")
    assert "not the passphrase" not in answer.text
    (spoilt.root / "passphrase").unlink()
    spoilt.refuses(8, *LOOK)
    spoilt.refuses(8, *LOOK, PDMS_PASSPHRASE="")


def test_no_root(spoilt):
    (spoilt.root / "epoch-1.json").unlink()
    spoilt.refuses(8, *LOOK)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", GARBAGE, b'{"format": 1}'])
def test_broken_root(spoilt, content):
    (spoilt.root / "epoch-1.json").write_bytes(content)
    spoilt.refuses(7, *LOOK)


def test_a_root_that_others_may_read(spoilt):
    (spoilt.root / "epoch-1.json").chmod(0o644)
    spoilt.refuses(8, *LOOK)


def test_wrong_root_in_the_environment(spoilt):
    spoilt.sql("keys", f"UPDATE epoch SET root_uri = 'env:{ROOT_VARIABLE}'")
    spoilt.refuses(8, *LOOK, **{ROOT_VARIABLE: new_root_text()})
    spoilt.refuses(8, *LOOK, **{ROOT_VARIABLE: "abc"})
    spoilt.refuses(8, *LOOK, **{ROOT_VARIABLE: ""})


@pytest.mark.parametrize(
    "content", [b"", b"[", b"version: 1\n", b"a\n", b"origin: [1]\npolicies: x\n", b"\x00", b"\xff\xfe"]
)
def test_broken_configuration(spoilt, content):
    (spoilt.home / "home.yaml").write_bytes(content)
    spoilt.refuses(7, *LOOK)


def test_policies_gone_or_broken(spoilt, tmp_path):
    spoilt.refuses(2, *LOOK, PDMS_POLICIES=str(tmp_path / "nowhere"))
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "policy.yaml").write_text(f"fields: {{phone: {TOLD}}}\n")
    answer = spoilt.refuses(2, *LOOK, PDMS_POLICIES=str(tmp_path / "policies"))
    assert TOLD not in answer.text


@pytest.mark.parametrize("name", ["keys", "vault"])
@pytest.mark.parametrize("how", ["garbage", "empty", "cut", "header", "a page"])
def test_corrupted_databases(spoilt, name, how):
    path = spoilt.home / f"{name}.db"
    for beside in spoilt.home.glob(f"{name}.db-*"):
        beside.unlink()
    content = path.read_bytes()
    if how == "garbage":
        path.write_bytes(GARBAGE)
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "cut":
        path.write_bytes(content[: len(content) // 2 + 100])
    elif how == "header":
        spoilt.flip(path, 3)
    else:
        for page in range(1, len(content) // 4096):
            spoilt.flip(path, page * 4096)
    answer = spoilt.ask(*LOOK)
    assert answer.code in (7, 8), answer.text
    assert "internal error" not in answer.err
    assert answer.out == ""


@pytest.mark.parametrize(
    ("name", "statement"),
    [
        ("keys", "UPDATE member_key SET wrapped = zeroblob(length(wrapped))"),
        ("keys", "UPDATE system_key SET wrapped = zeroblob(length(wrapped))"),
        ("keys", "UPDATE epoch SET wrapped = zeroblob(length(wrapped))"),
        ("keys", "DELETE FROM epoch"),
        ("keys", "DELETE FROM member_key"),
        ("vault", "UPDATE sealed_member SET sealed = zeroblob(length(sealed))"),
        (
            "vault",
            # the last row is whose it may be: it would keep its own bytes
            (
                "UPDATE sealed_member SET sealed = CASE row_no WHEN (SELECT max(row_no) FROM sealed_member)"
                " THEN zeroblob(length(sealed))"
                " ELSE (SELECT s.sealed FROM sealed_member s ORDER BY row_no DESC LIMIT 1) END"
            ),
        ),
        ("vault", "UPDATE sealed_member SET write_seq = write_seq + 1"),
        ("vault", "DROP TABLE sealed_member"),
    ],
)
def test_changed_rows_do_not_open(spoilt, name, statement):
    spoilt.sql(name, statement)
    answer = spoilt.ask(*LOOK)
    assert answer.code in (7, 8), answer.text
    assert "internal error" not in answer.err
    assert answer.out == ""


def test_a_changed_log_is_found(spoilt):
    assert spoilt.ask("compliance", "audit", "verify").code == 0
    spoilt.sql("vault", "UPDATE audit_event SET leaf = zeroblob(32) WHERE seq = 5")
    answer = spoilt.ask("compliance", "--json", "audit", "verify")
    assert answer.code == 7
    assert answer.json["problems"]


def _approve_export(spoilt, release):
    asked = spoilt.ask("marketing", "--json", "access", "approvals", "ask", "bulk_export", "--release", release)
    assert spoilt.ask("compliance", "access", "approvals", "approve", asked.json["approval_id"]).code == 0


def test_a_changed_release_is_not_handed_out(spoilt, tmp_path):
    release = spoilt.ask("marketing", "--json", "release", "list").json[0]["release_id"]
    (data,) = spoilt.home.glob("releases/**/data.parquet")
    spoilt.flip(data, data.stat().st_size // 2)
    _approve_export(spoilt, release)
    spoilt.refuses(7, "marketing", "release", "export", release, str(tmp_path / "out.csv"))
    assert not (tmp_path / "out.csv").exists()
    data.unlink()
    _approve_export(spoilt, release)
    spoilt.refuses(7, "marketing", "release", "export", release, str(tmp_path / "out.csv"))


def test_damaged_facts_publish_nothing(spoilt):
    before = spoilt.ask("marketing", "--json", "release", "list").json
    for path in (spoilt.home / "facts" / "orders").rglob("*.parquet"):
        path.write_bytes(path.read_bytes()[:-20])
    spoilt.refuses(7, "compliance", "view", "build", "member_lifecycle")
    assert spoilt.ask("marketing", "--json", "release", "list").json == before


def test_a_home_nobody_may_read(spoilt):
    if os.geteuid() == 0:
        (spoilt.home / "vault.db").unlink()
        (spoilt.home / "vault.db").mkdir()  # root may read everything; a folder in its place nobody can
    else:
        (spoilt.home / "vault.db").chmod(0)
    answer = spoilt.ask(*LOOK)
    assert answer.code in (7, 8), answer.text
    assert "internal error" not in answer.err


@pytest.mark.parametrize("content", [b"", b"{}\n", GARBAGE, b'{"a": 1}\n' * 50, b"\x00" * 1000, b"[" * 100_000])
def test_what_is_no_export_is_said_to_be_none(tmp_path, content):
    path = tmp_path / "log.jsonl"
    path.write_bytes(content)
    answer = command_line(tmp_path / "nowhere", None, "audit", "verify", str(path))
    assert answer.code in (2, 7), answer.text
    assert "internal error" not in answer.err
    assert command_line(tmp_path, None, "audit", "verify", str(tmp_path / "missing")).code in (2, 5)
