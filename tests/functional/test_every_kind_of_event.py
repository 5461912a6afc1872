"""The catalogue is what the running product tells: a small home is lived in, and every kind of event is looked for."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from common.autumn import CAMPAIGN, SEGMENT
from common.shell import Shell
from common.world import consents_of, orders_of, people
from pdms.access import service as access
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.bootstrap.app import ANONYMOUS
from pdms.rights import service as rights
from pdms.rights.sweep import sweep
from pdms.taxonomy import GuardedAct, RestrictionKind
from pdms.unit_of_work import Actor

TESTS = Path(__file__).resolve().parents[1]
COUNT = 150
ELSEWHERE = {
    # These take a witness, another database, an older home, a backup put back, or other policies.
    EventKind.AUDIT_COSIGNED: "integration/evidence/test_witness_and_purge.py",
    EventKind.INGEST_VERIFIED: "integration/vault_ingest/test_ingest_verify.py",
    EventKind.HOME_UPGRADED: "integration/bootstrap/test_upgrade.py",
    EventKind.BACKUP_RESTORED: "integration/test_backup.py",
    EventKind.NOTICE_OWED: "integration/consent_gate/test_consents_that_are_none.py",
    EventKind.POLICY_REFUSED: "integration/evidence/test_events_of_time_and_refusal.py",
    EventKind.SEARCH_INDEXED: "integration/search/test_searches.py",
    # It takes a second root.
    EventKind.KEY_EPOCH_DESTROYED: "integration/test_keys_horizon.py",
    # These take a member who signs up again, the link in a message, and two officers on one held order.
    EventKind.SUPPRESSION_LIFTED: "integration/evidence/test_events_of_time_and_refusal.py",
    EventKind.OPTOUT_USED: "integration/dispatch/test_dispatch_send.py",
    EventKind.DISCLOSURE_MADE: "integration/rights/test_disclosure.py",
    EventKind.HOLD_OPENED: "functional/test_api_codes_and_holds.py",
    # These take a second release of a view, or one that fails.
    EventKind.RELEASE_REFUSED: "integration/publishing/test_publish.py",
    EventKind.RELEASE_STALE: "integration/publishing/test_publish.py",
    EventKind.RELEASE_COPY_DELETED: "integration/publishing/test_successive_releases.py",
}
"""Kinds that are not told below, and the file of the test that finds them in the log."""


def staff_come_and_go(shell: Shell) -> None:
    made = shell.json("admin", "access", "create", "temporary", "--role", "support")
    operator, key = made["operator_id"], made["key_id"]
    shell("admin", "access", "issue", operator)
    shell("admin", "access", "revoke", key)
    shell("admin", "access", "train", operator, "--until", "2027-06-30")
    shell.world.run("admin", access.link_operator, operator_id=operator, subject=None, sign_in=None)
    shell("admin", "access", "disable", operator)
    shell("marketing", "request", "list", expect=4)
    asked = shell.json("compliance", "access", "approvals", "ask", "consent_export")["approval_id"]
    shell("compliance", "access", "approvals", "refuse", asked)
    shell.world.approve("compliance", GuardedAct.CONSENT_EXPORT)
    shell("compliance", "consent", "export", str(shell.world.folder / "consents.jsonl"))


def members_are_seen(shell: Shell) -> None:
    changed = shell.world.file("changed.csv", [people(COUNT)[9] | {"邮箱": "new-address@example.com"}])
    shell("ingest", "scan", str(changed))
    shell("ingest", "ingest", "shop-members", str(changed))
    shell("support", "member", "show", "shop:H00000")
    reveal = ("member", "reveal", "shop:H00000", "--field", "phone", "--purpose", "service", "--reason", "CALL_BACK")
    shell("support", *reveal)
    shell("compliance", "member", "honey", "shop:H00001")
    shell("support", "member", "show", "shop:H00001")


def consents_change(shell: Shell) -> None:
    record = ("consent", "record", "shop:H00002", "--purpose", "recommend", "--evidence", "EV-1")
    shell("support", *record)
    shell("support", "consent", "withdraw", "shop:H00002", "--purpose", "recommend")
    shell.world.pass_time(seconds=1)
    shell("support", *record)
    shell("compliance", "consent", "invalidate", "--purpose", "recommend", "--channel", "store", "--ticket", "LEGAL-1")
    stop = {"member_id": shell.world.id_of("H00003"), "kind": RestrictionKind.RESTRICTION}
    shell.world.run("support", rights.restrict, **stop)
    shell.world.run("support", rights.lift, **stop)


def marketing_works(shell: Shell) -> None:
    folder, world = shell.world.folder, shell.world
    shell("compliance", "view", "build", "member_value")
    for noun, verb, document in (("segment", "save", SEGMENT), ("campaign", "create", CAMPAIGN)):
        path = folder / f"{noun}.yaml"
        path.write_text(json.dumps(document, ensure_ascii=False), "utf-8")
        shell("marketing", noun, verb, str(path))
    shell("marketing", "segment", "preview", "buyers")
    shell("marketing", "segment", "estimate", "member_value", "count")
    world.approve("marketing", GuardedAct.BULK_EXPORT, segment="buyers")
    shell("marketing", "segment", "export", "buyers", str(folder / "rows.csv"))
    shell("support", "consent", "withdraw", "shop:H00008", "--purpose", "market_email")
    shell("marketing", "campaign", "send", "autumn", "--record")
    (folder / "campaign.yaml").write_text(json.dumps({**CAMPAIGN, "name": "winter"}, ensure_ascii=False), "utf-8")
    shell("marketing", "campaign", "create", str(folder / "campaign.yaml"))
    shell("marketing", "campaign", "cancel", "winter")
    release = shell.json("marketing", "release", "list", "--view", "member_value")[0]["release_id"]
    shell("marketing", "release", "show", release)
    shell("compliance", "release", "withdraw", release)


def members_ask(shell: Shell) -> None:
    rows = people(COUNT)
    request = shell.json("support", "request", "submit", "shop:H00003", "--type", "access")["request_id"]
    shell("support", "request", "verify", request, "--field", "login", typed=rows[3]["登录名"])
    link = shell.json("support", "request", "execute", request)["link"]
    shell.world.app.run(ANONYMOUS, rights.open_package, secret=link.rpartition("/")[2])
    shell("support", "request", "submit", "shop:H00004", "--type", "access")  # it becomes overdue
    other = shell.json("support", "request", "submit", "shop:H00005", "--type", "access")["request_id"]
    shell("support", "request", "cancel", other)
    typed = f"{rows[6]['登录名']}\n上海市黄浦区九江路 1 号\n"
    shell("support", "member", "correct", "shop:H00006", "address", "--check", "login", typed=typed)
    shell("support", "member", "erase", "shop:H00007", typed=rows[7]["手机号"])


def officers_keep_watch(shell: Shell) -> None:
    folder = shell.world.folder
    shell("compliance", "audit", "verify")
    shell("compliance", "audit", "export", str(folder / "log.jsonl"))
    pack = ("--from", "2026-10-01", "--to", "2026-12-01", "--out", str(folder / "pack.zip"))
    shell("compliance", "audit", "pack", *pack)
    shell("compliance", "report", "consent")
    shell("compliance", "report", "record", "drill", "--on", "2026-06-01")
    opened = ("--detected", "2026-11-02T08:00", "--cause", "attack", "--category", "basic")
    incident = shell.json("compliance", "report", "incident", "open", *opened)["incident_id"]
    shell("compliance", "report", "incident", "step", incident, "authority", "--at", "2026-11-02T08:30")
    shell("admin", "keys", "rotate", "log")
    shell("admin", "backup", "create", str(folder / "backup.pdms"))
    shell.world.pass_time(days=40)
    shell("compliance", "sweep")


def years_pass(shell: Shell) -> None:
    units = shell.world.app.units(shell.world.actor("compliance"))
    shell.world.pass_time(days=366 * 5)
    sweep(units)


def test_every_kind_of_event_is_told_by_the_running_product(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world, told, shred = api.world, set(), audit.shred_openings

    def look(session: Any) -> None:
        told.update(audit.count_by_kind(session))

    def seen_before(session: Any, *args: Any, **kwargs: Any) -> Any:
        look(session)  # an erasure takes the openings of its own beginning along
        return shred(session, *args, **kwargs)

    monkeypatch.setattr(audit, "shred_openings", seen_before)
    members = people(COUNT)
    orders, lines = orders_of(members)
    for source, rows in (
        ("shop-members", members),
        ("shop-orders", orders),
        ("shop-order-lines", lines),
        ("shop-consents", consents_of(members)),
    ):
        assert world.ingest(source, rows).rejected == 0
    api.session_of("H00000")
    assert api.get({"Authorization": "Bearer wrong"}, "/v1/requests").status_code == 401
    shell = Shell(world)
    for step in (
        staff_come_and_go,
        members_are_seen,
        consents_change,
        marketing_works,
        members_ask,
        officers_keep_watch,
        years_pass,
    ):
        step(shell)
        with world.app.unit(Actor.system(), read_only=True) as uow:
            look(uow.session)
    assert sorted(set(EventKind) - told - set(ELSEWHERE)) == [], "told by nothing at run time"
    assert sorted(told & set(ELSEWHERE)) == [], "told here as well"


@pytest.mark.parametrize("kind", sorted(ELSEWHERE))
def test_the_kinds_that_are_shown_elsewhere_are_looked_for_there(kind: EventKind) -> None:
    content = (TESTS / ELSEWHERE[kind]).read_text("utf-8")
    tests = [one for one in ast.parse(content).body if isinstance(one, ast.FunctionDef) and one.name.startswith("test")]
    bodies = [ast.get_source_segment(content, one) or "" for one in tests]
    assert any(f"EventKind.{kind.name}" in body or f'"{kind.value}"' in body for body in bodies)
