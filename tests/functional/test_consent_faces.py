"""Consents and notices by command line and over HTTP: two clocks, receipts to check, changes to read."""

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from common.shell import Shell, command_line
from common.world import POLICIES, World, people
from pdms.clock import SHANGHAI
from pdms.crypto import verify_receipt
from pdms.gate import service as gate
from pdms.policy.loader import load
from pdms.taxonomy import GuardedAct
from pdms.unit_of_work import Actor

ROWS = [
    {"会员编号": "H00000", "目的": "邮件营销", "状态": "同意", "时间": "2026-06-01 10:00:00", "方式": "同意",
     "采集渠道": "网站", "证据编号": "EV-1"},
]  # fmt: skip


@pytest.fixture
def shell(world: World) -> Shell:
    assert world.ingest("shop-members", people(2)).created == 2
    return Shell(world)


def local(instant: datetime) -> str:
    return instant.astimezone(SHANGHAI).strftime("%Y-%m-%dT%H:%M:%S")


def states(answer: Any) -> dict[str, str]:
    return {one["purpose"]: one["state"] for one in answer}


def test_PIPL_15_2_both_clocks_are_asked_for_by_command_line(shell: Shell) -> None:
    before = shell.world.clock.instant
    shell.world.pass_time(days=2)
    assert shell.world.ingest("shop-consents", ROWS).accepted == 1
    shell.world.pass_time(days=2)
    shell("support", "consent", "withdraw", "shop:H00000", "--purpose", "market_email")

    def show(*words: str) -> dict[str, str]:
        return states(shell.json("compliance", "consent", "show", "shop:H00000", *words))

    assert show() == {"market_email": "withdrawn"}
    assert show("--as-of", "2026-07-01") == {"market_email": "given"}
    assert show("--as-of", "2026-07-01", "--known-at", local(before)) == {}
    assert show("--as-of", "2026-05-01") == {}
    assert show("--known-at", local(before + timedelta(days=3))) == {"market_email": "given"}
    events = shell.json("compliance", "consent", "history", "shop:H00000", "--known-at", local(before))
    assert events == []


def test_PIPL_15_2_both_clocks_are_asked_for_over_http_by_officer_and_member(api: Any) -> None:
    world = api.world
    world.ingest("shop-members", people(2))
    before = world.clock.instant.isoformat()
    world.pass_time(days=2)
    world.ingest("shop-consents", ROWS)
    asked = {"as_of": "2026-07-01T00:00:00+08:00"}
    me, path = api.session_of("H00000"), f"/v1/members/{api.id_of('H00000')}/consents"
    for who, where in (("compliance", path), (me, "/v1/members/me/consents")):
        assert states(api.get(who, where, params=asked).json()["consents"]) == {"market_email": "given"}
        assert api.get(who, where, params=asked | {"known": before}).json()["consents"] == []
        assert api.get(who, where, params={"as_of": "2026-05-01T00:00:00+08:00"}).json()["consents"] == []
        assert len(api.get(who, f"{where}/history", params=asked).json()) == 1
        assert api.get(who, f"{where}/history", params=asked | {"known": before}).json() == []
        assert api.get(who, where, params={"as_of": "2026-07-01T00:00:00"}).status_code == 422, "no zone, no instant"


def test_T42574_a_member_checks_a_receipt_with_key_and_notice_from_the_api(api: Any) -> None:
    world = api.world
    world.ingest("shop-members", people(2))
    me = api.session_of("H00000")
    made = api.post(me, "/v1/members/me/consents", {"purpose": "market_email"})
    assert made.status_code == 201, made.text
    receipt = made.json()["document"]
    assert receipt["@context"]["dpv"] == "https://w3id.org/dpv#"
    assert receipt["@type"] == "dpv:ConsentReceipt"
    assert set(receipt["@context"]) - {"dpv", "dct", "basis", "name", "address", "contact", "time", "actor"} <= set(
        receipt
    )
    again = api.get(me, f"/v1/members/me/consents/{receipt['record_id']}/receipt").json()["document"]
    assert again["events"] == receipt["events"]
    (key,) = api.get(me, "/v1/consents/keys").json()["keys"]
    notice = api.get(me, f"/v1/notices/{receipt['notice']['version']}/content").json()
    for one in (receipt, again):
        verify_receipt.check(one, public_key=bytes.fromhex(key), notice=notice)
    other = api.session_of("H00001")
    assert api.get(other, f"/v1/members/me/consents/{receipt['record_id']}/receipt").status_code == 404


