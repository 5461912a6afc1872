"""Unique strings in every field of a few members: no byte written anywhere repeats one, before and after erasure.

The searched: the home, its root key's folder, the folder for temporary files, everything that was logged, printed or
answered, and every error with its causes. Left out is only what must show a member: a reveal, an opened package.
"""

import csv
import gzip
import io
import json
import logging
import os
import re
import shutil
import sqlite3
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.routing import APIRoute

from common.autumn import CAMPAIGN, SEGMENT
from common.bytes_of import bytes_of_member
from common.shell import Shell, program
from common.world import NOW, ROOT_VARIABLE, World, consents_of, orders_of, people, resident_id
from pdms.api.app import create_app
from pdms.api.middleware import RateLimit
from pdms.bootstrap.app import App
from pdms.clock import FixedClock
from pdms.ingest import service as ingest
from pdms.rights import service as rights
from pdms.settings import Settings
from pdms.taxonomy import RequestType

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

PLAIN = 160
CANARIES = [
    {
        "会员编号": f"CANARY{tag}",
        "姓名": name,
        "手机号": phone,
        "邮箱": email,
        "身份证号": resident_id(born, 733 + n),
        "出生日期": born.isoformat(),
        "性别": "女",
        "收货地址": f"浙江省杭州市拱墅区{street}{317 + n}号{n + 4}幢{1200 + n}室",
        "登录名": f"login_{tag.lower()}_x",
        "注册时间": "2024-05-06",
    }
    for n, (tag, name, phone, email, born, street) in enumerate(
        [
            ("QX7R1", "欧阳霁鹤", "13970521846", "qx7r1.heron@example.org", date(1987, 3, 14), "霁鹤鸣溪路"),
            ("ZK4W2", "司马绮璇", "15988413207", "zk4w2.egret@example.org", date(1979, 11, 23), "绮璇听松巷"),
            ("VJ9T3", "上官缃羽", "18657309412", "vj9t3.ibis@example.org", date(1993, 7, 9), "缃羽拾翠街"),
            ("MB5L4", "夏侯筠笙", "17746028395", "mb5l4.crane@example.org", date(1990, 9, 17), "筠笙望舒弄"),
        ]
    )
]
STAYS, WITHDRAWS, ERASED, HELD = (c["会员编号"] for c in CANARIES)
CORRECTED = {"address": "江苏省苏州市姑苏区漱玉新迁坊88号", "phone": "13605187429", "email": "moved.stork@example.org"}
TOLD = {c["会员编号"]: {v for k, v in c.items() if k not in ("性别", "注册时间")} for c in CANARIES}
SAID = {s for own in TOLD.values() for s in own} | set(CORRECTED.values())
CHATS = (
    "您好，我是{姓名}，手机号{手机号}，订单一直没发货",
    "请改送到{收货地址}，收件人{姓名}，谢谢",
    "我的邮箱是 {邮箱} ，身份证号 {身份证号}",
    "会员编号{会员编号}，登录名{登录名}，登录不了",
    "Please call +86 {手机号} or write to {邮箱}.",
    "联系电话：{手机号}。生日是{出生日期}。",
)
LOGGERS = ("sqlalchemy.engine", "sqlalchemy.pool", "presidio-analyzer", "pdms", "httpx", "httpcore")


