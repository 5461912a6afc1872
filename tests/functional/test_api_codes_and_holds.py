"""Over HTTP: a one-time code proves identity; a held record opens for an officer who names the order and the case."""

import re

import pytest

from pdms.taxonomy import GuardedAct


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_a_code_sent_to_the_contact_on_file_proves_identity(shop, language: str) -> None:
    member = shop.id_of("H00031" if language == "en" else "H00032")
    request = shop.post("support", "/v1/requests", {"member_id": member, "type": "access"}).json()
    path = f"/v1/requests/{request['request_id']}"
    before = len(shop.recorder.messages)
    sent = shop.post("support", f"{path}/codes", {"language": language})
    assert sent.status_code == 200, sent.text
    assert re.search(r"[0-9]{8}", sent.text.replace(sent.json()["expires_at"], "")) is None, (
        "the code goes nowhere else"
    )
    (message,) = shop.recorder.messages[before:]
    del shop.recorder.messages[before:]  # others count what the shop sent
    code = re.search(r"[0-9]{8}", message.content.get_content())
    assert code is not None
    wrong = shop.post("support", f"{path}/code-verification", {"code": "00000000"})
    assert wrong.status_code == 403
    good = shop.post("support", f"{path}/code-verification", {"code": code[0]})
    assert good.json()["state"] == "assessing"
    assert shop.post("marketing", f"{path}/codes", {"language": language}).status_code == 403
    assert shop.post("support", f"{path}/cancellation").status_code == 200


def test_a_held_record_is_found_by_its_order_and_opened_for_a_case(shop) -> None:
    row = next(m for m in shop.members if m["会员编号"] == "H00033")
    member = shop.id_of("H00033")
    request = shop.post("support", "/v1/requests", {"member_id": member, "type": "deletion"}).json()
    path = f"/v1/requests/{request['request_id']}"
    assert shop.post("support", f"{path}/verification", {"field": "phone", "value": row["手机号"]}).status_code == 200
    assert shop.get("support", f"{path}/plan").json()["holds"]
    assert shop.post("support", f"{path}/execution").status_code == 200
    orders = [
        line.split(",")[1]
        for line in (shop.world.folder / "shop-orders.csv").read_text().splitlines()
        if line.startswith("H00033,")
    ]
    found = shop.post("compliance", "/v1/reports/held-records/searches", {"order": orders[0]}).json()
    assert found
    opening = f"/v1/reports/held-records/{found[0]['held_id']}/openings"
    alone = shop.post("compliance", opening, {"ticket": "CASE-7"})
    assert (alone.status_code, alone.json()["reasons"][0]["code"]) == (403, "APPROVAL_MISSING")
    shop.world.approve("compliance", GuardedAct.HOLD_ACCESS, held_id=found[0]["held_id"], ticket="CASE-7")
    assert shop.post("compliance", opening, {"ticket": "CASE-7"}).json()["order"] == orders[0]
    assert shop.post("compliance", opening, {"ticket": "because"}).status_code == 422
    for role in ("support", "marketing", "admin", "ingest"):
        assert shop.post(role, opening, {"ticket": "CASE-7"}).status_code == 403
    kinds = shop.get("compliance", "/v1/audit/events", params={"kind": "hold.opened"}).json()["items"]
    assert len(kinds) == 1