def test_T42574_a_receipt_is_checked_without_home_and_key(shell: Shell, tmp_path: Path) -> None:
    (key,) = shell.json("support", "consent", "keys")
    made = shell("support", "consent", "record", "shop:H00000", "--purpose", "market_email", "--evidence", "EV-1").out
    version = json.loads(made)["notice"]["version"]
    (tmp_path / "receipt.json").write_text(made, "utf-8")
    source = shell("support", "notice", "show", version, "--source").out
    (tmp_path / "notice.json").write_text(source, "utf-8")
    (tmp_path / "broken.json").write_text(made.replace("market_email", "market_sms"), "utf-8")
    (tmp_path / "other.json").write_text(source.replace("示例商城", "另一商城"), "utf-8")
    nowhere = tmp_path / "no home at all"

    def verify(*words: str) -> int:
        return command_line(nowhere, None, "consent", "verify", *words).code

    receipt, notice = str(tmp_path / "receipt.json"), str(tmp_path / "notice.json")
    assert verify(receipt, "--key", key) == 0
    assert verify(receipt, "--key", key, "--notice", notice) == 0
    assert verify(receipt, "--key", key, "--notice", str(tmp_path / "other.json")) == 7
    assert verify(str(tmp_path / "broken.json"), "--key", key) == 7
    assert verify(receipt, "--key", "00" * 32) == 7
    assert verify(receipt, "--key", "00") == 2
    assert verify(str(tmp_path / "nothing.json"), "--key", key) == 5
    assert not nowhere.exists()


def test_PIPL_17_2_a_member_reads_what_changed_and_is_then_shown_it(api: Any, tmp_path: Path) -> None:
    world = api.world
    world.ingest("shop-members", people(2))
    me, number = api.session_of("H00000"), api.id_of("H00000")
    shown = {"member_id": number, "channel": "app"}
    assert api.post("shop", "/v1/notices/member-notice/deliveries", shown).status_code == 201
    assert api.get(me, "/v1/members/me/notices/changes").json() == []
    before = api.get(me, "/v1/members/me/notices").json()[-1]["version"]

    folder = tmp_path / "changed"
    shutil.copytree(POLICIES, folder)
    path = folder / "notices/member-notice/zh-CN.yaml"
    path.write_text(path.read_text("utf-8").replace("dpo@shop.example", "officer@shop.example", 1), "utf-8")
    policy = load(folder)
    with world.app.unit(Actor.system()) as uow:  # the server beside it goes by what is in force, not by a draft
        gate.activate(uow, policy=policy)
    world.app.policy = policy

    world.pass_time(days=1)
    me = api.session_of("H00000")
    (found,) = api.get(me, "/v1/members/me/notices/changes").json()
    assert (found["notice_id"], found["language"], found["before"]) == ("member-notice", "zh-CN", before)
    (item,) = found["items"]
    assert (item["kind"], item["place"], item["asks_again"]) == ("changed", "officer", False)
    assert "officer@shop.example" in item["after"]
    assert item["after"] in found["text"]
    same = api.get(me, f"/v1/notices/{found['after']}/changes", params={"since": before}).json()
    assert same["items"] == found["items"]
    assert api.get("support", f"/v1/members/{number}/notices/changes").json() == [found]
    shell = Shell(world)
    assert item["after"] in shell("support", "notice", "diff", before, found["after"]).out
    assert api.post("shop", "/v1/notices/member-notice/deliveries", shown).json() == {"new": 1}
    assert api.get(me, "/v1/members/me/notices/changes").json() == []
    told = api.get(me, "/v1/members/me/notices").json()
    assert [(one["version"], one["channel"]) for one in told[-1:]] == [(found["after"], "app")]
    assert api.get(me, f"/v1/notices/{found['after']}/changes", params={"since": "0" * 64}).status_code == 404
    english = next(one for one in api.get(me, "/v1/notices").json()["items"] if one["language"] == "en")["version"]
    assert api.get(me, f"/v1/notices/{found['after']}/changes", params={"since": english}).status_code == 422