@dataclass
class Stage:
    """A shop with canaries among its members, and everything that it ever let out."""

    world: World
    shell: Shell
    logs: io.StringIO
    temporary: Path
    searches: Any
    shown: list[tuple[str, bytes]] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)
    searched: dict[str, int] = field(default_factory=lambda: {"lines": 0, "answers": 0, "statements": 0})

    @property
    def root(self) -> Path:
        return self.world.app.home.root

    def found(self, needles: set[str]) -> list[str]:
        """Where any of `needles` is: in files, logs, command lines, answers."""
        wanted = sorted(needles)
        hits = self.searches.search(self.root, wanted)
        hits += self.searches.search(self.temporary, wanted)
        hits += self.searches.search_bytes("logs", self.logs.getvalue().encode(), wanted)
        for answer in self.shell.transcript:
            if answer.words[:2] != ("member", "reveal"):
                hits += self.searches.search_bytes(f"pdms {' '.join(answer.words)}", answer.text.encode(), wanted)
        for name, content in self.shown:
            hits += self.searches.search_bytes(name, content, wanted)
        return [f"{hit.path}: {wanted[hit.needle]} as {hit.form}" for hit in hits]

    def nothing_of(self, needles: set[str]) -> None:
        """Assert that none of `needles` is anywhere."""
        hits = self.found(needles)
        assert not hits, "\n".join(hits)
        self.searched["lines"] += len(self.shell.transcript)
        self.searched["answers"] += len(self.shown)
        self.searched["statements"] += self.logs.getvalue().count("INSERT INTO")
        self.shell.transcript.clear()
        self.shown.clear()
        self.logs.seek(0)
        self.logs.truncate()

    def error_of(self, call: Callable[[], object]) -> str:
        """Run what must fail; keep its message, its causes and its traceback as shown."""
        with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is, it may tell nothing
            call()
        told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        chain: BaseException | None = caught.value
        while chain is not None:
            told += repr(chain.args)
            chain = chain.__cause__ or chain.__context__
        self.shown.append((f"{type(caught.value).__name__} and its traceback", told.encode()))
        return told


@pytest.fixture
def stage(tmp_path: Path, canary: Any) -> Iterator[Stage]:
    folder = tmp_path
    temporary = folder / "temporary"
    temporary.mkdir()
    before = {name: os.environ.get(name) for name in ("TMPDIR", "SQLITE_TMPDIR")}
    os.environ.update(dict.fromkeys(before, str(temporary)))
    logs = io.StringIO()
    listener = logging.StreamHandler(logs)
    everything = logging.getLogger()
    level, everything.level = everything.level, logging.DEBUG
    everything.addHandler(listener)
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    for name in LOGGERS:  # the test's own HTTP client names the addresses it asks for
        logging.getLogger(name).setLevel(logging.WARNING if name in ("httpx", "httpcore") else logging.DEBUG)
    world = World.make(folder)
    made = Stage(world, Shell(world), logs, temporary, canary)
    try:
        yield made
    finally:
        world.close()
        everything.removeHandler(listener)
        everything.setLevel(level)
        for name, was in levels.items():
            logging.getLogger(name).setLevel(was)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


def number_of(member: str) -> str:
    return f"shop:{member}"


def phone_of(member: str) -> str:
    return next(c["手机号"] for c in CANARIES if c["会员编号"] == member)


def the_search_finds_what_is_there(stage):
    """Each string is one that the search would find, in a file as in an answer."""
    planted = stage.temporary / "planted"
    for text in sorted(SAID):
        planted.write_text(f"x{text}y", "utf-8")
        assert stage.found({text}) == [f"planted: {text} as utf-8"]
        planted.write_bytes(f"x{text}y".encode("utf-16-le"))
        assert stage.found({text})
    planted.unlink()
    stage.nothing_of(SAID)


