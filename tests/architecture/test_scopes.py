"""Nobody acts without a key: every command refuses, and in the log every refusal of a known one is told."""

import io
import json
import re
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import typer

from common.policies import SHIPPED
from common.world import POLICIES, World
from pdms.audit.catalogue import EventKind
from pdms.cli.app import app
from pdms.cli.entry import run
from pdms.clock import FixedClock
from pdms.reports import evidence
from pdms.taxonomy import Scope

OPEN = {
    "init",
    "policy check",
    "policy schema",
    "backup restore",
    "consent verify",
    "view hierarchy check",
    "view verify",
}
"""`init` makes the first operator; `policy check FOLDER` and `policy schema` read no home; `backup restore` asks
the operators whom the backup knows (`test_backup.py`). `audit verify FILE` is asked below, as is
`view hierarchy check FILE`; of a name it asks for a key."""
ROLES = ("admin", "compliance", "marketing", "ingest", "support")
OFFICER, CARE = {"compliance"}, {"compliance", "support"}
OFFICE = {"admin", "compliance"}
SALES, READERS = {"marketing", "compliance"}, {"admin", "compliance", "marketing"}
RELEASE, REQUEST, OPERATOR = "rel-" + "0" * 32, "req-" + "0" * 32, "op-" + "0" * 32
MEMBER = "shop:H00001"
COMMANDS: dict[str, tuple[list[str], set[str]]] = {
    "ingest": (["shop-members", "FILE"], {"ingest"}),
    "scan": (["FILE"], {"ingest", "compliance"}),
    "serve": ([], set(ROLES)),
    "sweep": ([], OFFICE),
    "access approvals approve": (["apr-" + "0" * 32], OFFICE),
    "access approvals ask": (["policy_activation"], OFFICE),
    "access approvals list": ([], set(ROLES)),
    "access approvals refuse": (["apr-" + "0" * 32], READERS | CARE),
    "access link": ([OPERATOR], {"admin"}),
    "access rotate": (["0" * 32], {"admin"}),
    "access create": (["someone-else", "--role", "marketing"], {"admin"}),
    "access disable": ([OPERATOR], {"admin"}),
    "access issue": ([OPERATOR], {"admin"}),
    "access list": ([], OFFICE),
    "access revoke": (["0" * 16], {"admin"}),
    "access train": ([OPERATOR, "--until", "2027-01-01"], {"admin"}),
    "audit cosign": (["FILE", "--witness", "w.example+00000000+AA=="], OFFICER),
    "audit decisions": ([], OFFICER),
    "audit export": (["OUT"], OFFICER),
    "audit head": ([], OFFICER),
    "audit list": ([], OFFICER),
    "audit pack": (["--from", "2026-10-01", "--to", "2026-12-01", "--out", "OUT"], OFFICER),
    "audit prove": (["0" * 32], OFFICER),
    "audit purge": (["network_log", "--before", "2020-01-01"], OFFICER),
    "audit replay": (["--from", "2026-10-01", "--to", "2026-12-01"], OFFICER),
    "audit verify": ([], OFFICER),
    "backup create": (["OUT"], {"admin"}),
    "backup verify": (["FILE"], {"admin"}),
    "campaign cancel": (["nothing"], SALES),
    "campaign counts": (["nothing"], SALES),
    "campaign create": (["DOCUMENT"], {"marketing"}),
    "campaign list": ([], SALES),
    "campaign officer-counts": (["nothing"], OFFICER),
    "campaign preview": (["nothing"], SALES),
    "campaign send": (["nothing", "--record"], {"marketing"}),
    "campaign show": (["nothing"], SALES),
    "consent history": ([MEMBER], CARE),
    "consent record": ([MEMBER, "--purpose", "segment", "--evidence", "EV-1"], CARE),
    "consent askable": ([MEMBER], CARE),
    "consent evidence": (["cns-" + "0" * 32], OFFICER),
    "consent export": (["OUT"], OFFICER),
    "consent invalidate": (["--purpose", "segment", "--channel", "web", "--ticket", "LEGAL-12", "--dry-run"], OFFICER),
    "consent keys": ([], set(ROLES)),
    "consent show": ([MEMBER], CARE),
    "consent withdraw": ([MEMBER, "--purpose", "segment"], CARE),
    "keys destroy": (["1", "--yes"], {"admin"}),
    "keys horizon": ([], OFFICE),
    "keys leakage": ([], OFFICE),
    "keys list": ([], OFFICE),
    "keys rotate": (["epoch", "--dry-run"], {"admin"}),
    "keys show": ([], OFFICE),
    "member correct": ([MEMBER, "address"], CARE),
    "member erase": ([MEMBER], CARE),
    "member find": (["phone"], CARE),
    "member honey": ([], OFFICE),
    "member reindex": ([], OFFICE),
    "member reveal": ([MEMBER, "--field", "phone", "--purpose", "service", "--reason", "CALL_BACK"], CARE),
    "member show": ([MEMBER], CARE),
    "member token": ([MEMBER], CARE),
    "notice changes": ([MEMBER], CARE),
    "notice deliveries": ([MEMBER], CARE),
    "notice duties": ([], OFFICER),
    "notice end-exemption": (["rights", "--notice", "member-notice", "--ticket", "LEGAL-12"], OFFICER),
    "notice diff": (["0" * 64, "1" * 64], set(ROLES)),
    "notice list": ([], set(ROLES)),
    "notice show": (["0" * 64], set(ROLES)),
    "policy activate": ([], OFFICE),
    "policy diff": ([str(POLICIES)], OFFICE),
    "policy history": ([], OFFICE),
    "policy revert": (["0" * 64], OFFICE),
    "policy explain": (["segment"], set(ROLES)),
    "policy test": ([], set(ROLES)),
    "release acknowledge-deleted": ([RELEASE], READERS),
    "release copies": ([RELEASE], READERS),
    "release export": ([RELEASE, "OUT"], SALES),
    "release list": ([], READERS),
    "release manifest": ([RELEASE], OFFICE),
    "release show": ([RELEASE], READERS),
    "release withdraw": ([RELEASE], OFFICE),
    "report audit": ([], OFFICER),
    "report consent": ([], OFFICER),
    "report findings": ([], OFFICER),
    "report incident draft": (["inc-" + "0" * 32], OFFICER),
    "report incident list": ([], OFFICE),
    "report incident open": (
        ["--detected", "2026-11-02T08:00", "--cause", "attack", "--category", "basic"],
        OFFICER,
    ),
    "report incident step": (["inc-" + "0" * 32, "authority", "--at", "2026-11-02T08:30"], OFFICER),
    "report lists": ([], OFFICER),
    "report pipia": ([], OFFICER),
    "report record": (["drill", "--on", "2026-06-01"], OFFICER),
    "report refusals": ([], OFFICER),
    "report ropa": ([], OFFICER),
    "request cancel": ([REQUEST], CARE),
    "request code": ([REQUEST], CARE),
    "request enter-code": ([REQUEST], CARE),
    "request disclose": (["0" * 32, "--authority", "tax", "--category", "basic", "--ticket", "CASE-1"], OFFICER),
    "request execute": ([REQUEST], CARE),
    "request find-held": (["B0000001"], OFFICER),
    "request held": ([], OFFICER),
    "request list": ([], CARE),
    "request open-held": (["held-" + "0" * 32, "--ticket", "CASE-1"], OFFICER),
    "request open": ([MEMBER, "--by", "guardian", "--type", "access"], CARE),
    "request receipt": ([REQUEST], CARE),
    "request prove": ([REQUEST, "--evidence", "GP-1"], CARE),
    "request plan": ([REQUEST], CARE),
    "request refuse": ([REQUEST, "--code", "EXCESSIVE"], OFFICER),
    "request show": ([REQUEST], CARE),
    "request submit": ([MEMBER, "--type", "access"], CARE),
    "request verify": ([REQUEST], CARE),
    "segment budget": ([], SALES),
    "segment charges": ([], OFFICER),
    "segment estimate": (["member_value", "count"], {"marketing"}),
    "segment export": (["nothing", "OUT"], {"marketing"}),
    "segment list": ([], SALES),
    "segment preview": (["nothing"], SALES),
    "segment rfm": (["member_value"], SALES),
    "segment save": (["DOCUMENT"], {"marketing"}),
    "segment show": (["nothing"], SALES),
    "view build": (["member_value"], OFFICE),
    "view compare": ([RELEASE, "rel-" + "1" * 32], SALES),
    "view show": (["member_value"], SALES),
    "view export": (["member_value", "OUT"], SALES),
    "view plan": (["member_value"], OFFICE),
    "view hierarchy export": (["region", "OUT"], READERS),
    "view hierarchy import": (["county"], OFFICE),
    "view hierarchy list": ([], READERS),
    "view hierarchy show": (["region"], READERS),
    "view keys": ([], set(ROLES)),
    "view lint": ([], READERS),
    "view list": ([], READERS),
}
"""Arguments of each command, and the roles that may use it at all; whoever else asks is denied, whatever they name."""


