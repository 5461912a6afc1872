"""A purpose in words, in zh-CN or English, each sentence with the article it stands on (PIPL-48). Pure.

The text is made from the definition that the gate compares, so that it cannot say anything else than what is enforced.
"""

from collections.abc import Iterable

from pdms.errors import NotFound
from pdms.policy.definitions import Policy, Purpose, Retention
from pdms.taxonomy import ConsentType, Language, LawfulBasis

BASES = {
    LawfulBasis.CONSENT: ("取得个人同意", "the member's consent"),
    LawfulBasis.CONTRACT: ("订立、履行合同所必需", "necessary for a contract with the member"),
    LawfulBasis.LEGAL_DUTY: ("履行法定职责或法定义务所必需", "necessary for a statutory duty"),
    LawfulBasis.EMERGENCY: ("应对突发公共卫生事件或紧急情况", "a public-health event or an emergency"),
    LawfulBasis.NEWS: ("为公共利益实施新闻报道、舆论监督", "news reporting in the public interest"),
    LawfulBasis.PUBLIC: ("合理处理已公开的个人信息", "reasonable use of published data"),
    LawfulBasis.OTHER_LAW: ("法律、行政法规规定的其他情形", "another law or administrative regulation"),
    LawfulBasis.NOT_PERSONAL: ("不属于个人信息", "not personal data"),
}
CONSENTS = {
    ConsentType.NONE: ("不以同意为条件", "no consent is asked for"),
    ConsentType.CONSENT: ("须取得同意", "consent is needed"),
    ConsentType.SEPARATE: ("须取得单独同意", "separate consent is needed"),
    ConsentType.WRITTEN: ("须取得书面同意", "written consent is needed"),
    ConsentType.GUARDIAN: ("须取得监护人同意", "a guardian's consent is needed"),
}
MINORS = {
    "deny": ("不满十八周岁者一律不适用 (MIN-24-3)", "nobody below 18 (MIN-24-3)"),
    "guardian": ("不满十四周岁者须监护人同意 (PIPL-31-1)", "below 14 with a guardian's consent only (PIPL-31-1)"),
    "allow": ("不区分年龄", "members of any age"),
}


def explain(policy: Policy, *, purpose: str, language: Language) -> str:
    """Return what the policy says of a purpose, as lines of text. :raises NotFound: no such purpose."""
    found = policy.purposes.get(purpose)
    if found is None:
        raise NotFound(f"purpose: the policy knows {', '.join(sorted(policy.purposes))}")
    zh = language is Language.ZH
    return "\n".join(_zh(policy, found) if zh else _en(policy, found))


def _zh(policy: Policy, p: Purpose) -> Iterable[str]:
    yield f"{p.label[Language.ZH]}（{p.name}）"
    yield f"合法性基础：{BASES[p.basis][0]}（{p.article}）；{CONSENTS[p.consent][0]}。"
    yield f"处理方式：{'、'.join(p.operations)}。除此之外一律拒绝 (NDR-22(4))。"
    labels = "、".join(policy.categories[c].label[Language.ZH] for c in p.categories)
    yield f"个人信息种类：{labels or '无'}。" + (f"不得使用字段：{'、'.join(p.deny_fields)}。" if p.deny_fields else "")
    yield f"未成年人：{MINORS[p.minors][0]}；年龄未知者{'拒绝' if p.unknown_age == 'deny' else '允许'}。"
    if p.opt_out:
        yield "会员可随时关闭自动化决策，即时生效 (PIPL-24-2, ALG-17)。"
    if p.channel:
        yield f"仅限渠道：{p.channel} (ADL-43)。"
    if p.pipia_required:
        yield f"须有有效的个人信息保护影响评估：{p.pipia or '缺失'} (PIPL-55)。"
    if p.recipients:
        names = "、".join(policy.recipients[r].name for r in p.recipients)
        yield f"接收方：{names}{'（逐一单独同意，PIPL-23）' if p.per_recipient else ''}。"
    if p.notice:
        yield f"告知：{p.notice}，未告知不得处理 (PIPL-17-1)。"
    elif p.notice_exemption:
        yield f"告知例外：{p.notice_exemption} (PIPL-18)。"
    yield from (f"保存期限：{_retention(r)}。" for r in p.retention)
    yield f"会员撤回或拒绝后，自下一次判断起生效 (PIPL-15-1)；{p.cool_down_days} 天内不再征求 (NDR-22(5))。"


def _en(policy: Policy, p: Purpose) -> Iterable[str]:
    yield f"{p.label[Language.EN]} ({p.name})"
    yield f"Lawful basis: {BASES[p.basis][1]} ({p.article}); {CONSENTS[p.consent][1]}."
    yield f"Operations: {', '.join(p.operations)}. Anything else is refused (NDR-22(4))."
    labels = "; ".join(policy.categories[c].label[Language.EN] for c in p.categories)
    yield f"Data categories: {labels or 'none'}." + (f" Never: {', '.join(p.deny_fields)}." if p.deny_fields else "")
    yield f"Minors: {MINORS[p.minors][1]}; unknown age: {p.unknown_age}."
    if p.opt_out:
        yield "Members may switch automated decisions off at any time, at once (PIPL-24-2, ALG-17)."
    if p.channel:
        yield f"Channel: {p.channel} only (ADL-43)."
    if p.pipia_required:
        yield f"Needs a valid impact assessment: {p.pipia or 'absent'} (PIPL-55)."
    if p.recipients:
        names = "; ".join(policy.recipients[r].name for r in p.recipients)
        yield f"Recipients: {names}{' (separate consent for each, PIPL-23)' if p.per_recipient else ''}."
    if p.notice:
        yield f"Notice: {p.notice}; without it nothing happens (PIPL-17-1)."
    elif p.notice_exemption:
        yield f"No notice beforehand: {p.notice_exemption} (PIPL-18)."
    yield from (f"Retention: {_retention(r)}." for r in p.retention)
    yield (
        "A withdrawal or refusal binds from the next decision on (PIPL-15-1); "
        f"the member is not asked again for {p.cool_down_days} days (NDR-22(5))."
    )


def _retention(rule: Retention) -> str:
    when = f" [{rule.when}]" if rule.when else ""
    return f"{rule.trigger} + {rule.days} d → {rule.action} ({rule.article}){when}"