def files_go_in(stage):
    world, shell = stage.world, stage.shell
    members = people(PLAIN) + CANARIES
    orders, lines = orders_of(members)
    for order in orders:
        if order["会员编号"] == HELD:
            order["是否开票"] = "是"
        elif order["会员编号"] == ERASED:
            order["是否开票"] = "否"
            order["完成时间"] = order["下单时间"] = "2022-05-06 10:00:00"
    chats = [
        {
            "会员编号": c["会员编号"],
            "编号": f"T{n}-{k}",
            "时间": f"2026-10-0{k + 1} 12:00:00",
            "类型": "聊天",
            "渠道": "web",
            "内容": text.format(**c),
        }
        for n, c in enumerate(CANARIES)
        for k, text in enumerate(CHATS)
    ]
    broken = [dict(c, 会员编号=f"{c['会员编号']}B", 手机号=c["手机号"] + "99", 邮箱=c["邮箱"] + "@x") for c in CANARIES]
    consents = consents_of(members)
    consents.append(dict(consents[-1], 证据编号=f"电话{phone_of(STAYS)}", 目的="推送营销"))
    consents.append(dict(consents[-1], 证据编号=CANARIES[0]["邮箱"], 目的="个性化推荐"))
    consents.append(dict(consents[-1], 证据编号="EV-1", 目的=CANARIES[0]["姓名"]))
    consents.append(dict(consents[-1], 目的="个性化推荐", 采集渠道=CANARIES[0]["收货地址"]))
    packed, table = world.folder / "members.csv.gz", world.folder / "members.parquet"
    with gzip.open(packed, "wt", encoding="gb18030", newline="") as out:
        writer = csv.DictWriter(out, list(CANARIES[2]))
        writer.writeheader()
        writer.writerow(CANARIES[2])
    pq.write_table(pa.Table.from_pylist([CANARIES[3]]), table)
    for path in (packed, table):
        shell("ingest", "scan", str(path))
        assert shell.json("ingest", "ingest", "shop-members", str(path))["created"] == 1
    for source, rows in (
        ("shop-members", members[:-2]),
        ("shop-orders", orders),
        ("shop-order-lines", lines),
        ("shop-interactions", chats),
        ("shop-consents", consents),
    ):
        shell("ingest", "scan", str(world.file(f"{source}.csv", rows)))
        shell("ingest", "ingest", source, str(world.folder / f"{source}.csv"))
    path = str(world.file("broken.csv", broken))
    told = shell("ingest", "--json", "ingest", "shop-members", path, "--rejected-rows", str(world.folder / "rejected"))
    assert told.json["rejected"] == len(CANARIES)
    shell("ingest", "scan", path, "--write-source", "drafted")
    stage.nothing_of(SAID)


def whole_files_are_refused(stage):
    folder, shell = stage.world.folder, stage.shell
    first = CANARIES[0]
    headless = folder / "headless.csv"
    headless.write_text(",".join(first.values()) + "\n" + ",".join(CANARIES[1].values()) + "\n", "utf-8")
    shell("ingest", "ingest", "shop-members", str(headless), expect=2)
    half = folder / "half.csv"
    half.write_text(f"会员编号,姓名,{first['手机号']},{first['邮箱']}\nH1,王一,x,y\n", "utf-8")
    shell("ingest", "ingest", "shop-members", str(half), expect=2)
    cut = folder / "cut.jsonl"
    cut.write_text(json.dumps(first, ensure_ascii=False)[:-9], "utf-8")
    shell("ingest", "ingest", "shop-members", str(cut), expect=2)
    quote = folder / "quote.csv"
    quote.write_text(f'会员编号,姓名\nH1,"{first["姓名"]}\n', "utf-8")
    shell("ingest", "ingest", "shop-members", str(quote), expect=2)
    torn = folder / "torn.csv"
    torn.write_bytes("会员编号,姓名\n".encode() + first["姓名"].encode() + b"\xff\xfe\x00" + first["邮箱"].encode())
    shell("ingest", "ingest", "shop-members", str(torn), expect=2)
    stage.nothing_of(SAID)


