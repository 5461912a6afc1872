"""The rules are public: read without a key, word for word as members are shown them, under the same digests."""

import re
from dataclasses import replace
from html import unescape
from types import MappingProxyType

import pytest

from pdms.api.public import rules_html
from pdms.reports.rules import rules_of
from pdms.taxonomy import Language, Operation


@pytest.mark.parametrize("language", Language)
def test_PIPL_7_the_rules_in_force_are_read_without_a_key_as_members_are_shown_them(shop, language):
    read = shop.get(None, "/v1/rules", params={"language": language.value})
    assert read.status_code == 200, read.text
    rules = read.json()
    assert rules["policy"] == shop.get("compliance", "/v1/policies/current").json()["digest"]
    assert {one["notice"] for one in rules["notices"]} == {"member-notice", "child-notice"}
    page = shop.get(None, "/v1/rules/page", params={"language": language.value})
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(r"<script|src=|https?://", page.text)
    assert rules["policy"] in page.text
    for notice in rules["notices"]:
        shown = shop.get("compliance", f"/v1/notices/{notice['version']}").json()
        assert (notice["text"], notice["title"]) == (shown["text"], shown["title"])
        assert shown["text"] in unescape(page.text)
    assert shop.get(None, "/v1/rules", params={"language": "fr"}).status_code == 422


@pytest.mark.parametrize("language", Language)
def test_ALG_16_everybody_reads_principle_intent_and_mechanism_of_each_algorithm(shop, language):
    cards = {
        one["purpose"]: one
        for one in shop.get(None, "/v1/rules", params={"language": language.value}).json()["algorithms"]
    }
    page = unescape(shop.get(None, "/v1/rules/page", params={"language": language.value}).text)
    deciding = [
        one
        for one in shop.world.app.policy.purposes.values()
        if {Operation.PROFILE, Operation.ADM} & set(one.operations)
    ]
    assert len(deciding) >= 3
    assert set(cards) == {one.name for one in deciding}
    for purpose in deciding:
        card = cards[purpose.name]
        for name in ("principle", "intent", "mechanism"):
            assert card[name] == getattr(purpose.algorithm, name)[language]
            assert card[name] in page
        assert len(card["inputs"]) == len(purpose.categories)
        assert (card["off_switch"], card["human_review"]) == (purpose.opt_out, purpose.human_review)


def test_PIPL_7_a_changed_policy_is_read_under_another_digest(shop):
    policy = shop.world.app.policy
    notice = policy.notices["member-notice"][Language.ZH]
    other = replace(notice, introduction="<b>改了</b>", version="1" * 64)
    versions = MappingProxyType({**policy.notices["member-notice"], Language.ZH: other})
    changed = replace(policy, digest="2" * 64, notices=MappingProxyType({**policy.notices, "member-notice": versions}))
    before, after = (rules_of(one, language=Language.ZH) for one in (policy, changed))
    assert (before.policy, after.policy) == (policy.digest, "2" * 64)
    texts = [{one.notice: one.text for one in rules.notices} for rules in (before, after)]
    assert "<b>改了</b>" in texts[1]["member-notice"]
    assert "<b>" not in rules_html(after)
    assert texts[0]["member-notice"] != texts[1]["member-notice"]
    assert texts[0]["child-notice"] == texts[1]["child-notice"]
