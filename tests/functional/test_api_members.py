"""The member's journey and the service desk's, over HTTP: see, download, correct, withdraw, ask for deletion."""

import io
import json
import zipfile
from urllib.parse import urlsplit

import pytest


def search(shop, role, **wanted):
    return shop.post(role, "/v1/members/searches", wanted)


def test_a_member_is_found_by_body_and_seen_masked(shop):
    person = shop.members[3]
    phone = person["手机号"]
    found = search(shop, "support", field="phone", value=f"{phone[:3]} {phone[3:7]} {phone[7:]}")
    assert found.json() == {"members": [shop.id_of("H00003")]}
    assert search(shop, "support", system="shop", number="H00003").json() == found.json()
    assert search(shop, "support", field="phone", value="13900139000").json() == {"members": []}
    shown = shop.get("support", f"/v1/members/{shop.id_of('H00003')}")
    assert shown.status_code == 200
    assert shown.json()["status"] == "active"
    for value in (person["姓名"], phone, person["邮箱"], person["身份证号"], person["收货地址"], person["出生日期"]):
        assert value not in shown.text


def test_the_shops_key_finds_by_number_only(shop):
    assert search(shop, "shop", system="shop", number="H00003").status_code == 200
    refused = search(shop, "shop", field="phone", value=shop.members[3]["手机号"])
    assert refused.status_code == 403
    assert refused.json()["reasons"][0]["code"] == "SCOPE_MISSING"


def test_a_reveal_needs_purpose_and_reason_and_is_logged_before_it_leaves(shop):
    member, person = shop.id_of("H00004"), shop.members[4]
    path = f"/v1/members/{member}/reveals"
    assert shop.post("support", path, {"fields": ["phone"], "purpose": "service"}).status_code == 422
    refused = shop.post("support", path, {"fields": ["phone"], "purpose": "segment", "reason": "CALL_BACK"})
    assert refused.status_code == 403
    assert "ROLE_NOT_ALLOWED" in {reason["code"] for reason in refused.json()["reasons"]}
    assert refused.json()["reasons"][0]["article"]
    # the shop's import came with a notice only where its source says so: without one the gate refuses
    opened = shop.post("support", path, {"fields": ["phone"], "purpose": "service", "reason": "CALL_BACK"})
    assert opened.status_code == 200, opened.text
    assert opened.json()["fields"]["phone"].endswith(person["手机号"])
    log = shop.get("compliance", "/v1/audit/events", params={"member_id": member, "kind": "reveal"}).json()["items"]
    assert [(event["actor"], event["purpose"], event["reasons"]) for event in log] == [
        (shop.world.actor("support").id, "service", ["CALL_BACK"])
    ]


def test_a_member_sees_downloads_corrects_and_nobody_elses_data_are_in_reach(shop):
    me, person, other = shop.session_of("H00005"), shop.members[5], shop.members[6]
    seen = shop.get(me, "/v1/members/me")
    assert seen.status_code == 200
    assert seen.json()["member_id"] == shop.id_of("H00005")
    assert person["手机号"] not in seen.text

    made = shop.post(me, "/v1/members/me/packages")
    assert made.status_code == 201, made.text
    assert made.headers["location"] == f"/v1/members/me/requests/{made.json()['request']['request_id']}"
    path = urlsplit(made.json()["link"]["url"]).path
    first = shop.get(None, path)
    assert first.status_code == 200
    assert first.text == shop.get(None, path).text, "opening the page uses nothing up"
    package = shop.post(None, path)
    assert package.status_code == 200
    assert package.headers["content-disposition"] == 'attachment; filename="my-data.zip"'
    with zipfile.ZipFile(io.BytesIO(package.content)) as archive:
        data = json.loads(archive.read("data.json"))
    assert data["identity"]["name"] == person["姓名"]
    assert data["facts"]["orders"]
    assert other["姓名"] not in json.dumps(data["identity"], ensure_ascii=False)
    assert shop.post(None, path).status_code == 404, "the link works once"

    corrected = shop.post(me, "/v1/members/me/corrections", {"field": "email", "value": "New.Name@example.com"})
    assert corrected.status_code == 201, corrected.text
    assert corrected.json()["request"]["state"] == "fulfilled"
    assert "new.name@example.com" not in corrected.text.lower()
    assert search(shop, "support", field="email", value="new.name@example.com").json()["members"] == [
        shop.id_of("H00005")
    ]
    assert search(shop, "support", field="email", value=person["邮箱"]).json()["members"] == []

    for mine in ("/v1/members", "/v1/requests", "/v1/audit/events", f"/v1/members/{shop.id_of('H00006')}"):
        assert shop.get(me, mine).status_code in (403, 404)
    swapped = shop.post(me, f"/v1/members/{shop.id_of('H00006')}/tokens")
    assert swapped.status_code == 403, "a member's session opens no other one"