def staff_and_members_act(stage):
    shell = stage.shell
    one, phone = number_of(STAYS), phone_of(STAYS)
    for indexed in ("phone", "email", "id_number", "login"):
        column = {"phone": "手机号", "email": "邮箱", "id_number": "身份证号", "login": "登录名"}[indexed]
        for c in CANARIES:
            assert len(shell.json("support", "member", "find", indexed, typed=c[column])) == 1
    for c in CANARIES:
        shell("support", "member", "show", number_of(c["会员编号"]))
        shell("support", "--json", "member", "show", number_of(c["会员编号"]))
    revealed = shell(
        "support", "member", "reveal", one, "--field", "phone", "--purpose", "service", "--reason", "CALL_BACK"
    )
    assert phone in revealed.text
    for column, value in CORRECTED.items():
        shell(
            "support",
            "member",
            "correct",
            one,
            column,
            "--check",
            "login",
            typed=f"{CANARIES[0]['登录名']}\n{value}\n",
        )
    request = shell.json("support", "request", "submit", one, "--type", "access")["request_id"]
    shell("support", "request", "verify", request, "--field", "login", typed=phone, expect=4)
    shell("support", "request", "verify", request, "--field", "login", typed=CANARIES[0]["登录名"])
    executed = shell.json("support", "request", "execute", request)
    stage.secrets.add(executed["link"].rpartition("/")[2])
    stage.secrets.add(shell.json("support", "member", "token", one)["member_token"])
    shell("support", "request", "submit", one, "--type", "correction", "--field", "name", typed="冯漱玉琤")
    shell("support", "consent", "record", one, "--purpose", "recommend", "--evidence", "EV-99")
    shell("support", "consent", "withdraw", number_of(WITHDRAWS), "--purpose", "market_email")
    for c in CANARIES:
        shell("compliance", "consent", "history", number_of(c["会员编号"]), "--texts")
    stage.nothing_of(SAID | {"冯漱玉琤"})


def marketing_acts(stage):
    world, shell = stage.world, stage.shell
    for view in ("member_value", "member_lifecycle"):
        shell("compliance", "view", "plan", view, "--rows", "1e9", "--engine", "spark")
        shell("compliance", "view", "build", view)
    release = shell.json("marketing", "release", "list", "--view", "member_value")[0]["release_id"]
    for name, document in (("segment", SEGMENT), ("campaign", CAMPAIGN)):
        (world.folder / f"{name}.yaml").write_text(json.dumps(document, ensure_ascii=False), "utf-8")
    shell("marketing", "segment", "save", str(world.folder / "segment.yaml"))
    shell("marketing", "segment", "preview", "buyers")
    shell("marketing", "segment", "rfm", "member_value")
    for ending in ("csv", "parquet"):
        out = stage.temporary / f"release.{ending}"
        for what, name in (("release", release), ("segment", "buyers")):
            asked = ("bulk_export", f"--{what}", name, "--format", ending)
            question = shell.json("marketing", "access", "approvals", "ask", *asked)["approval_id"]
            shell("compliance", "access", "approvals", "list", "--waiting")
            shell("compliance", "access", "approvals", "approve", question)
        shell("marketing", "release", "export", release, str(out))
        shell("marketing", "segment", "export", "buyers", str(out.with_stem("segment")))
    shell("marketing", "release", "show", release)
    shell("compliance", "release", "manifest", release)
    shell("marketing", "campaign", "create", str(world.folder / "campaign.yaml"))
    shell("marketing", "campaign", "preview", "autumn")
    shell("marketing", "campaign", "send", "autumn", "--record")
    shell("marketing", "campaign", "counts", "autumn")
    shell("compliance", "campaign", "officer-counts", "autumn")
    stage.nothing_of(SAID)


