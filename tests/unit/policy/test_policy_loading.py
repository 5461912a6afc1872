# ruff: noqa: E501
"""The loader refuses what the law or pdms forbids, and says where."""

import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from common.policies import SHIPPED
from pdms.policy.definitions import Policy
from pdms.policy.loader import load
from pdms.policy.tests_runner import run
from pdms.policy.yaml_reader import PolicyInvalid
from pdms.taxonomy import Language, Operation


@pytest.fixture(scope="module")
def starter() -> Policy:
    return load(SHIPPED)


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., tuple[str, ...]]:
    """Change one file of a copy of the starter; return the problems that loading then names."""
    folder = tmp_path / "policies"
    shutil.copytree(SHIPPED, folder)

    def change(file: str, *replacements: tuple[str, str]) -> tuple[str, ...]:
        path = folder / file
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        for pattern, new in replacements:
            text, times = re.subn(pattern, new, text, count=1, flags=re.MULTILINE | re.DOTALL)
            assert times == 1, pattern
        path.write_text(text, encoding="utf-8")
        with pytest.raises(PolicyInvalid) as caught:
            load(folder)
        return caught.value.problems

    return change


def test_starter_loads_and_names_itself(starter: Policy) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", starter.digest)
    assert starter.digest == load(SHIPPED).digest
    assert {"order", "segment", "market_email", "rights", "hold", "pricing"} <= set(starter.purposes)
    with pytest.raises(TypeError):
        starter.purposes["x"] = starter.purposes["order"]  # type: ignore[index]


def test_starter_passes_its_own_tests(starter: Policy) -> None:
    results = run(starter, now=datetime(2026, 11, 22, tzinfo=UTC))
    assert len(results) >= 25
    assert [r.case.name for r in results if not r.passed] == []


