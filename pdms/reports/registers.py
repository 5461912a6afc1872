"""Registers made from the policy: records of processing, the two itemised lists, impact assessments; and who agreed.

Guarantees: nothing here is typed in for a report: what the gate compares is what is listed, so that a new recipient is
listed as soon as its policy is; numbers of members are exact, honey members left out, and no member is named.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import date

from pdms.audit.catalogue import EventKind
from pdms.consent import service as consent
from pdms.policy.definitions import Purpose, Retention
from pdms.policy.reasons import REASONS
from pdms.reports import log_evidence
from pdms.reports.document import Both, Report, Row, RowState, Section, both, columns
from pdms.reports.log_evidence import Period
from pdms.reports.records import Record, RecordKind, records
from pdms.taxonomy import Language, Scope
from pdms.unit_of_work import UnitOfWork
from pdms.vault import service as vault

_NONE = both("无", "none")
_DAYS = both("天", "days")
KEPT_YEARS = 3


def report(
    uow: UnitOfWork, name: str, title: Both, about: Both, sections: Iterable[Section], period: Period | None = None
) -> Report:
    """Make a report; reading it is an event."""
    uow.record(EventKind.REPORT_READ, refs={"report": name})
    period = period or Period()
    controller = uow.policy.controller.name
    parts = tuple(sections)
    return Report(name, title, about, controller, uow.now, uow.policy.digest, period.since, period.until, parts)


def consent_coverage(uow: UnitOfWork) -> Report:
    """Return who agreed to what: members by purpose and state, and by notice version, language and channel."""
    uow.require(Scope.COMPLIANCE)
    rows = consent.coverage(uow, apart=vault.decoys(uow))
    given: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for one in rows:
        asked[one.purpose] += one.members
        given[one.purpose] += one.members if one.state.value == "given" else 0
    imported = log_evidence.newest(uow, (EventKind.CONSENT_IMPORTED,))
    label = {name: purpose.label for name, purpose in uow.policy.purposes.items()}
    members = vault.count(uow) - len(vault.decoys(uow))
    overview = Section(
        "purposes",
        both("各目的的同意", "Consent by purpose"),
        columns(
            purpose=("目的", "purpose"),
            given=("已同意（人）", "given (members)"),
            known=("有记录（人）", "on record (members)"),
            members=("会员总数", "members in all"),
        ),
        tuple(
            Row(
                (label.get(name, both(name, name)), given[name], asked[name], members),
                log_evidence.newest(uow, CONSENT_EVENTS, purpose=name) or imported,
                ("PIPL-13-1(1)",),
            )
            for name in sorted(asked)
        ),
        chart=("purpose", "given"),
    )
    detail = Section(
        "versions",
        both("按告知版本、语言、渠道", "By notice version, language and channel"),
        columns(
            purpose=("目的", "purpose"),
            state=("状态", "state"),
            notice=("告知", "notice"),
            version=("版本", "version"),
            language=("语言", "language"),
            channel=("渠道", "channel"),
            members=("人数", "members"),
        ),
        tuple(
            Row(
                (
                    label.get(one.purpose, both(one.purpose, one.purpose)),
                    one.state.value,
                    one.notice_id,
                    one.notice_version[:12],
                    one.language,
                    one.channel,
                    one.members,
                ),
                (f"notice:{one.notice_version}",) if one.notice_version else (),
                ("PIPL-14-1", "PIPL-17-1"),
            )
            for one in rows
        ),
    )
    about = both(
        "谁、依据哪一版告知、经何渠道作出同意或拒绝。会员不具名。",
        "Who agreed or refused, shown which notice, by which channel. No member is named.",
    )
    return report(uow, "consent", both("同意情况", "Consent coverage"), about, (overview, detail))


CONSENT_EVENTS = (EventKind.CONSENT_RECORDED, EventKind.CONSENT_IMPORTED, EventKind.CONSENT_WITHDRAWN)


def refusals(uow: UnitOfWork, *, period: Period) -> Report:
    """Return what was refused, by reason and purpose: single uses, messages, and members left out of sets."""
    uow.require(Scope.COMPLIANCE)
    counts, ids = log_evidence.reasons(uow, period)
    by_reason: Counter[str] = Counter()
    shown: dict[str, tuple[str, ...]] = {}
    for (code, purpose), n in counts.items():
        by_reason[code] += n
        shown.setdefault(code, tuple(ids[code, purpose]))
    reasons = Section(
        "reasons",
        both("按理由", "By reason"),
        columns(code=("代码", "code"), reason=("理由", "reason"), times=("次数", "times")),
        tuple(
            Row((code, _reason(code), n), shown[code], _article(code))
            for code, n in sorted(by_reason.items(), key=lambda pair: (-pair[1], pair[0]))
        ),
        chart=("code", "times"),
        note=both(
            "集合决定按被排除的会员计数，其余按次计数。",
            "Of set decisions the members left out are counted, else each refusal.",
        ),
    )
    purposes = Section(
        "purposes",
        both("按目的与理由", "By purpose and reason"),
        columns(purpose=("目的", "purpose"), code=("代码", "code"), times=("次数", "times")),
        tuple(
            Row((purpose or None, code, counts[code, purpose]), tuple(ids[code, purpose]), _article(code))
            for code, purpose in sorted(counts, key=lambda key: (key[1], key[0]))
        ),
    )
    about = both("每一次拒绝都在日志中，附理由与条款。", "Every refusal is in the log, with its reason and article.")
    return report(uow, "refusals", both("拒绝情况", "Refusals"), about, (reasons, purposes), period)


def processing(uow: UnitOfWork) -> Report:
    """Return the records of processing activities: each purpose with everything that the gate compares."""
    uow.require(Scope.COMPLIANCE)
    policy = uow.policy
    kept = log_evidence.found(uow, (EventKind.POLICY_ACTIVATED,), Period())
    source = (f"policy:{policy.digest}", *kept.ids[:1])
    facts_by = {name: [v.name for v in policy.views.values() if v.purpose == name] for name in policy.purposes}
    members = vault.count(uow) - len(vault.decoys(uow))
    rows = tuple(
        Row(
            (
                p.label,
                f"{p.basis.value} ({p.article})",
                _labels(uow, p.categories),
                members if p.categories else 0,
                _sources(uow, p),
                ", ".join(sorted(one.value for one in p.operations)),
                _recipients(uow, p.recipients),
                _retention(p.retention),
                p.pipia or (None if not p.pipia_required else both("缺失", "missing")),
                ", ".join(r.name for r in policy.roles.values() if name in r.purposes) or None,
                ", ".join(facts_by[name]) or None,
            ),
            source,
            ("PIPL-51", "PIPL-56"),
            RowState.FINDING if p.pipia_required and p.pipia not in policy.pipias else RowState.NONE,
        )
        for name, p in sorted(policy.purposes.items())
    )
    section = Section(
        "activities",
        both("处理活动", "Processing activities"),
        columns(
            purpose=("目的", "purpose"),
            basis=("依据", "basis"),
            categories=("信息种类", "categories"),
            quantity=("会员数（上限）", "members, at most"),
            sources=("来源", "sources"),
            operations=("处理方式", "operations"),
            recipients=("接收方", "recipients"),
            retention=("保存期限", "retention"),
            pipia=("影响评估", "assessment"),
            roles=("角色", "roles"),
            views=("去标识化视图", "de-identified views"),
        ),
        rows,
    )
    security = both(
        "安全措施：逐会员密钥加密、遮盖、两人批准、防篡改日志。责任人：个人信息保护负责人。",
        "Security: a key for each member, masks, two approvers, a tamper-evident log. Owner: the officer.",
    )
    about = both(f"个人信息处理活动记录。{security[Language.ZH]}", f"Records of processing. {security[Language.EN]}")
    return report(uow, "ropa", both("个人信息处理活动记录", "Records of processing activities"), about, (section,))


def lists(uow: UnitOfWork) -> Report:
    """Return the two lists of NDR-21-2: what is collected, and who receives it."""
    uow.require(Scope.COMPLIANCE)
    policy = uow.policy
    source = (f"policy:{policy.digest}",)
    collected = tuple(
        Row((label, category.label, purpose.label, _retention(purpose.retention)), source, ("NDR-21-2",))
        for name, purpose in sorted(policy.purposes.items())
        for category in (policy.categories[one] for one in purpose.categories)
        for label in [
            *(policy.fields[one].label for one in category.fields if one not in purpose.deny_fields),
            *(both(one, one) for one in category.facts),
        ]
    )
    received = tuple(
        Row(
            (
                recipient.name,
                recipient.contact or None,
                both("受托人", "processor") if recipient.kind == "processor" else both("其他处理者", "controller"),
                purpose.label,
                _labels(uow, purpose.categories),
                recipient.region,
                recipient.mechanism,
                recipient.contract_until,
            ),
            source,
            ("NDR-21-2", "PIPL-21" if recipient.kind == "processor" else "PIPL-23"),
            _contract(uow, recipient.contract_until),
        )
        for _, purpose in sorted(policy.purposes.items())
        for recipient in (policy.recipients[one] for one in purpose.recipients)
    )
    sections = (
        Section(
            "collected",
            both("个人信息收集清单", "What is collected"),
            columns(
                item=("信息", "item"),
                category=("种类", "category"),
                purpose=("目的", "purpose"),
                retention=("保存期限", "retention"),
            ),
            collected,
        ),
        Section(
            "received",
            both("向第三方提供清单", "Who receives it"),
            columns(
                recipient=("接收方", "recipient"),
                contact=("联系方式", "contact"),
                kind=("身份", "kind"),
                purpose=("目的", "purpose"),
                categories=("信息种类", "categories"),
                region=("地区", "region"),
                mechanism=("出境机制", "export mechanism"),
                until=("合同至", "contract until"),
            ),
            received,
        ),
    )
    about = both(
        "《网络数据安全管理条例》第二十一条第二款：收集清单与提供清单，由现行政策生成。",
        "Network Data Security Regulation art. 21 para 2: both lists, made from the policy in force.",
    )
    return report(uow, "lists", both("收集与提供清单", "Itemised lists"), about, sections)


def assessments(uow: UnitOfWork) -> Report:
    """Return the impact assessments with their scores, and how long their records stay (PIPL-55, 56; T39335)."""
    uow.require(Scope.COMPLIANCE)
    policy, today = uow.policy, log_evidence.legal_day(uow)
    scored: dict[str, Record] = {}
    for one in records(uow, kind=RecordKind.PIPIA):
        scored.setdefault(one.subject, one)
    rows = []
    for name, p in sorted(policy.pipias.items()):
        score = scored.get(name)
        overdue = p.review_by < today
        keep = max(p.approved_on, score.done_on if score else p.approved_on)
        rows.append(
            Row(
                (
                    name,
                    policy.purposes[p.purpose].label if p.purpose in policy.purposes else p.purpose,
                    p.approved_on,
                    p.approver,
                    p.review_by,
                    score.numbers["likelihood"] if score else None,
                    score.numbers["impact"] if score else None,
                    score.numbers["likelihood"] * score.numbers["impact"] if score else None,
                    ", ".join(score.codes) if score else None,
                    score.numbers["residual"] if score else None,
                    keep.replace(year=keep.year + KEPT_YEARS, day=min(keep.day, 28)),
                ),
                (f"policy:{policy.digest}", *((score.event_id,) if score else ())),
                ("PIPL-55", "PIPL-56", "T39335"),
                RowState.OVERDUE if overdue else RowState.FINE if score else RowState.NO_EVIDENCE,
            )
        )
    section = Section(
        "assessments",
        both("影响评估", "Impact assessments"),
        columns(
            pipia=("编号", "id"),
            purpose=("目的", "purpose"),
            approved=("批准日", "approved"),
            approver=("批准人", "approver"),
            review=("复审期限", "review by"),
            likelihood=("可能性", "likelihood"),
            impact=("影响", "impact"),
            risk=("风险", "risk"),
            measures=("措施", "measures"),
            residual=("剩余风险", "residual risk"),
            kept=("至少保存至", "kept at least until"),
        ),
        tuple(rows),
        chart=("pipia", "risk"),
        note=both(
            "风险 = 可能性（1–4）× 影响（1–4）；无证据表示评分尚未记录（pdms report record pipia）。",
            "Risk = likelihood (1–4) × impact (1–4); no evidence: no score is on record (pdms report record pipia).",
        ),
    )
    needed = tuple(
        Row((p.label, p.pipia), (f"policy:{policy.digest}",), ("PIPL-55",), RowState.FINDING)
        for _, p in sorted(policy.purposes.items())
        if p.pipia_required and not _valid(uow, p)
    )
    stopped = Section(
        "stopped",
        both("因缺少有效评估而停止的目的", "Purposes stopped for want of a valid assessment"),
        columns(purpose=("目的", "purpose"), pipia=("编号", "id")),
        needed,
    )
    about = both(
        "《个人信息保护法》第五十五、五十六条；评估报告和处理情况记录至少保存三年。",
        "PIPL art. 55 and 56; reports and records are kept for three years at least.",
    )
    return report(uow, "pipia", both("个人信息保护影响评估", "Impact assessments"), about, (section, stopped))


def _valid(uow: UnitOfWork, purpose: Purpose) -> bool:
    found = uow.policy.pipias.get(purpose.pipia or "")
    return found is not None and found.review_by >= log_evidence.legal_day(uow)


def _contract(uow: UnitOfWork, until: date | None) -> RowState:
    return RowState.FINDING if until is None or until < log_evidence.legal_day(uow) else RowState.FINE


def _labels(uow: UnitOfWork, names: Iterable[str]) -> Both:
    labels = [uow.policy.categories[name].label for name in names]
    if not labels:
        return _NONE
    return both("；".join(one[Language.ZH] for one in labels), "; ".join(one[Language.EN] for one in labels))


def _sources(uow: UnitOfWork, purpose: Purpose) -> str | None:
    """The sources whose columns fill what the purpose uses."""
    fields = {field for name in purpose.categories for field in uow.policy.categories[name].fields}
    facts = {fact for name in purpose.categories for fact in uow.policy.categories[name].facts}
    found = [
        source.name
        for source in uow.policy.sources.values()
        if source.kind in facts
        or any(c.target.removeprefix("field.") in fields for c in source.columns if c.target.startswith("field."))
    ]
    return ", ".join(sorted(found)) or None


def _recipients(uow: UnitOfWork, names: Iterable[str]) -> str | None:
    told = []
    for name in names:
        one = uow.policy.recipients[name]
        told.append(f"{one.name} ({one.kind}, {one.region}{', ' + one.mechanism if one.mechanism else ''})")
    return "; ".join(told) or None


def _retention(lines: Iterable[Retention]) -> Both:
    told = [f"{one.trigger} + {one.days} {{}} → {one.action} ({one.article})" for one in lines]
    return both(*("; ".join(told).replace("{}", _DAYS[language]) for language in (Language.ZH, Language.EN)))


def _reason(code: str) -> Both:
    known = REASONS.get(code)
    return both(known.zh, known.en) if known else both(code, code)


def _article(code: str) -> tuple[str, ...]:
    known = REASONS.get(code)
    return (known.article,) if known else ()