def errors_tell_nothing(stage):
    world, shell = stage.world, stage.shell
    first = CANARIES[0]
    one = number_of(STAYS)
    bad_phone = f"{first['手机号']}0"
    for command in (
        ["member", "find", "phone"],
        ["member", "correct", one, "email", "--check", "phone"],
        ["member", "erase", one],
        ["request", "submit", one, "--type", "correction", "--field", "email"],
    ):
        for typed in (f"{bad_phone}\n{first['姓名']}\n", f"{first['姓名']}\n{first['收货地址']}\n", "\x00\n\x00\n"):
            shell("support", *command, typed=typed, expect=None)
    for code in (first["邮箱"], first["姓名"]):
        shell("compliance", "request", "refuse", "req-" + "0" * 32, "--code", code, expect=2)
    # A value where an identifier belongs.
    for words in (
        ["member", "show", f"shop:{first['手机号']}"],
        ["member", "show", first["手机号"]],
        ["member", "reveal", one, "--field", first["手机号"], "--purpose", "service", "--reason", "CALL_BACK"],
        ["member", "reveal", one, "--field", "phone", "--purpose", "service", "--reason", first["邮箱"]],
        ["member", "reveal", one, "--field", "phone", "--purpose", first["邮箱"], "--reason", "X"],
        ["consent", "record", one, "--purpose", first["姓名"], "--evidence", "EV-1"],
        ["consent", "record", one, "--purpose", "recommend", "--evidence", first["手机号"]],
        ["consent", "record", one, "--purpose", "recommend", "--evidence", first["邮箱"]],
        ["consent", "record", one, "--purpose", "recommend", "--channel", first["姓名"], "--evidence", "EV-1"],
        ["request", "show", first["手机号"]],
        ["member", "find", first["手机号"]],
    ):
        answer = shell("support", *words, typed="1\n", expect=None)
        assert answer.code in (2, 4, 5), (words, answer.text)
    member = world.id_of(STAYS)
    for call in (
        lambda: world.run("support", rights.find_members, field="phone", value=bad_phone),
        lambda: world.run("support", rights.find_members, field="email", value=first["姓名"]),
        lambda: world.run("support", rights.submit, member_id=member, request_type=RequestType.CORRECTION,
                          field="phone", value=bad_phone),
        lambda: world.run("support", rights.submit, member_id=member, request_type=RequestType.CORRECTION,
                          field="birth_date", value=first["收货地址"]),
        lambda: ingest.ingest(world.app.units(world.actor("ingest")), source="shop-members",
                              path=world.folder / "cut.jsonl"),
    ):  # fmt: skip
        stage.error_of(call)
    stage.nothing_of(SAID)


def failing_stores_tell_nothing(stage):
    """A database error in the middle: its message names statements, never their parameters."""
    copy = stage.world.folder / "broken-home"
    shutil.copytree(stage.root, copy)
    for table, column in (("blind_index", "digest"), ("sealed_member", "sealed"), ("member", "region")):
        with sqlite3.connect(copy / "vault.db") as database:
            database.execute(f"ALTER TABLE {table} RENAME COLUMN {column} TO gone")
        database.close()
        settings = Settings(home=copy, policies=stage.world.app.settings.policies)
        fresh = [dict(CANARIES[0], 会员编号=f"NEW{table}")]
        with App.open(settings, clock=FixedClock(NOW)) as app:
            actor = app.authenticate(stage.world.tokens["ingest"])
            support = app.authenticate(stage.world.tokens["support"])
            told = [
                stage.error_of(
                    lambda app=app, actor=actor, table=table, fresh=fresh: ingest.ingest(
                        app.units(actor), source="shop-members", path=stage.world.file(f"{table}.csv", fresh)
                    )
                ),
                stage.error_of(
                    lambda app=app, support=support: app.run(
                        support, rights.find_members, field="phone", value=phone_of(ERASED)
                    )
                )
                if table == "blind_index"
                else "OperationalError",
            ]
        assert any("OperationalError" in one for one in told)
        answer = program(
            copy, stage.world.tokens["ingest"], "ingest", "shop-members", str(stage.world.folder / f"{table}.csv")
        )
        assert answer.code != 0
        assert "OperationalError" in answer.err
        stage.shell.transcript.append(answer)
    hits = [*stage.found(SAID), *stage.searches.search(copy, sorted(SAID))]
    shutil.rmtree(copy)
    assert hits == []


def bodies(path: str, member: str) -> list[Any]:
    """Something to send to every POST: well formed, and full of the values that belong nowhere but in a search."""
    first = CANARIES[0]
    return [
        {"field": "phone", "value": first["手机号"]},
        {"system": "shop", "number": first["会员编号"]},
        {"member": member, "member_id": member, "purpose": "recommend", "state": "given", "evidence": first["手机号"]},
        {
            "name": first["姓名"],
            "rule": {"feature": first["手机号"], "below": first["邮箱"]},
            "text": f"name: {first['姓名']}\nview: [{first['手机号']}\n",
            "document": {"name": first["邮箱"], "template": {"subject": first["姓名"], "body": first["收货地址"]}},
        },
        first["邮箱"],
    ]