def test_digest_follows_meaning_not_spelling(tmp_path: Path, starter: Policy) -> None:
    folder = tmp_path / "policies"
    shutil.copytree(SHIPPED, folder)
    path = folder / "policy.yaml"
    path.write_text("# another comment\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert load(folder).digest == starter.digest
    path.write_text(
        path.read_text(encoding="utf-8").replace(
            "days: 180, then: erase, article: PIPL-19", "days: 181, then: erase, article: PIPL-19", 1
        ),
        encoding="utf-8",
    )
    assert load(folder).digest != starter.digest


def test_notice_version_changes_with_one_character(tmp_path: Path, starter: Policy) -> None:
    folder = tmp_path / "policies"
    shutil.copytree(SHIPPED, folder)
    path = folder / "notices/member-notice/zh-CN.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("期满删除。", "期满即删除。", 1), encoding="utf-8")
    after = load(folder).notices["member-notice"]
    before = starter.notices["member-notice"]
    assert after[Language.ZH].version != before[Language.ZH].version
    assert after[Language.EN].version == before[Language.EN].version


CASES = [
    ("PIPL_13_1_basis_missing", "policy.yaml", r"    basis: contract\n", "", "purposes.order.basis: missing (PIPL-13-1)"),
    ("PIPL_19_retention_missing", "policy.yaml", r"    retention:\n      - \{after: order_close, days: 180, then: erase, article: PIPL-19\}\n\n  service", "\n  service", "purposes.order.retention: missing (PIPL-19)"),
    ("PIPL_24_1_pricing_reads_a_category", "policy.yaml", r"    categories: \[\]                     # 定价", "    categories: [behaviour]  # ", "purposes.pricing.categories: a price is made without any data of the member (PIPL-24-1)"),
    ("PIPL_24_1_pricing_reads_a_segment", "policy.yaml", r"inputs: \[sku, public_rule\]", "inputs: [sku, segment]", "purposes.pricing.inputs: sku, public_rule, stock and campaign only"),
    ("PIPL_24_1_pricing_profiles", "policy.yaml", r"(label: \{zh-CN: 定价.*?operations: )\[use\]", r"\1[use, profile]", "purposes.pricing.categories: a price is made without any data of the member (PIPL-24-1)"),
    ("PIPL_24_1_pricing_under_another_name_reads_a_tag", "policy.yaml", r"(label: \{zh-CN: 响应会员[^\n]*\n)", r"\1    inputs: [sku, tag]\n", "purposes.rights.inputs: sku, public_rule, stock and campaign only; no tag, segment or view (PIPL-24-1)"),
    ("PIPL_24_1_who_makes_prices_is_granted_the_segments", "policy.yaml", r"purposes: \[segment, analytics, recommend,", "purposes: [pricing, segment, analytics, recommend,", "roles.marketing.purposes: who makes prices profiles nobody (PIPL-24-1)"),
    ("PIPL_24_1_who_makes_prices_reads_a_view", "policy.yaml", r"purposes: \[segment, analytics, recommend,", "purposes: [pricing, segment, analytics, recommend,", "views/member_value.yaml: consumers: marketing makes prices and reads no view (PIPL-24-1)"),
    ("ALG_16_no_card_of_an_algorithm", "policy.yaml", r"    algorithm:\n      principle: \{zh-CN: 按去标识化[^\n]*\n[^\n]*\n[^\n]*\n", "", "purposes.recommend.algorithm: missing; its principle, intent and mechanism are told to everybody (ALG-16)"),
    ("ALG_16_a_card_without_its_intent", "policy.yaml", r"      intent: \{zh-CN: 展示会员[^\n]*\n", "", "purposes.recommend.algorithm.intent: missing (ALG-16)"),
    ("PIPL_28_2_justification_missing", "policy.yaml", r"    justification: 跨境电商[^\n]*\n", "", "purposes.sensitive_use.justification: missing"),
    ("PIPL_29_sensitive_needs_separate", "policy.yaml", r"(label: \{zh-CN: 跨境进口商品实名清关.*?)consent: separate", r"\1consent: consent", "purposes.sensitive_use.consent: sensitive data need a separate or written consent (PIPL-29)"),
    ("PIPL_23_provide_needs_separate", "policy.yaml", r"consent: separate                  # 向", "consent: consent  # ", "purposes.partner.consent: providing to others or abroad needs a separate consent"),
    ("PIPL_38_1_export_needs_mechanism", "policy.yaml", r"    mechanisms: \[exempt[^\n]*\n", "", "purposes.crossborder.mechanisms: missing; export needs a mechanism (PIPL-38-1)"),
    ("PIPL_16_contract_never_asks", "policy.yaml", r"consent: none                      # 依合同", "consent: consent  # ", "purposes.order.consent: what a contract needs does not depend on consent (PIPL-16"),
    ("MIN_24_3_marketing_to_minors", "policy.yaml", r"(label: \{zh-CN: 邮件营销.*?)minors: deny", r"\1minors: allow", "purposes.market_email.minors: no automated marketing to minors"),
    ("PIPL_24_2_opt_out_missing", "policy.yaml", r"    opt_out: true                      # PIPL-24-2[^\n]*\n", "", "purposes.recommend.opt_out: automated decisions need an easy way out (PIPL-24-2)"),
    ("PIPL_55_pipia_not_required", "policy.yaml", r"    pipia: pipia-segment\n    pipia_required: true\n", "", "purposes.segment.pipia_required: this use needs an impact assessment first (PIPL-55)"),
    ("ECL_31_merchant_row_without_platform", "policy.yaml", r", when: platform, facts", ", facts", "purposes.hold.retention: three years bind platforms only"),
    ("ADL_43_channel_missing", "policy.yaml", r"    channel: email\n", "", "purposes.market_email.channel: missing; each channel is asked for by itself (ADL-43)"),
    ("PIPL_53_foreign_without_representative", "policy.yaml", r"  region: cn  ", "  region: foreign  ", "controller: prc_representative: missing; a handler abroad needs one (PIPL-53)"),
    ("PIPL_26_no_such_source_kind", "sources/shop-events.yaml", r"kind: events", "kind: camera", "kind: must be one of"),
    ("PIPL_6_2_field_nobody_collects", "policy.yaml", r"operations: \[collect, store, use, reveal\]\n    justification", "operations: [store, use, reveal]\n    justification", "no purpose collects field.id_number (PIPL-6-2)"),
    ("PIPL_17_1_notice_without_retention", "notices/member-notice/en.yaml", r"    retention: 180 days after the order closes; what[^\n]*\n", "", "purposes.order.retention: missing (PIPL-19)"),
    ("NDR_21_notice_without_expiry", "notices/member-notice/en.yaml", r"    expiry: Deleted\.\n", "", "purposes.order.expiry: missing (NDR-21)"),
    ("PIPL_17_1_notice_without_contact", "notices/member-notice/zh-CN.yaml", r"  contact: privacy@shop.example\n", "", "controller.contact: missing (PIPL-17-1)"),
    ("PIPL_15_1_notice_without_withdrawal_route", "notices/member-notice/zh-CN.yaml", r"  withdraw: [^\n]*\n", "", "rights.withdraw: missing (PIPL-15-1)"),
    ("PIPL_30_impact_missing", "notices/member-notice/zh-CN.yaml", r"    impact: [^\n]*\n", "", "purposes.sensitive_use.impact: missing; sensitive data and children (PIPL-30)"),
    ("PIPL_17_1_used_and_not_told", "notices/member-notice/zh-CN.yaml", r"categories: \[demographic, behaviour, transaction, personalisation\]", "categories: [demographic, behaviour, personalisation]", "purposes.segment.categories: transaction is used and not told (PIPL-17-1)"),
    ("NDR_21_recipient_not_listed", "notices/member-notice/zh-CN.yaml", r"  - \{name: 示例快递有限公司[^\n]*\n", "", "recipients: logistics gets data and is not listed"),
    ("PIPL_31_2_child_notice_for_adults", "policy.yaml", r"child_notice: child-notice", "child_notice: member-notice", "child_notice: member-notice is not written for this audience (PIPL-31-2)"),
    ("PIPL_4_view_with_member_token", "views/member_value.yaml", r"  age_band: \{measure: age_band", "  member_token: {measure: age_band", "features.member_token: an identifier or token never enters a view"),
    ("PIPL_4_view_with_identifier", "views/member_value.yaml", r"  age_band: \{measure: age_band", "  who: {measure: phone", "features.who: an identifier or token never enters a view"),
    ("T37964_view_with_exact_value", "views/member_value.yaml", r"    edges: \[100, [^\n]*\n    coarser: [^\n]*\n", "", "features.spend.edges: missing; an exact number never enters a view"),
    ("T37964_view_with_seven_features", "views/member_value.yaml", r"\Z", "  gender: {measure: gender, hierarchy: gender}\n", "features: 7; 6 at most"),
    ("T37964_view_k_too_small", "views/member_value.yaml", r"^k: 10", "k: 5", "k: the purpose asks for 10 at least"),
    ("T37964_view_bins_in_disguise", "views/member_value.yaml", r"edges: \[100, 250, 500, 1000, 2500, 5000, 10000\]\n    coarser: \[\[250, 1000, 5000\], \[1000\]\]", "edges: [" + ", ".join(str(n) for n in range(40)) + "]", "features.spend.edges: more than 32 bins"),
    ("PIPL_4_view_called_anonymous", "views/member_value.yaml", r"identifiability: de-identified", "identifiability: anonymous", "identifiability: must be one of 'de-identified'"),
    ("view_sensitive_unknown_feature", "views/member_value.yaml", r"^features:", "sensitive: {feature: illness, closeness: {t: 0.2}}\nfeatures:", "sensitive.feature: not a feature of the view"),
    ("view_sensitive_without_criterion", "views/member_value.yaml", r"^features:", "sensitive: {feature: age_band}\nfeatures:", "diversity or closeness is needed"),
    ("view_sensitive_more_diverse_than_its_values", "views/member_value.yaml", r"^features:", "sensitive: {feature: orders, diversity: {l: 9}}\nfeatures:", "the feature has only 8 values"),
    ("view_sensitive_half_an_l", "views/member_value.yaml", r"^features:", "sensitive: {feature: orders, diversity: {l: 2.5}}\nfeatures:", "l must be whole"),
    ("view_sensitive_c_without_recursion", "views/member_value.yaml", r"^features:", "sensitive: {feature: orders, diversity: {l: 2, c: 2.0}}\nfeatures:", "c belongs to kind recursive"),
    ("view_sensitive_order_of_a_category", "views/member_value.yaml", r"^features:", "sensitive: {feature: top_category, closeness: {t: 0.2, distance: ordered}}\nfeatures:", "a category has no order"),
    ("view_unknown_algorithm", "views/member_value.yaml", r"^features:", "algorithm: datafly\nfeatures:", "algorithm: must be one of"),
    ("PIPL_6_2_view_with_foreign_data", "policy.yaml", r"(label: \{zh-CN: 匿名化人群.*?)categories: \[demographic, behaviour", r"\1categories: [behaviour", "its data (demographic) are not of purpose segment (PIPL-6-2)"),
    ("PIPL_39_recipient_abroad_not_told_to_be_abroad", "notices/member-notice/en.yaml", r", overseas: true", "", "recipients: overseas-seller is abroad, which is not told: say `overseas: true` (PIPL-39)"),
    ("PIPL_39_rights_against_the_recipient_abroad_missing", "notices/member-notice/zh-CN.yaml", r", rights: 可通过[^}]*", "", "recipients: overseas-seller is abroad; tell how rights reach it under `rights` (PIPL-39)"),
    ("PIPL_25_nothing_is_ever_published", "policy.yaml", r"operations: \[provide\]", "operations: [provide, publish]", "purposes.partner.operations.1: must be one of"),
    ("PIPL_17_1_notice_silent_on_a_purpose", "notices/member-notice/en.yaml", r"  market_sms:\n", "  market_fax:\n", "purposes.market_sms: missing; the policy says this notice tells of it (PIPL-17-1)"),
    ("unknown_key", "policy.yaml", r"^version: 1", "version: 1\nsecret_switch: true", "secret_switch: unknown key"),
    ("duplicate_key", "policy.yaml", r"^version: 1", "version: 1\nversion: 1", "a key is given twice"),
    ("PIPL_51_1_unclassified_fact_table", "policy.yaml", r"    facts: \[events\]\n", "", "no category classifies the fact table events (PIPL-51)"),
    ("PIPL_51_1_unclassified_field", "policy.yaml", r"code: 1, category: basic,", "code: 1,", "fields.name.category: missing (PIPL-51)"),
    ("calendar_weekday_as_weekend", "calendars/cn-2026.yaml", r"working_weekends: \[2026-01-04", "working_weekends: [2026-01-05", "a weekday is not a working weekend"),
    ("hierarchy_without_source", "hierarchies/gender.csv", r"^#[^\n]*\n", "", "say where the tree comes from"),
    ("hierarchy_of_one_label_for_two_groups", "hierarchies/gender.csv", r"\Z", "a;*\n*;*\n", "one label stands for two groups of leaves"),
    ("view_edges_that_are_no_numbers", "views/member_value.yaml", r"edges: \[100, 250, 500, 1000, 2500, 5000, 10000\]", "edges: [.inf, .nan]", "features.spend.edges.0: "),
    ("view_coarser_edges_that_are_none", "views/member_value.yaml", r"coarser: \[\[250, 1000, 5000\], \[1000\]\]", "coarser: [[.nan]]", "features.spend.coarser.0.0: "),
    ("view_coarser_level_without_edges", "views/member_value.yaml", r"coarser: \[\[250, 1000, 5000\], \[1000\]\]", "coarser: [[250, 1000, 5000], []]", "each level keeps some of the edges"),
    ("view_missing_like_a_bin", "views/member_value.yaml", r"edges: \[100, 250, 500, 1000, 2500, 5000, 10000\]", "missing: '<100'\n    edges: [100, 250, 500, 1000, 2500, 5000, 10000]", "features.spend.missing: must not begin as the label of a bin does"),
    ("hierarchy_two_parents", "hierarchies/age_band.csv", r"25-34;18-34", "18-24;35-54", "has two parents"),
    ("unregistered_reason_in_test", "tests/consent.yaml", r"reasons: \[NO_CONSENT\]", "reasons: [NO_MOOD]", "NO_MOOD is not a registered reason"),
    ("consents_without_evidence", "sources/shop-consents.yaml", r"^evidence: [^\n]*\n", "", "evidence: missing; an imported consent must be provable"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "pattern", "new", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_refused(changed: Callable[..., tuple[str, ...]], file: str, pattern: str, new: str, expected: str) -> None:
    problems = changed(file, (pattern, new))
    assert any(expected in problem for problem in problems), problems


def test_every_problem_names_its_file(changed: Callable[..., tuple[str, ...]]) -> None:
    problems = changed(
        "policy.yaml", (r"^  ciio: false", "  ciio: maybe"), (r"^  profile: standard", "  profile: huge")
    )
    assert all(problem.startswith("policy.yaml: ") for problem in problems)
    assert len(problems) >= 2


def test_problems_never_echo_a_value(changed: Callable[..., tuple[str, ...]]) -> None:
    problems = changed(
        "policy.yaml", (r"profile: standard", "profile: '13800138000'"), (r"ciio: false", "ciio: 'li.wei@example.com'")
    )
    told = " ".join(problems)
    assert "13800138000" not in told
    assert "li.wei" not in told


@pytest.mark.parametrize("text", ["a: &x 1\nb: *x\n", "a: !!python/object:os.system {}\n", "- 1\n", "a: [\n", "\x00"])
def test_hostile_yaml_is_refused(changed: Callable[..., tuple[str, ...]], text: str) -> None:
    assert changed("segments/odd.yaml", (r"\A", text.replace("\\", "\\\\")))


def test_stray_files_are_named(changed: Callable[..., tuple[str, ...]]) -> None:
    assert any("nothing reads it" in p for p in changed("views/readme.txt", (r"\A", "x")))


def test_not_utf8_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    shutil.copytree(SHIPPED, folder)
    (folder / "hierarchies/gender.csv").write_bytes("# 性别\n男;*\n".encode("gb18030"))
    with pytest.raises(PolicyInvalid, match="not UTF-8"):
        load(folder)


def test_like_copies_and_overrides(starter: Policy) -> None:
    email, sms = starter.purposes["market_email"], starter.purposes["market_sms"]
    assert sms.basis is email.basis
    assert sms.channel != email.channel
    assert "phone" not in sms.deny_fields


def test_every_source_field_is_collected_for_a_purpose(starter: Policy) -> None:
    for name, field in starter.fields.items():
        assert any(
            Operation.COLLECT in p.operations and field.category in p.categories and name not in p.deny_fields
            for p in starter.purposes.values()
        ), name


def test_prefectures_are_leaves_of_both_trees(starter: Policy) -> None:
    assert len(starter.prefectures) == 337
    assert {p.name for p in starter.prefectures} <= {row[0] for row in starter.hierarchies["region"].rows}
    assert {p.city_tier for p in starter.prefectures} <= {row[0] for row in starter.hierarchies["city_tier"].rows}