def names() -> set[str]:
    """Every command there is: `member erase`, `ingest`."""
    return set(_below(typer.main.get_command(app)))


def _below(group: Any) -> Iterator[str]:
    """A group that runs without a command is a command too."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            if command.invoke_without_command:
                yield name
            yield from (f"{name} {below}" for below in _below(command))
        else:
            yield name


class Line:
    """Command lines on one home, each with arguments that exist."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.folder = world, folder
        self.file = folder / "file.csv"
        self.file.write_text("会员编号,姓名\nH1,王一\n", "utf-8")
        self.document = folder / "segment.yaml"
        self.document.write_text("name: nothing\n", "utf-8")
        self.fresh = 0

    def arguments(self, name: str) -> list[str]:
        """The command and its arguments, with files that are there, and one that is not."""
        self.fresh += 1
        files = {"FILE": self.file, "DOCUMENT": self.document, "OUT": self.folder / f"out-{self.fresh}.csv"}
        return [*name.split(), *(str(files.get(word, word)) for word in COMMANDS[name][0])]

    def __call__(self, *words: str, token: str | None, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
        out = io.StringIO()
        monkeypatch.setattr("sys.stdin", io.StringIO("13800138000\n"))
        if token is None:
            monkeypatch.delenv("PDMS_TOKEN", raising=False)
        else:
            monkeypatch.setenv("PDMS_TOKEN", token)
        line = ["--home", str(self.world.app.home.root), *words]
        with redirect_stdout(out), redirect_stderr(out):
            code = run(line, clock=FixedClock(self.world.clock.instant))
        return code, out.getvalue()


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("scopes")
    world = World.make(folder)
    yield Line(world, folder)
    world.close()


def test_the_table_names_every_command():
    assert names() == set(COMMANDS) | OPEN


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_without_a_key_every_command_is_refused(line, monkeypatch, name):
    code, told = line(*line.arguments(name), token=None, monkeypatch=monkeypatch)
    assert (code, told.count("\n")) == (3, 1), told
    assert told.startswith("pdms: unauthenticated")


@pytest.mark.parametrize("token", ["pdms_key_" + "0" * 60, "x", "pdms_key_é", "密钥"])
def test_with_a_wrong_key_too(line, monkeypatch, token):
    code, told = line(*line.arguments("member show"), token=token, monkeypatch=monkeypatch)
    assert (code, told.count("\n")) == (3, 1), told
    assert token not in told


def test_what_needs_no_key(line, monkeypatch, tmp_path):
    policies = str(SHIPPED)
    export = tmp_path / "log.jsonl"
    with line.world.unit("compliance") as uow:
        evidence.export(uow, path=export)
    for words in (
        ["--help"],
        ["member", "--help"],
        ["member", "erase", "--help"],
        ["--version"],
        ["policy", "check", policies],
        ["audit", "verify", str(export)],
        ["init"],
    ):
        code, told = line(*words, token=None, monkeypatch=monkeypatch)
        assert code == 0, (words, told)


def test_checking_this_homes_policy_needs_a_key(line, monkeypatch):
    code, _ = line("policy", "check", token=None, monkeypatch=monkeypatch)
    assert code == 3


@pytest.mark.parametrize("name", sorted(name for name in COMMANDS if COMMANDS[name][1] != set(ROLES)))
def test_only_its_roles_may_use_a_command(line, monkeypatch, name):
    outside = [role for role in ROLES if role not in COMMANDS[name][1]]
    for role in outside:
        code, told = line(*line.arguments(name), token=line.world.tokens[role], monkeypatch=monkeypatch)
        assert code == 4, (name, role, code, told)
        assert "SCOPE_MISSING" in told
        assert "PIPL-51-4" in told


def test_refusals_are_in_the_log(line, monkeypatch):
    line("member", "show", "shop:H00001", token=line.world.tokens["marketing"], monkeypatch=monkeypatch)
    with line.world.unit("compliance") as uow:
        page = evidence.list_events(uow, kinds=(EventKind.DENIAL,), limit=1)
    (newest,) = page.items
    assert newest.actor == line.world.actor("marketing").id
    assert newest.reasons == ("SCOPE_MISSING",)


def test_marketing_cannot_tell_a_member_from_nobody(line, monkeypatch):
    token = line.world.tokens["marketing"]
    line.world.ingest(
        "shop-members", [{"会员编号": "H77", "姓名": "王一", "手机号": "13812340001", "注册时间": "2025-01-01"}]
    )
    for words in (["member", "show"], ["consent", "history"], ["member", "erase"], ["member", "token"]):
        known = line(*words, "shop:H77", token=token, monkeypatch=monkeypatch)
        nobody = line(*words, "shop:H78", token=token, monkeypatch=monkeypatch)
        assert known == nobody
        assert known[0] == 4


def test_every_role_of_the_policy_has_scopes_and_no_more(line):
    with line.world.unit("compliance") as uow:
        roles = uow.policy.roles
    assert {s for role in roles.values() for s in role.scopes} <= set(Scope)
    for name, role in roles.items():
        assert role.scopes, name
    assert Scope.COMPLIANCE not in roles["marketing"].scopes
    assert set(roles["marketing"].scopes) == {Scope.MARKETING}


def test_json_errors_are_json(line, monkeypatch):
    code, told = line("--json", "view", "list", token=line.world.tokens["support"], monkeypatch=monkeypatch)
    assert code == 4
    found = json.loads(told)
    assert found["reasons"][0]["code"] == "SCOPE_MISSING"
    assert re.fullmatch(r"[ -~]*", told.strip())
