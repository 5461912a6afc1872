"""The view linter: each code by a view that earns it, and none by the views that pdms ships."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.policies import SHIPPED
from pdms.errors import InvalidInput
from pdms.policy.definitions import HierarchyTable
from pdms.policy.definitions_views import SensitiveFeature
from pdms.policy.lint_views import view_problems
from pdms.policy.loader import load
from pdms.policy.yaml_reader import read_yaml
from pdms.taxonomy import Language
from pdms.views.definitions import space_of
from pdms.views.lint_words import WORDS
from pdms.views.linting import Column, Columns, findings, findings_of_document, findings_on_data, report

POLICY = load(SHIPPED)
VALUE = POLICY.views["member_value"]
RECENCY, ORDERS, SPEND, CATEGORY, AGE, CITY = VALUE.features
TEL, MAIL = "13800138000", "someone@example.com"


def table(name, *rows):
    return HierarchyTable(name=name, rows=rows, source="test")


TABLES = {
    "days": table(
        "days", *[(f"2026-01-{day:02}", "2026-01", "*") for day in range(1, 20)], ("unknown", "unknown", "*")
    ),
    "people": table("people", (TEL, "a", "*"), ("unknown", "unknown", "*")),
    "wide": table("wide", *[(f"leaf-{n}", "a", "*") for n in range(120)], ("unknown", "unknown", "*")),
    "huge": table("huge", *[(f"leaf-{n}", "a", "*") for n in range(10_001)], ("unknown", "unknown", "*")),
    "flat": table("flat", *[(f"leaf-{n}", "*") for n in range(12)], ("unknown", "*")),
}
KNOWN = replace(POLICY, hierarchies={**POLICY.hierarchies, **TABLES})


def codes(view, policy=KNOWN) -> set[tuple[str, str, str]]:
    return {(one.code, one.severity, one.feature) for one in findings(policy, view)}


def only(feature, **changes):
    return replace(VALUE, name="tried", features=(replace(feature, **changes),))


def secret(feature, *, diversity=None, l=2.0, t=None, distance="equal"):  # noqa: E741 - the criterion's own name
    return replace(VALUE, sensitive=SensitiveFeature(feature, diversity, l, 1.0, t, distance))


@pytest.mark.parametrize("name", sorted(POLICY.views))
def test_no_view_that_is_shipped_has_an_error(name):
    found = list(findings(POLICY, POLICY.views[name]))
    assert not [one.code for one in found if one.severity == "error"]


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (replace(VALUE, purpose="nothing"), ("PURPOSE_UNKNOWN", "error", "")),
        (replace(VALUE, purpose="analytics"), ("PURPOSE_WITHOUT_VIEW", "error", "")),
        (replace(VALUE, k=9, risk_threshold=0.12), ("K_TOO_LOW", "error", "")),
        (replace(VALUE, min_cell=10), ("MIN_CELL_TOO_LOW", "error", "")),
        (replace(VALUE, risk_threshold=0.2), ("RISK_TOO_HIGH", "error", "")),
        (replace(VALUE, risk_threshold=0.05), ("RISK_TOO_HIGH", "error", "")),
        (replace(VALUE, features=(*VALUE.features, CITY)), ("TOO_MANY_FEATURES", "error", "")),
        (replace(VALUE, features=(*VALUE.features, CITY)), ("MEASURE_TWICE", "error", "city_tier")),
        (replace(VALUE, consumers=("nobody",)), ("CONSUMER_UNKNOWN", "error", "")),
        (replace(VALUE, consumers=("support",)), ("CONSUMER_WITHOUT_PURPOSE", "warning", "")),
        (replace(VALUE, purpose="partner"), ("NO_PUBLISHER", "warning", "")),
        (replace(VALUE, algorithm="full_domain"), ("ALGORITHM_ALONE", "warning", "")),
        (replace(VALUE, expiry_days=31), ("EXPIRY_TOO_LONG", "warning", "")),
        (replace(VALUE, label={Language.ZH: "Value", Language.EN: "Value"}), ("LABEL_MISSING", "warning", "")),
        (
            replace(VALUE, label={Language.ZH: "会员", Language.EN: "Members of a religion"}),
            ("TAG_DENIED", "error", ""),
        ),
        (only(RECENCY, name="phone"), ("IDENTIFIER", "error", "phone")),
        (only(RECENCY, measure="pseudonym"), ("IDENTIFIER", "error", "recency_days")),
        (only(RECENCY, measure="shoe_size"), ("MEASURE_UNKNOWN", "error", "recency_days")),
        (only(RECENCY, edges=None), ("EXACT_VALUE", "error", "recency_days")),
        (only(RECENCY, edges=(30.0, 7.0), coarser=()), ("EDGES_ORDER", "error", "recency_days")),
        (only(RECENCY, edges=tuple(map(float, range(40))), coarser=()), ("TOO_MANY_BINS", "error", "recency_days")),
        (only(RECENCY, coarser=((8.0,),)), ("COARSER_NOT_NESTED", "error", "recency_days")),
        (only(RECENCY, coarser=()), ("COARSER_MISSING", "warning", "recency_days")),
        (only(RECENCY, name="lately"), ("LABEL_MISSING", "warning", "lately")),
        (only(RECENCY, label={Language.ZH: "-", Language.EN: "-"}), ("LABEL_MISSING", "warning", "recency_days")),
        (only(CITY, hierarchy=None), ("HIERARCHY_MISSING", "error", "city_tier")),
        (only(CITY, hierarchy="nothing"), ("HIERARCHY_UNKNOWN", "error", "city_tier")),
        (only(CITY, missing="nobody"), ("MISSING_NOT_A_LEAF", "error", "city_tier")),
        (only(CITY, hierarchy="days"), ("EXACT_DATE", "error", "city_tier")),
        (only(CITY, hierarchy="people"), ("IDENTIFYING_LEAVES", "error", "city_tier")),
        (only(CITY, hierarchy="wide"), ("NEAR_UNIQUE", "warning", "city_tier")),
        (only(CITY, hierarchy="huge"), ("TOO_MANY_LEAVES", "error", "city_tier")),
        (only(SPEND, missing="[0,1)"), ("MISSING_LIKE_A_BIN", "error", "spend")),
        (only(CITY, hierarchy="flat"), ("HIERARCHY_FLAT", "warning", "city_tier")),
        (only(AGE, hierarchy="city_tier"), ("AGE_BORDERS", "error", "age_band")),
        (replace(VALUE, numbers="tight"), ("TIGHT_ENDS", "warning", "")),
        (only(RECENCY, edges=(10.0,), coarser=()), ("CUT_DIFFERS", "warning", "recency_days")),
        (secret("nothing"), ("SENSITIVE_UNKNOWN", "error", "")),
        (replace(secret("spend"), features=(SPEND,)), ("SENSITIVE_ALONE", "error", "spend")),
        (secret("spend", diversity="distinct", l=99.0), ("DIVERSITY_OUT_OF_REACH", "error", "spend")),
        (secret("city_tier", t=0.2, distance="ordered"), ("NO_ORDER", "error", "city_tier")),
        (replace(VALUE, purpose="recommend"), ("OUTSIDE_PURPOSE", "error", "city_tier")),
    ],
)
def test_a_view_earns_its_finding(view, expected):
    assert expected in codes(view)
    assert expected not in codes(VALUE)


def test_views_that_one_reader_can_link_are_told_unless_they_are_one_family_or_limited():
    (found,) = [one for one in findings(POLICY, VALUE) if one.code == "LINKED_VIEWS"]
    assert found.rule == "in no family with campaign_effect, member_lifecycle, recommend_interest, win_back"
    assert "LINKED_VIEWS" not in {code for code, *_ in codes(replace(VALUE, linked_limit=0.5))}
    assert "LINKED_VIEWS" not in {code for code, *_ in codes(replace(VALUE, consumers=("compliance",)))}
    views = {name: replace(view, family="members") for name, view in POLICY.views.items()}
    assert not list(findings(replace(POLICY, views=views), views["member_value"]))


def test_a_document_that_is_no_view_says_what_it_lacks():
    document = read_yaml(SHIPPED / "views" / "member_value.yaml", root=SHIPPED)
    assert {one.code for one in findings_of_document(POLICY, "member_value", document)} == {"LINKED_VIEWS"}
    spoilt = {**document, "label": {"en": "Value"}, "k": "ten", "colour": 1}
    found = {(one.code, one.place) for one in findings_of_document(POLICY, "member_value", spoilt)}
    assert found == {("LABEL_MISSING", "label.zh-CN"), ("VIEW_FORM", "k"), ("VIEW_FORM", "colour")}
    for name in ("../x", "Phone", MAIL):
        with pytest.raises(InvalidInput):
            list(findings_of_document(POLICY, name, document))


def test_no_finding_repeats_what_a_hierarchy_or_document_holds():
    told = list(findings(KNOWN, only(CITY, hierarchy="people")))
    told += list(findings_of_document(POLICY, "tried", {"label": TEL, "features": {"a": {"measure": MAIL}}}))
    assert told
    assert TEL not in repr(told)
    assert MAIL not in repr(told)


def measured(counts, *, uncovered=0, members=None):
    column = Column("orders", tuple(f"bin-{n}" for n in range(len(counts))), tuple(counts), uncovered)
    return Columns("member_value", sum(counts) if members is None else members, (column,))


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (measured([500, 500]), set()),
        (measured([500, 9]), {("CELL_BELOW_K", "warning")}),
        (measured([100, 9]), {("CELL_BELOW_K", "warning"), ("NEAR_UNIQUE", "error")}),
        (measured([500, 0, 0]), {("EMPTY_BINS", "warning")}),
        (measured([500, 500], uncovered=3), {("NOT_COVERED", "warning")}),
        (measured([49]), {("TOO_FEW_MEMBERS", "error")}),
        (measured([0, 0]), {("TOO_FEW_MEMBERS", "error")}),
    ],
)
def test_data_speak_against_bins_that_are_thin_empty_or_missing(columns, expected):
    assert {(one.code, one.severity) for one in findings_on_data(VALUE, columns)} == expected


def test_thin_bins_are_named_by_their_labels_and_counted():
    (found,) = findings_on_data(VALUE, measured([500, 9, 2]))
    assert found.rule == "11 members in 2 bins below k=10: bin-1, bin-2"


def test_a_report_puts_errors_first_and_is_ok_without_them():
    found = list(findings(KNOWN, only(RECENCY, name="lately", edges=None)))
    made = report(["tried"], found)
    assert not made.ok
    assert [one.severity for one in made.findings] == sorted(one.severity for one in found)
    assert report(["tried"], [one for one in found if one.severity == "warning"]).ok


def test_each_code_has_words_in_both_languages_and_an_article():
    for code, words in WORDS.items():
        assert all((words.article, words.explanation, words.suggestion)), code
        assert any("\u4e00" <= sign <= "\u9fff" for sign in words.explanation_zh + words.suggestion_zh), code


LABELS = st.sampled_from(["a", "b", "c", "*", "unknown"])
NUMBERS = st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0, 30.0]), max_size=4, unique=True).map(
    lambda found: tuple(sorted(found))
)


@settings(max_examples=300, deadline=None)
@given(
    rows=st.integers(1, 3).flatmap(lambda depth: st.lists(st.tuples(*[LABELS] * depth), max_size=3)),
    edges=NUMBERS,
    coarser=st.lists(NUMBERS, max_size=2).map(tuple),
    missing=st.sampled_from(["unknown", "*", "<0", "0-29", ">=1", "[0,1)", "1"]),
)
def test_of_every_view_that_loads_the_hierarchies_can_be_made(rows, edges, coarser, missing):
    tenure = replace(
        RECENCY, name="tenure", measure="tenure_days", edges=edges or None, coarser=coarser, missing=missing
    )
    view = replace(VALUE, name="tried", features=(tenure, replace(CITY, name="topic", hierarchy="tried")))
    tree = [(*row, "*") for row in rows] + [(*["unknown"] * (len(rows[0]) if rows else 1), "*")]
    policy = replace(POLICY, views={"tried": view}, hierarchies={**POLICY.hierarchies, "tried": table("tried", *tree)})
    if not list(view_problems(policy)):
        assert list(space_of(policy, "tried")) == ["tenure", "topic"]