def test_T42574_evidence_of_one_and_an_export_of_all_for_the_officer(api: Any, tmp_path: Path) -> None:
    world = api.world
    world.ingest("shop-members", people(2))
    me, page = api.session_of("H00000"), "0" * 64
    body = {"purpose": "market_email", "evidence": "click-1", "ui_hash": page}
    record = api.post(me, "/v1/members/me/consents", body).json()["document"]["record_id"]
    for who, code in (("compliance", 200), ("support", 403), (me, 403)):
        found = api.get(who, f"/v1/consents/{record}/evidence")
        assert found.status_code == code, who
        assert api.post(who, "/v1/consents/exports", {}).status_code == 403, f"{who} alone"
    proof = api.get("compliance", f"/v1/consents/{record}/evidence").json()
    assert (proof["evidence"], proof["ui_hash"]) == ("click-1", page)
    assert proof["text_shown"]
    world.approve("compliance", GuardedAct.CONSENT_EXPORT)
    lines = api.post("compliance", "/v1/consents/exports", {}).text.splitlines()
    assert [json.loads(line)["record_id"] for line in lines] == [record]
    question = {"act": "consent_export", "format": "csv"}
    for wrong in ({"format": "arrow"}, {"segment": "recent_buyers"}):
        assert api.post("compliance", "/v1/operators/approvals", question | wrong).status_code == 422
    asked = api.post("compliance", "/v1/operators/approvals", question).json()["approval_id"]
    assert api.post("second", f"/v1/operators/approvals/{asked}/approval").status_code == 200
    table = api.post("compliance", "/v1/consents/exports", {"format": "csv"}).text
    assert table.splitlines()[1].startswith(record)
    shell = Shell(world)
    shell("compliance", "consent", "evidence", record, str(tmp_path / "proof.json"))
    assert json.loads((tmp_path / "proof.json").read_text("utf-8"))["log"]["event"]
    export = ("consent", "export", str(tmp_path / "all.csv"), "--format", "csv", "--as-of", "2027-06-30")
    asked = shell.json("compliance", "access", "approvals", "ask", "consent_export", *export[3:])["approval_id"]
    shell("second", "access", "approvals", "approve", asked)
    shell("compliance", *export[:5], expect=4)  # other instants than those approved
    shell("compliance", *export)
    assert (tmp_path / "all.csv").read_text("utf-8") == table
    shell("compliance", "consent", "export", str(tmp_path / "all.csv"), expect=6)


def test_NDR_22_5_the_member_and_the_shop_see_what_may_be_asked(api: Any) -> None:
    api.world.ingest("shop-members", people(2))
    me = api.session_of("H00000")

    def open_now() -> set[str]:
        return {one["purpose"] for one in api.get(me, "/v1/members/me/consents/askable").json() if one["may_ask"]}

    assert "market_email" in open_now()
    ask = {"purpose": "market_email", "state": "requested"}
    assert api.post(me, "/v1/members/me/consents", ask).status_code == 201
    again = api.post(me, "/v1/members/me/consents", ask)
    assert (again.status_code, again.json()["code"]) == (422, "ASKED_LATELY")
    assert "market_email" not in open_now()
    assert "market_sms" in open_now()
    told = Shell(api.world).json("support", "consent", "askable", "shop:H00000")
    assert {one["purpose"] for one in told if one["may_ask"]} == open_now()