def answers_to_marketing_and_compliance_tell_nothing(stage):
    world = stage.world
    member = world.id_of(STAYS).hex()
    with world.unit("compliance") as uow:
        requests = [r.request_id for r in rights.list_requests(uow)]
    release = stage.shell.json("marketing", "release", "list", "--view", "member_value")[0]["release_id"]
    known = {"member_id": member, "request_id": requests[0], "release_id": release, "name": "buyers",
             "view": "member_value", "purpose": "segment", "record_id": "cns-" + "0" * 32, "key_id": "0" * 16,
             "operator_id": "op-" + "0" * 32, "event_id": "0" * 32, "version": "0" * 64, "notice": "member-notice",
             "load_id": "x"}  # fmt: skip
    limits = {"limit": RateLimit(1e6, 1_000_000), "failures": RateLimit(1e6, 1_000_000)}
    asked = 0
    with TestClient(create_app(world.app, sequence_seconds=0.05, **limits), raise_server_exceptions=False) as http:
        routes = [r for r in http.app.routes if isinstance(r, APIRoute)]
        for role in ("marketing", "compliance"):
            headers = {"Authorization": f"Bearer {world.tokens[role]}"}
            for route in routes:
                if role == "compliance" and re.search(
                    r"reveals|/me\b|disablement|refusal|cancellation|withdrawal", route.path
                ):
                    continue  # a reveal must show; the others end what later tests need
                path = re.sub(r"\{(\w+)\}", lambda m: known.get(m[1], "x"), route.path)
                for method in sorted(route.methods):
                    contents = [None] if method == "GET" else bodies(path, member)
                    for content in contents:
                        answer = http.request(method, path, headers=headers, json=content)
                        assert answer.status_code < 500, (method, path, answer.text)
                        asked += 1
                        head = "\n".join(f"{k}: {v}" for k, v in answer.headers.items())
                        stage.shown.append((f"{role} {method} {route.path}", head.encode() + b"\n\n" + answer.content))
                for column in ("手机号", "姓名", "邮箱"):  # where an id belongs, and in the query
                    value = CANARIES[0][column]
                    if "{" in route.path and "GET" in route.methods:
                        answer = http.get(re.sub(r"\{(\w+)\}", value, route.path), headers=headers, params={"q": value})
                        stage.shown.append((f"{role} GET {route.path} (a value as id)", answer.content))
        lines = [",".join(CANARIES[0]), *(",".join(c.values()) for c in CANARIES[:2])]
        lines.append(lines[-1].replace(CANARIES[1]["会员编号"], "OTHER").replace("@", "@@"))
        headers = {"Authorization": f"Bearer {world.tokens['ingest']}", "Content-Type": "text/csv"}
        for content in ("\n".join(lines), "\n".join(lines[1:]), "\n".join(lines)[:-40]):
            answer = http.post("/v1/members/imports?source=shop-members", headers=headers, content=content.encode())
            assert answer.status_code < 500
            stage.shown.append(("ingest POST a file", answer.content))
    assert asked > 150
    stage.nothing_of(SAID)


def erasure_leaves_no_byte(stage, number):
    with (stage.world.folder / "shop-orders.csv").open(encoding="utf-8", newline="") as file:
        orders = [row["订单号"].encode() for row in csv.DictReader(file) if row["会员编号"] == number]
    bytes_of = bytes_of_member(stage.world, number) + orders
    assert orders
    there = {hit.needle for hit in stage.searches.search(stage.root, bytes_of)}
    assert there == set(range(len(bytes_of))), "the search must find every one of them before"
    receipt = stage.temporary / ("receipt-1.json" if number == HELD else "receipt-2.json")
    stage.shell("support", "member", "erase", number_of(number), "--receipt", str(receipt), typed=phone_of(number))
    hits = stage.searches.search(stage.root, bytes_of)
    assert hits == []
    stage.shell("support", "member", "show", number_of(number), expect=5)
    stage.nothing_of(SAID)
    document = json.loads(receipt.read_text("utf-8"))["document"]
    assert set(document["gone"]) >= {"logical", "key", "file_bytes", "backups"}
    assert bool(document["stays"]) == (number == HELD)


