"""Marketing's journey over HTTP: a release, a segment, a campaign, its rounded effect; and the member's one-click way
out of it."""

import csv
import io
import re
from collections import Counter

import pytest

from pdms.taxonomy import GuardedAct

SEGMENT = {
    "name": "recent_buyers",
    "view": "member_value",
    "label": {"zh-CN": "近期买家", "en": "Recent buyers"},
    "rule": {"feature": "recency_days", "below": 365},
}
CAMPAIGN = {
    "name": "autumn",
    "segment": "recent_buyers",
    "purpose": "market_email",
    "channel": "email",
    "min_size": 50,
    "frequency_cap": {"messages": 2, "days": 30},
    "template": {
        "language": "zh-CN",
        "subject": "秋季新品",
        "body": "{name}您好！\n秋季新品已上架。\n退订： {opt_out} \n",
    },
}


@pytest.fixture(scope="module")
def release(shop):
    made = shop.post("compliance", "/v1/views/member_value/releases")
    assert made.status_code == 201, made.text
    return made


@pytest.fixture(scope="module")
def campaign(shop, release):
    saved = shop.post("marketing", "/v1/segments", {"document": SEGMENT})
    assert (saved.status_code, saved.headers["location"]) == (201, "/v1/segments/recent_buyers"), saved.text
    drafted = shop.post("marketing", "/v1/campaigns", {"document": CAMPAIGN})
    assert (drafted.status_code, drafted.headers["location"]) == (201, "/v1/campaigns/autumn"), drafted.text
    return drafted.headers["location"]


def test_a_release_is_published_by_officers_and_read_by_marketing(shop, release):
    assert shop.post("marketing", "/v1/views/member_value/releases").status_code == 403
    manifest = release.json()
    path = release.headers["location"]
    assert path == f"/v1/releases/{manifest['release_id']}"
    assert manifest["k"] >= 10
    assert manifest["eligible"] >= manifest["rows"] > 200
    shown = shop.get("marketing", path)
    assert shown.json()["info"]["state"] == "live"
    assert shop.get("marketing", f"{path}/manifest").status_code == 403, "exact numbers are the officer's"
    assert shop.get("compliance", f"{path}/manifest").status_code == 200
    listed = shop.get("marketing", "/v1/releases", params={"view": "member_value", "limit": 1}).json()
    assert listed["items"][0]["release_id"] == manifest["release_id"]
    refused = shop.post("marketing", f"{path}/exports", {"format": "csv"})
    assert (refused.status_code, refused.json()["reasons"][0]["code"]) == (403, "APPROVAL_MISSING")
    for form in ("csv", "parquet"):
        shop.world.approve("marketing", GuardedAct.BULK_EXPORT, release_id=manifest["release_id"], format=form)
    rows = shop.post("marketing", f"{path}/exports", {"format": "csv"})
    assert rows.status_code == 200, rows.text
    table = list(csv.DictReader(io.StringIO(rows.text)))
    assert len(table) == manifest["rows"]
    assert set(table[0]) == {f["name"] for f in shop.get("marketing", "/v1/views/member_value").json()["features"]}
    parquet = shop.post("marketing", f"{path}/exports", {"format": "parquet"})
    assert parquet.content[:4] == b"PAR1"
    for person in shop.members:
        for value in (person["手机号"], person["姓名"], person["邮箱"], person["身份证号"]):
            assert value not in rows.text


def test_T35273_7_4_marketing_reads_cohorts_and_no_profile_of_one_member(shop, release):
    asked = {"release_id": release.json()["release_id"], "format": "csv"}
    shop.world.approve("marketing", GuardedAct.BULK_EXPORT, **asked)
    rows = shop.post("marketing", f"{release.headers['location']}/exports", {"format": "csv"})
    cohorts = Counter(tuple(row.values()) for row in csv.DictReader(io.StringIO(rows.text)))
    assert min(cohorts.values()) >= release.json()["k"] >= 10
    one = shop.id_of("H00042")
    for method, path, body in (
        ("GET", f"/v1/members/{one}", None),
        ("GET", f"/v1/members/{one}/consents", None),
        ("POST", f"/v1/members/{one}/reveals", {"fields": ["phone"], "purpose": "segment", "reason": "CALL_BACK"}),
        ("POST", "/v1/policies/decisions", {"member_id": one, "purpose": "segment", "operation": "profile"}),
        ("POST", "/v1/members/searches", {"field": "phone", "value": shop.members[42]["手机号"]}),
    ):
        answer = shop.call("marketing", method, path, json=body)
        assert answer.status_code == 403, (path, answer.text)


