"""Every reason for which pdms refuses a use of personal data, registered once: code, article, text in zh-CN and en.

Guarantees: a code met in an audit event, a Decision or an API answer is in `REASONS`; its place there is its bit in a
set decision and its rank among several reasons. New codes go to the end: stored numbers must keep their meaning.
No reason text holds a value.
"""

from dataclasses import dataclass
from types import MappingProxyType

from pdms.errors import Reason
from pdms.taxonomy import Language


@dataclass(frozen=True, slots=True)
class RegisteredReason:
    """One reason code with the article it stands on (ids of the requirements map) and what it means."""

    code: str
    article: str
    zh: str
    en: str

    def text(self, language: Language) -> str:
        """Return the sentence in `language`."""
        return self.zh if language is Language.ZH else self.en

    def as_reason(self, detail: str = "") -> Reason:
        """Return the form that errors carry; `detail` names fields or rules, never values."""
        return Reason(self.code, self.article, detail or self.en)


_ALL = (
    # the use itself, whoever it concerns
    ("NO_PURPOSE", "PIPL-6-1", "没有登记该处理目的。", "No such purpose is registered."),
    ("OPERATION_NOT_ALLOWED", "NDR-22-4", "该目的不包括此种处理方式。", "The purpose does not include this operation."),
    ("CATEGORY_NOT_ALLOWED", "PIPL-6-2", "该目的不需要此类数据。", "The purpose does not need this data category."),
    ("FIELD_NOT_ALLOWED", "PIPL-6-2", "该目的不需要此字段。", "The purpose does not need this field."),
    ("CHANNEL_NOT_ALLOWED", "ADL-43", "该目的不覆盖此渠道。", "The purpose does not cover this channel."),
    ("PIPIA_MISSING", "PIPL-55", "尚无经批准的个人信息保护影响评估。", "No approved impact assessment exists."),
    ("PIPIA_OVERDUE", "PIPL-55", "影响评估已过复审期限。", "The impact assessment is past its review date."),
    ("RECIPIENT_REQUIRED", "PIPL-23", "必须指明接收方。", "A recipient must be named."),
    ("RECIPIENT_NOT_ALLOWED", "PIPL-23", "该目的未登记此接收方。", "The purpose does not name this recipient."),
    (
        "CONTRACT_EXPIRED",
        "PIPL-21",
        "与接收方的合同缺失或已到期。",
        "No valid contract with the recipient.",
    ),
    ("MECHANISM_MISSING", "PIPL-38-1", "缺少有效的出境机制。", "No valid export mechanism is on file."),
    # who asks
    ("SCOPE_MISSING", "PIPL-51-4", "操作人没有所需权限。", "The operator lacks the scope."),
    (
        "ROLE_NOT_ALLOWED",
        "PIPL-51-4",
        "操作人的角色不得为该目的行事。",
        "The role may not act for this purpose.",
    ),
    ("NOT_SELF", "PIPL-44", "会员只能处理自己的信息。", "A member acts for themself only."),
    ("TRAINING_LAPSED", "PIPL-51-4", "操作人的培训缺失或已过期。", "The operator's training is absent or lapsed."),
    ("REASON_MISSING", "PIPL-51-4", "揭示明文必须给出理由代码。", "Revealing plaintext needs a reason code."),
    # the member's standing
    ("MEMBER_UNKNOWN", "PIPL-6-1", "没有该会员。", "There is no such member."),
    ("MEMBER_DISABLED", "ECL-24", "会员账号已停用。", "The member is disabled."),
    ("MEMBER_ERASED", "PIPL-47-1", "会员信息已删除。", "The member has been erased."),
    ("RESTRICTED", "PIPL-44", "会员已限制该处理。", "The member has restricted this."),
    ("OBJECTED", "PIPL-44", "会员已拒绝该处理。", "The member objects to this."),
    ("ADM_OPT_OUT", "PIPL-24-2", "会员已关闭个性化推荐。", "The member has switched automated decisions off."),
    ("DO_NOT_CONTACT", "ADL-43", "会员要求不再联系。", "The member asked not to be contacted."),
    ("MINOR", "MIN-24-3", "不满十八周岁，不得进行自动化营销。", "Below 18: no automated marketing."),
    ("AGE_UNKNOWN", "MIN-24-3", "年龄不明，按未成年人对待。", "Age unknown: treated as a minor."),
    # notice and consent
    ("GUARDIAN_CONSENT_MISSING", "PIPL-31-1", "不满十四周岁，须有监护人同意。", "Below 14: a guardian must consent."),
    ("CHILD_NOTICE", "PIPL-31-2", "监护人同意须基于儿童规则。", "A guardian's consent needs the children's notice."),
    ("NO_NOTICE", "PIPL-17-1", "尚未告知该处理。", "The member was never told of this."),
    ("NO_CONSENT", "PIPL-13-1", "没有同意记录。", "No consent was ever given."),
    ("CONSENT_REFUSED", "PIPL-14-1", "会员已拒绝同意。", "The member refused."),
    ("CONSENT_WITHDRAWN", "PIPL-15-1", "会员已撤回同意。", "The member withdrew."),
    ("CONSENT_EXPIRED", "NDR-22-4", "同意已过期。", "The consent has expired."),
    ("CONSENT_INVALIDATED", "PIPL-14-2", "同意已失效。", "The consent was invalidated."),
    (
        "CONSENT_TYPE",
        "PIPL-29",
        "需要更强形式的同意（单独或书面）。",
        "A separate or written consent is needed.",
    ),
    ("GUARDIAN_LAPSED", "PIPL-31-1", "已满十四周岁，须本人同意。", "Now 14 or older: the member must consent."),
    (
        "RECONSENT",
        "PIPL-14-2",
        "目的、方式或种类已变更，须重新同意。",
        "Purpose, method or data changed: ask again.",
    ),
    # the house
    ("RESTORE_PENDING", "PIPL-47-1", "恢复后尚未重放权利台账。", "A restore awaits the replay of the rights ledger."),
    ("PERMIT_EXPIRED", "PIPL-6-1", "许可已过期。", "The permit is no longer valid."),
    (
        "PERMIT_SCOPE",
        "PIPL-6-2",
        "许可不覆盖该会员、字段或操作。",
        "The permit does not cover this.",
    ),
    # releases and messages
    ("VIEW_NOT_ALLOWED", "PIPL-51-4", "该角色不得读取此视图。", "This role may not read the view."),
    ("RELEASE_NOT_LIVE", "PIPL-15-1", "发布已过期、过时或撤回。", "The release is expired, stale or withdrawn."),
    ("RISK_TOO_HIGH", "T37964", "再识别风险超过阈值。", "The risk of re-identification exceeds the threshold."),
    ("BELOW_MIN_CELL", "T37964", "人数低于最小单元。", "Fewer members than the smallest cell allowed."),
    ("FREQUENCY_CAP", "T35273-7.4", "近期联系次数已达上限。", "Contacted often enough lately."),
    ("NO_ADDRESS", "PIPL-6-2", "没有该渠道的联系方式。", "No address for this channel."),
    ("NOT_IN_SEGMENT", "PIPL-6-1", "不符合分群规则。", "The segment's rule does not match."),
    ("OUTSIDE_CONTROL_ARM", "PIPL-6-1", "属于对照组。", "Belongs to the control group."),
    ("SUPPRESSION_LIMIT", "T37964", "须隐去的行数超过上限。", "More rows would be left out than allowed."),
    (
        "LEDGER_HELD_BACK",
        "T37964",
        "为与在外发布并存而须保留不发的会员超过上限；待旧副本到期或确认删除后再发布。",
        "More members would be held back than allowed: await the former release's expiry, or have its copies deleted.",
    ),
    (
        "LEDGER_SMALL_ROW",
        "T37964",
        "在外的发布所用的最小类小于本次要求；待其副本到期或确认删除后再发布。",
        "A release that is out has smaller classes than asked now: await its expiry, or have its copies deleted.",
    ),
    (
        "LEDGER_UNKNOWN_RELEASE",
        "T37964",
        "在外的发布不在台账中；待其副本到期或确认删除后再发布。",
        "The ledger lacks a release that is out: await its expiry, or have its copies deleted.",
    ),
    (
        "LEDGER_SENSITIVE",
        "T37964",
        "含敏感特征的视图仍有发布在外；待其副本到期或确认删除后再发布。",
        "A release of a view with a sensitive feature is out: await its expiry, or have its copies deleted.",
    ),
    (
        "LEDGER_COMPOSITE",
        "T37964",
        "合并各次发布后，某些成员的组合少于要求的人数。",
        "Taken together with the releases that are out, some members would be among too few.",
    ),
    (
        "LEDGER_LINKED",
        "T37964",
        "与其他视图在外的发布合并后，少于 k 人共享同一组合的会员超过该视图的上限。",
        "With releases of other views that its readers hold, more members are among fewer than k than the view allows.",
    ),
    ("BUDGET_SPENT", "T37964", "隐私预算已用尽。", "The privacy budget is spent."),
    ("REVEAL_RATE", "PIPL-51-4", "本小时内查看明文的次数已达上限。", "This hour's reveals are used up."),
    ("NOT_VERIFIED", "NDR-23", "申请人身份未能核实。", "The requester's identity was not confirmed."),
    ("REASON_UNKNOWN", "PIPL-51-4", "理由代码不在政策所列之内。", "The policy does not list this reason code."),
    ("TICKET_MISSING", "PIPL-51-4", "必须给出工单号。", "A ticket number is needed."),
    # acts that none may do alone
    (
        "APPROVAL_MISSING",
        "PIPL-10",
        "须由另一名有权限的操作人事先批准。",
        "Another operator must have approved this.",
    ),
    ("SELF_APPROVAL", "PIPL-51", "不得批准自己提出的事项。", "Nobody approves what they asked for themself."),
    (
        "REGION_NOT_ALLOWED",
        "PIPL-38-1",
        "接收方在境外，只能以出境方式提供。",
        "The recipient is abroad: only an export reaches it.",
    ),
    (
        "EXPORT_THRESHOLD",
        "XBF-7",
        "本年度出境人数超过该出境机制的适用范围。",
        "More people this year than the export mechanism covers.",
    ),
    (
        "NO_BUDGET",
        "T37964",
        "政策未为该角色规定隐私预算，不提供统计数字。",
        "The policy declares no privacy budget for the role: it gets no numbers.",
    ),
    (
        "RECIPIENT_LISTED",
        "PIPL-42",
        "接收方已被列入限制或者禁止个人信息提供清单。",
        "The recipient is on the list of those to whom nothing may be given.",
    ),
    (
        "FOREIGN_AUTHORITY",
        "PIPL-41",
        "未经主管机关批准，不得向外国司法或者执法机构提供。",
        "Nothing is given to a foreign authority without the approval of the authority in charge here.",
    ),
    ("NO_AUTHORITY", "PIPL-49", "请求人无权代会员行使权利。", "The requester may not act for the member."),
)

REASONS: MappingProxyType[str, RegisteredReason] = MappingProxyType(
    {code: RegisteredReason(code, article, zh, en) for code, article, zh, en in _ALL}
)
"""Code → reason, in the order of rank."""

RANK: MappingProxyType[str, int] = MappingProxyType({code: place for place, code in enumerate(REASONS)})
"""Code → place; also its bit in the flags of a set decision."""


def reason(code: str, *, detail: str = "") -> Reason:
    """Return the error form of a registered code. :raises KeyError: the code is not registered."""
    return REASONS[code].as_reason(detail)


def ordered(codes: set[str] | frozenset[str]) -> tuple[str, ...]:
    """Return `codes` in the order of rank."""
    return tuple(sorted(codes, key=RANK.__getitem__))
