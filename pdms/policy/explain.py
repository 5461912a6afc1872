"""The policy in plain words, for whoever asks (PIPL-48): one purpose, or all of them, in zh-CN or en.

Guarantee: everything said comes from the loaded definitions; nothing is said that the gate does not do. Pure.
"""

from pdms.errors import NotFound
from pdms.policy.definitions import Policy, Purpose
from pdms.taxonomy import ConsentType, Language, LawfulBasis

_BASIS = {
    LawfulBasis.CONSENT: ("取得个人同意", "the member's consent"),
    LawfulBasis.CONTRACT: ("订立、履行合同所必需", "what the contract needs"),
    LawfulBasis.LEGAL_DUTY: ("履行法定职责或者法定义务所必需", "a legal duty"),
    LawfulBasis.EMERGENCY: ("应对突发公共卫生事件或紧急情况所必需", "an emergency"),
    LawfulBasis.NEWS: ("新闻报道、舆论监督", "news reporting"),
    LawfulBasis.PUBLIC: ("处理已合法公开的信息", "information made public lawfully"),
    LawfulBasis.OTHER_LAW: ("法律、行政法规规定的其他情形", "another law or administrative regulation"),
    LawfulBasis.NOT_PERSONAL: ("匿名化后的信息，不属于个人信息", "not personal information"),
}
_CONSENT = {
    ConsentType.NONE: ("不征求同意", "no consent is asked"),
    ConsentType.CONSENT: ("同意", "consent"),
    ConsentType.SEPARATE: ("单独同意", "separate consent"),
    ConsentType.WRITTEN: ("书面同意", "written consent"),
    ConsentType.GUARDIAN: ("监护人同意", "a guardian's consent"),
}
_MINORS = {
    "deny": ("不满十八周岁：不处理", "below 18: never"),
    "guardian": ("不满十四周岁：须监护人同意", "below 14: with a guardian's consent"),
    "allow": ("不区分年龄（法定义务）", "whatever the age (legal duty)"),
}


def explain(policy: Policy, *, purpose: str, language: Language = Language.ZH) -> str:
    """Return what the policy says of one purpose. :raises NotFound: the policy has no such purpose."""
    definition = policy.purposes.get(purpose)
    if definition is None:
        raise NotFound(f"purpose: the policy knows {', '.join(sorted(policy.purposes))}")
    return "\n".join(_lines(policy, definition, language)) + "\n"


def explain_all(policy: Policy, *, language: Language = Language.ZH) -> str:
    """Return what the policy says of every purpose: the public rules (PIPL-7), headed by its digest."""
    head = f"{policy.controller.name[language]}\n{policy.digest}\n"
    return "\n".join([head, *(explain(policy, purpose=name, language=language) for name in policy.purposes)])


def _lines(policy: Policy, purpose: Purpose, language: Language) -> list[str]:
    zh = language is Language.ZH

    def say(chinese: str, english: str) -> str:
        return chinese if zh else english

    def pick(pair: tuple[str, str]) -> str:
        return pair[0] if zh else pair[1]

    def joined(items: list[str]) -> str:
        return say("、", ", ").join(items) if items else say("无", "none")

    lines = [f"{purpose.name} - {purpose.label[language]}"]
    lines.append(f"  {say('合法性基础', 'lawful basis')}: {pick(_BASIS[purpose.basis])} ({purpose.article})")
    extra = say("，逐一接收方", ", for each recipient") if purpose.per_recipient else ""
    if purpose.consent_days is not None:
        extra += say(f"，有效期{purpose.consent_days}日", f", for {purpose.consent_days} days")
    lines.append(f"  {say('同意', 'consent')}: {pick(_CONSENT[purpose.consent])}{extra}")
    lines.append(f"  {say('方式', 'operations')}: {joined([item.value for item in purpose.operations])}")
    labels = [policy.categories[name].label[language] for name in purpose.categories]
    lines.append(f"  {say('数据种类', 'data')}: {joined(labels)}")
    if purpose.deny_fields:
        denied = [policy.fields[name].label[language] for name in purpose.deny_fields]
        lines.append(f"  {say('不得使用的字段', 'never these fields')}: {joined(denied)}")
    if purpose.forbid_categories:
        forbidden = [policy.categories[name].label[language] for name in purpose.forbid_categories]
        lines.append(f"  {say('明令禁止', 'forbidden')}: {joined(forbidden)} (PIPL-24-1)")
    if purpose.channel:
        lines.append(f"  {say('渠道', 'channel')}: {purpose.channel.value} (ADL-43)")
    lines.append(f"  {say('年龄', 'age')}: {pick(_MINORS[purpose.minors])}" + _unknown(purpose, zh=zh))
    if purpose.opt_out:
        lines.append(
            f"  {say('可随时关闭个性化，即时生效', 'automated decisions can be switched off at once')} (PIPL-24-2)"
        )
    if purpose.algorithm:
        card = (purpose.algorithm.principle, purpose.algorithm.intent, purpose.algorithm.mechanism)
        lines.append(f"  {say('算法', 'algorithm')}: {say('；', '; ').join(one[language] for one in card)} (ALG-16)")
    if purpose.pipia_required:
        assessed = policy.pipias.get(purpose.pipia or "")
        state = (
            f"{purpose.pipia}, {assessed.approved_on} / {assessed.review_by}" if assessed else say("缺失", "missing")
        )
        lines.append(f"  {say('影响评估', 'impact assessment')}: {state} (PIPL-55)")
    names = [f"{policy.recipients[name].name} ({name})" for name in purpose.recipients]
    lines.append(f"  {say('接收方', 'recipients')}: {joined(names)}")
    if purpose.justification:
        lines.append(f"  {say('敏感信息的必要性', 'why sensitive data')}: {purpose.justification} (PIPL-28-2)")
    for line in purpose.retention:
        when = f" [{line.when}]" if line.when else ""
        after = say(f"{line.trigger} 之后 {line.days} 日", f"{line.days} days after {line.trigger}")
        lines.append(f"  {say('保存', 'kept')}: {after}, {line.action}{when} ({line.article})")
    told = purpose.notice or purpose.notice_exemption or "-"
    lines.append(f"  {say('告知', 'told in')}: {told}" + (f", {purpose.child_notice}" if purpose.child_notice else ""))
    roles = sorted(role.name for role in policy.roles.values() if purpose.name in role.purposes)
    lines.append(f"  {say('可行事的角色', 'roles that may act')}: {joined(roles)}")
    if purpose.view_k is not None:
        lines.append(
            f"  {say('视图最低要求', 'views at least')}: k={purpose.view_k}, "
            f"risk<={purpose.view_risk}, min_cell={purpose.view_min_cell}"
        )
    return lines


def _unknown(purpose: Purpose, *, zh: bool) -> str:
    if purpose.unknown_age == "allow":
        return ""
    return "；年龄不明：不处理 (MIN-24-3)" if zh else "; age unknown: never (MIN-24-3)"