def test_a_segment_is_previewed_in_rounded_ranges(shop, campaign):
    shown = shop.post("marketing", "/v1/segments/recent_buyers/previews")
    assert shown.status_code == 200, shown.text
    low = shown.json()["matched"]["low"]
    assert low["below"] == 50 or low["value"] % 10 == 0
    rfm = shop.get("marketing", "/v1/views/member_value/rfm")
    assert rfm.status_code == 200, rfm.text
    refused = shop.post("marketing", "/v1/segments/recent_buyers/exports", {"format": "csv"})
    assert (refused.status_code, refused.json()["reasons"][0]["code"]) == (403, "APPROVAL_MISSING")
    shop.world.approve("marketing", GuardedAct.BULK_EXPORT, segment="recent_buyers")
    exported = shop.post("marketing", "/v1/segments/recent_buyers/exports", {"format": "csv"})
    assert exported.status_code == 200 or exported.json()["reasons"][0]["code"] == "BELOW_MIN_CELL"
    wrong = SEGMENT | {"name": "fine", "rule": {"feature": "recency_days", "below": 91}}
    refused = shop.post("marketing", "/v1/segments", {"document": wrong})
    assert refused.status_code == 422, "a threshold must be an edge that the view declares"


def test_templates_are_refused_before_anything_can_be_sent(shop, campaign):
    for body in ("https://x.example/?n={name} {opt_out} ", "{phone} {opt_out} ", "no way out"):
        wrong = CAMPAIGN | {"name": "wrong", "template": CAMPAIGN["template"] | {"body": body}}
        refused = shop.post("marketing", "/v1/campaigns", {"document": wrong})
        assert (refused.status_code, refused.json()["code"]) == (422, "TEMPLATE_REFUSED")


def test_a_campaign_reaches_who_consents_at_that_moment_and_the_opt_out_ends_it(shop, campaign):
    number = "H00042"
    person = shop.members[42]
    member = shop.id_of(number)
    preview = shop.post("marketing", f"{campaign}/previews")
    assert preview.status_code == 200, preview.text
    assert preview.json()["enough"] is True
    leaving = shop.members[43]
    withdrawal = {"member_id": shop.id_of("H00043"), "purpose": "market_email"}
    assert shop.post("support", "/v1/consents/withdrawals", withdrawal).status_code == 201

    sent = shop.post("marketing", f"{campaign}/sends")
    assert sent.status_code == 200, sent.text
    assert sent.json()["state"] == "finished"
    for count in sent.json()["counts"].values():
        assert count["below"] == 50 or count["low"] < count["value"] < count["high"]
    messages = shop.recorder.messages
    addresses = {message.recipient for message in messages}
    assert leaving["邮箱"] not in addresses, "withdrawn between preview and send"
    assert person["邮箱"] in addresses
    again = shop.post("marketing", f"{campaign}/sends")
    assert len(shop.recorder.messages) == len(addresses), (again.text, "nobody gets it twice")

    counts = shop.get("marketing", f"{campaign}/counts").json()["counts"]
    assert counts["handed_over"]["low"] < len(addresses) + 20
    assert shop.get("marketing", f"{campaign}/exact-counts").status_code == 403
    exact = shop.get("compliance", f"{campaign}/exact-counts").json()["members"]
    assert exact["handed_over"] == len(addresses)

    message = next(m for m in messages if m.recipient == person["邮箱"])
    assert message.content["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = re.search(r"/v1/opt-outs/[A-Za-z0-9_-]+", message.content["List-Unsubscribe"])[0]
    page = shop.get(None, link)
    unknown = "/v1/opt-outs/" + "x" * 43
    assert page.status_code == 200
    assert page.text == shop.get(None, unknown).text, "a scanner that follows the link learns and changes nothing"
    state = shop.get("compliance", f"/v1/members/{member}/consents").json()["consents"]
    assert {c["purpose"]: c["state"] for c in state}["market_email"] == "given"

    one_click = shop.post(None, link, content=b"List-Unsubscribe=One-Click")
    assert one_click.status_code == 200
    assert one_click.text == shop.post(None, unknown).text == shop.post(None, link).text, "the answer is constant"
    state = shop.get("compliance", f"/v1/members/{member}/consents").json()["consents"]
    assert {c["purpose"]: c["state"] for c in state}["market_email"] == "withdrawn"
    log = shop.get("compliance", "/v1/audit/events", params={"member_id": member, "kind": "optout.used"}).json()
    assert [event["actor"] for event in log["items"]] == ["anonymous"]

    answers = [sent, preview, again, shop.get("marketing", campaign), shop.get("marketing", f"{campaign}/counts")]
    for answer in answers:
        assert not any(one["邮箱"] in answer.text or one["姓名"] in answer.text for one in shop.members)
        assert member not in answer.text


def test_an_officer_withdraws_a_release(shop, release):
    path = release.headers["location"]
    assert shop.post("marketing", f"{path}/withdrawal").status_code == 403
    ended = shop.post("compliance", f"{path}/withdrawal")
    assert (ended.status_code, ended.json()["state"]) == (200, "withdrawn")
    refused = shop.post("marketing", f"{path}/exports", {"format": "csv"})
    assert refused.status_code == 403
    assert refused.json()["reasons"][0]["code"] == "RELEASE_NOT_LIVE"