def test_withdrawal_binds_at_once_and_its_receipt_comes_back(shop):
    me, member = shop.session_of("H00007"), shop.id_of("H00007")
    question = {"member_id": member, "purpose": "market_email", "operation": "send", "channel": "email"}
    question["fields"] = ["email", "name"]
    before = shop.post("compliance", "/v1/policies/decisions", question).json()
    assert "CONSENT_WITHDRAWN" not in {reason["code"] for reason in before["reasons"]}
    done = shop.post(me, "/v1/members/me/consents/withdrawals", {"purpose": "market_email"})
    assert done.status_code == 201, done.text
    assert done.json()["purpose"] == "market_email"
    assert len(done.json()["receipts"]) == 1
    after = shop.post("compliance", "/v1/policies/decisions", question).json()
    assert after["permitted"] is False
    assert "CONSENT_WITHDRAWN" in {reason["code"] for reason in after["reasons"]}
    states = {c["purpose"]: c["state"] for c in shop.get(me, "/v1/members/me/consents").json()["consents"]}
    assert states["market_email"] == "withdrawn"
    assert states["segment"] == "given"
    path = f"/v1/members/{member}/consents"
    then = shop.get("compliance", path, params={"as_of": "2026-06-01T00:00:00Z"}).json()["consents"]
    assert {c["purpose"]: c["state"] for c in then}["market_email"] == "given", "what was done before stays valid"
    history = shop.get("compliance", f"{path}/history").json()
    assert [item["state"] for item in history if item["purpose"] == "market_email"] == ["given", "withdrawn"]
    assert next(item["text"] for item in history if item["state"] == "given")


def test_consent_is_given_with_a_signed_receipt(shop):
    me = shop.session_of("H00008")
    body = {"purpose": "recommend", "evidence": "UI-1"}
    given = shop.post(me, "/v1/members/me/consents", body)
    assert given.status_code == 201, given.text
    receipt = given.json()
    assert receipt["document"]["subject_ref"] == shop.id_of("H00008")
    assert receipt["document"]["signature"]["algorithm"] == "Ed25519"
    again = shop.get("compliance", f"/v1/consents/{receipt['record_id']}/receipt")
    assert again.json()["document"]["purpose"] == receipt["document"]["purpose"]
    ticked = shop.post(me, "/v1/members/me/consents", body | {"preticked": True})
    assert (ticked.status_code, ticked.json()["code"]) == (422, "PRETICKED")
    order = shop.post(me, "/v1/members/me/consents", {"purpose": "order"})
    assert order.status_code in (409, 422), "a contract's purpose takes no consent (PIPL-16)"


def test_a_member_restricts_and_lifts(shop):
    me = shop.session_of("H00009")
    stop = {"kind": "do_not_contact", "channel": "email"}
    assert shop.post(me, "/v1/members/me/restrictions", stop).status_code == 201
    assert shop.get(me, "/v1/members/me/consents").json()["restrictions"] == [stop | {"purpose": ""}]
    assert shop.post(me, "/v1/members/me/restrictions/lifts", stop).status_code == 201
    assert shop.get(me, "/v1/members/me/consents").json()["restrictions"] == []


def test_a_deletion_from_request_to_receipt(shop):
    me, member, person = shop.session_of("H00010"), shop.id_of("H00010"), shop.members[10]
    asked = shop.post(me, "/v1/members/me/requests", {"type": "deletion"})
    assert asked.status_code == 201, asked.text
    request = asked.json()
    assert request["state"] == "assessing"
    assert request["due_on"] > "2026-11-02"
    assert asked.headers["location"] == f"/v1/members/me/requests/{request['request_id']}"
    assert shop.get(me, asked.headers["location"]).json()["number"] == request["number"]
    assert shop.post(me, "/v1/members/me/requests", {"type": "deletion"}).status_code == 409
    assert shop.get(me, asked.headers["location"] + "/receipt").status_code == 404
    assert shop.post(me, asked.headers["location"] + "/execution").status_code == 403, "a deletion is staff's"

    staff = f"/v1/requests/{request['request_id']}"
    plan = shop.get("compliance", f"{staff}/plan").json()
    assert plan["facts"]["orders"] > 0
    assert plan["holds"], "orders that the law keeps are named"
    done = shop.post("compliance", f"{staff}/execution")
    assert done.status_code == 200, done.text
    receipt = done.json()["receipt"]
    assert receipt["document"]["log"]["proof"]["path"] is not None
    assert shop.get("compliance", f"{staff}/receipt").json() == receipt
    assert shop.post("compliance", f"{staff}/execution").json()["receipt"] == receipt, "asked again, nothing more"
    assert search(shop, "support", field="phone", value=person["手机号"]).json() == {"members": []}
    assert shop.get(me, "/v1/members/me").status_code == 401, "the session ended with the member"
    assert shop.get("support", f"/v1/members/{member}").status_code == 404
    assert person["姓名"] not in done.text


