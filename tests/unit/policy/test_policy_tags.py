"""No segment, view or feature is named by a word that the policy denies."""

from dataclasses import replace
from types import MappingProxyType

import pytest

from common.policies import SHIPPED
from pdms.policy.lint import problems
from pdms.policy.loader import load
from pdms.policy.tags import denied
from pdms.taxonomy import Language

WORDS = ("疾病", "illness", "sexual orientation", "poor")


@pytest.mark.parametrize(
    "text",
    ["有疾病史的会员", "Illness", "by_illness_2026", "ILLNESS!", "sexual_orientation", "Sexual Orientation", "poor"],
)
def test_ALG_10_a_denied_word_is_found_in_any_form(text):
    assert denied(WORDS, ["loyal", text])


@pytest.mark.parametrize("text", ["loyal", "近期忠诚会员", "poorly", "spoor", "", "ill", "orientation"])
def test_other_words_pass(text):
    assert not denied(WORDS, [text])
    assert not denied((), ["疾病"])


def test_ALG_10_views_and_example_segments_are_read_too():
    policy = load(SHIPPED)
    assert policy.denied_tags
    view = policy.views["member_value"]
    for changed in (
        replace(view, name="illness"),
        replace(view, label=MappingProxyType({**view.label, Language.ZH: "患者"})),
        replace(view, features=(replace(view.features[0], name="religion"), *view.features[1:])),
    ):
        bad = replace(policy, views=MappingProxyType({**policy.views, "member_value": changed}))
        assert [line for line in problems(bad) if "ALG-10" in line]
    said = {**policy.segments["loyal_recent"], "label": {"en": "Pregnant members"}}
    assert any(
        "segments/loyal_recent.yaml" in line for line in problems(replace(policy, segments={"loyal_recent": said}))
    )