def old_files_bring_nobody_back(stage):
    path = stage.world.file("again.csv", CANARIES)
    told = stage.shell.json("ingest", "ingest", "shop-members", str(path))
    assert told["rejected_by_rule"] == {"SUPPRESSED": 2}
    for source in ("shop-interactions", "shop-consents", "shop-orders"):
        content = (stage.world.folder / f"{source}.csv").read_text("utf-8")
        again = stage.world.folder / f"again-{source}.csv"
        again.write_text(content + "\n", "utf-8")
        stage.shell("ingest", "ingest", source, str(again))
    stage.shell("support", "member", "show", number_of(ERASED), expect=5)
    stage.nothing_of(SAID)


def secrets_are_stored_nowhere(stage):
    """API keys, member tokens, one-time links: shown once, stored as digests. The root key is not in the home."""
    secrets = stage.secrets | set(stage.world.tokens.values())
    assert len(secrets) >= 7
    bare = {secret.rpartition("_")[2] for secret in secrets} | secrets | {os.environ[ROOT_VARIABLE]}
    assert stage.searches.search(stage.root, sorted(bare)) == []
    assert stage.searches.search(stage.root, [bytes.fromhex(os.environ[ROOT_VARIABLE])]) == []
    assert stage.searches.search_bytes("logs", stage.logs.getvalue().encode(), sorted(bare)) == []


def there_was_much_to_search(stage):
    """All of the above would be empty talk if nothing had been logged, printed or answered."""
    assert stage.searched["statements"] > 100
    assert stage.searched["lines"] > 60
    assert stage.searched["answers"] > 300


def the_log_verifies_after_all_this(stage):
    stage.shell("compliance", "audit", "verify")
    export = stage.temporary / "log.jsonl"
    stage.shell("compliance", "audit", "export", str(export))
    stage.shell(None, "audit", "verify", str(export))
    stage.nothing_of(SAID)


def test_no_canary_is_found_anywhere_in_a_whole_life_of_a_home(stage):
    """One life, in this order; every step ends with a search of everything."""
    the_search_finds_what_is_there(stage)
    files_go_in(stage)
    whole_files_are_refused(stage)
    staff_and_members_act(stage)
    marketing_acts(stage)
    errors_tell_nothing(stage)
    failing_stores_tell_nothing(stage)
    answers_to_marketing_and_compliance_tell_nothing(stage)
    erasure_leaves_no_byte(stage, ERASED)
    erasure_leaves_no_byte(stage, HELD)
    old_files_bring_nobody_back(stage)
    secrets_are_stored_nowhere(stage)
    there_was_much_to_search(stage)
    the_log_verifies_after_all_this(stage)


def test_a_root_in_a_file_lies_beside_the_home(tmp_path, canary):
    world = World.make(tmp_path, file_root=True)
    passphrase = (tmp_path / "home.root" / "passphrase").read_text("ascii").strip()
    sealed = json.loads((tmp_path / "home.root" / "epoch-1.json").read_text("ascii"))
    world.ingest("shop-members", CANARIES)
    world.close()
    secrets = [passphrase, *(v for v in sealed.values() if isinstance(v, str) and len(v) >= 20)]
    assert len(secrets) > 1
    assert canary.search(tmp_path / "home", secrets) == []
    assert canary.search(tmp_path / "home.root", sorted(SAID)) == []
    assert canary.search(tmp_path / "home.root", secrets)