def test_a_request_is_cancelled_before_it_is_executed(shop):
    me = shop.session_of("H00011")
    request = shop.post(me, "/v1/members/me/requests", {"type": "deletion"}).json()
    path = f"/v1/members/me/requests/{request['request_id']}"
    cancelled = shop.post(me, f"{path}/cancellation")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert shop.post(me, f"{path}/cancellation").status_code == 409
    assert shop.get(shop.session_of("H00012"), path).status_code == 404, "another member's request is not there"
    assert [r["state"] for r in shop.get(me, "/v1/members/me/requests").json()["items"]] == ["cancelled"]


def test_staff_takes_a_request_in_and_checks_identity_with_held_data(shop):
    member, person = shop.id_of("H00013"), shop.members[13]
    taken = shop.post("support", "/v1/requests", {"member_id": member, "type": "access"})
    assert (taken.status_code, taken.json()["state"]) == (201, "identity_check")
    path = taken.headers["location"]
    wrong = shop.post("support", f"{path}/verification", {"field": "phone", "value": "13900000000"})
    assert (wrong.status_code, wrong.json()["reasons"][0]["code"]) == (403, "NOT_VERIFIED")
    right = shop.post("support", f"{path}/verification", {"field": "phone", "value": person["手机号"]})
    assert (right.status_code, right.json()["state"]) == (200, "assessing")
    refused = shop.post("compliance", f"{path}/refusal", {"code": "THIRD_PARTY_HARM"})
    assert (refused.json()["state"], refused.json()["refusal_article"]) == ("refused", "NDR-25")
    assert shop.post("compliance", f"{path}/refusal", {"code": "THIRD_PARTY_HARM"}).status_code == 409


def test_requests_come_in_pages_and_overdue_ones_are_listed(shop):
    for number in ("H00020", "H00021", "H00022"):
        assert shop.post("support", "/v1/requests", {"member_id": shop.id_of(number), "type": "access"}).is_success
    everything = shop.get("compliance", "/v1/requests", params={"limit": 1000}).json()
    assert everything["next"] is None
    seen, cursor = [], None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        part = shop.get("compliance", "/v1/requests", params=params).json()
        assert len(part["items"]) <= 2
        seen += [request["number"] for request in part["items"]]
        if (cursor := part["next"]) is None:
            break
    assert seen == [request["number"] for request in everything["items"]]
    forged = shop.get("compliance", "/v1/requests", params={"cursor": "A" * 40})
    assert (forged.status_code, forged.json()["code"]) == (422, "CURSOR")
    assert shop.get("compliance", "/v1/requests", params={"overdue": "true"}).json()["items"] == []


@pytest.mark.parametrize("path", ["/v1/members/13800138000", "/v1/requests/R-2026-000001"])
def test_a_path_takes_ids_only(shop, path):
    answer = shop.get("compliance", path)
    assert answer.status_code == 422
    assert path.rsplit("/", 1)[1] not in answer.text


def test_a_members_session_ends_after_a_quarter_of_an_hour(shop):
    me = shop.session_of("H00030")
    shop.world.pass_time(minutes=14)
    assert shop.get(me, "/v1/members/me").status_code == 200
    shop.world.pass_time(minutes=2)
    assert shop.get(me, "/v1/members/me").status_code == 401
    assert shop.post("marketing", f"/v1/members/{shop.id_of('H00030')}/tokens").status_code == 403


def test_no_session_is_opened_for_who_is_not_there(shop):
    for answer in (shop.post("shop", f"/v1/members/{'0' * 32}/tokens"), shop.get("support", f"/v1/members/{'0' * 32}")):
        assert answer.status_code == 404
