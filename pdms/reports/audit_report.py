"""The compliance audit's report: each item of the annex, with what the policy and the log show of it.

Guarantees: an item is "fine" only where an event of the period or a line of the policy shows it; where neither does it
says "no evidence", which an auditor has to look into. What no record of a system can show (fairness of a notice,
quality of a training) is left to the auditor, and the item says so. The items are those of the requirements map for
the audit measures of 2025 (AUD) and their simplified form (SMALL).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pdms.audit.catalogue import EventKind
from pdms.policy.definitions import Purpose
from pdms.reports import log_evidence
from pdms.reports.document import Both, Report, Row, RowState, Section, both, columns
from pdms.reports.log_evidence import Period
from pdms.reports.records import RecordKind, records
from pdms.reports.registers import CONSENT_EVENTS, report
from pdms.taxonomy import LawfulBasis, Operation, Scope, Sensitivity
from pdms.unit_of_work import UnitOfWork

E = EventKind
Test = Callable[[Purpose], bool]


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the annex: which events of the period show it, and which purposes of the policy it is about."""

    name: str
    title: Both
    article: str
    kinds: tuple[EventKind, ...] = ()
    purposes: Test | None = None
    duties: tuple[RecordKind, ...] = ()
    absent: Both | None = None
    """What is said where the policy has no such processing."""


def _does(*operations: Operation) -> Test:
    return lambda purpose: bool(set(purpose.operations) & set(operations))


_NOT_DONE = both("政策中没有此类处理，闸门一律拒绝", "the policy has no such processing; the gate refuses it")
ITEMS: Sequence[Item] = (
    Item("basis", both("合法性基础", "Lawful basis"), "PIPL-13", (E.PERMIT, *CONSENT_EVENTS), lambda _: True),
    Item("rules", both("处理规则公开", "Public rules"), "PIPL-7", (E.NOTICE_PUBLISHED, E.POLICY_ACTIVATED)),
    Item("notice", both("告知", "Notice"), "PIPL-17", (E.NOTICE_PUBLISHED, E.NOTICE_DELIVERED)),
    Item("joint", both("共同处理", "Joint handling"), "PIPL-20", purposes=lambda _: False, absent=_NOT_DONE),
    Item("entrust", both("委托处理", "Entrusting"), "PIPL-21", purposes=_does(Operation.ENTRUST)),
    Item(
        "merger",
        both("合并、分立等转移", "Transfer in a merger"),
        "PIPL-22",
        purposes=lambda _: False,
        absent=_NOT_DONE,
    ),
    Item("provide", both("向其他处理者提供", "Providing"), "PIPL-23", purposes=_does(Operation.PROVIDE)),
    Item(
        "adm",
        both("自动化决策", "Automated decisions"),
        "PIPL-24",
        (E.RESTRICTION_SET,),
        _does(Operation.ADM, Operation.PROFILE),
    ),
    Item("publish", both("公开", "Publication"), "PIPL-25", purposes=lambda _: False, absent=_NOT_DONE),
    Item(
        "cameras",
        both("公共场所图像采集", "Images in public places"),
        "PIPL-26",
        purposes=lambda _: False,
        absent=_NOT_DONE,
    ),
    Item("public_data", both("已公开信息", "Public data"), "PIPL-27", purposes=lambda _: False, absent=_NOT_DONE),
    Item("sensitive", both("敏感个人信息", "Sensitive data"), "PIPL-28"),
    Item(
        "children",
        both("不满十四周岁未成年人", "Children below 14"),
        "PIPL-31",
        (E.NOTICE_PUBLISHED,),
        lambda purpose: purpose.child_notice is not None,
    ),
    Item("export", both("出境", "Transfer abroad"), "PIPL-38", purposes=_does(Operation.EXPORT)),
    Item("deletion", both("删除", "Deletion"), "PIPL-47", (E.ERASE_DONE, E.KEY_DESTROYED, E.HOLD_EXPIRED)),
    Item("rights", both("个人权利", "Rights of people"), "PIPL-44", (E.REQUEST_RECEIVED, E.REQUEST_TRANSITION)),
    Item("explanation", both("解释说明", "Explanation"), "PIPL-48", (E.PACKAGE_CREATED, E.MEMBER_VIEWED)),
    Item("governance", both("内部管理制度", "Internal rules"), "PIPL-51(1)", (E.POLICY_ACTIVATED, E.APPROVAL_GRANTED)),
    Item(
        "technical",
        both("技术措施", "Technical measures"),
        "PIPL-51(3)",
        (E.KEY_ROTATED, E.KEY_EPOCH_CREATED, E.BACKUP_CREATED, E.AUDIT_VERIFIED),
    ),
    Item("training", both("培训与权限", "Training and access"), "PIPL-51(4)", (E.OPERATOR_TRAINED,)),
    Item("officer", both("个人信息保护负责人", "Officer"), "PIPL-52", duties=(RecordKind.OFFICER_FILED,)),
    Item("pipia", both("影响评估", "Impact assessments"), "PIPL-55", duties=(RecordKind.PIPIA,)),
    Item("plan", both("应急预案", "Incident plan"), "PIPL-51(5)", duties=(RecordKind.PLAN, RecordKind.DRILL)),
    Item("incident", both("安全事件处置", "Incidents"), "PIPL-57", (E.INCIDENT_OPENED, E.INCIDENT_STEP)),
)
"""The 24 items, in the annex's order."""
SUMMED = ("section:items",)
_RESTING = both("政策中的目的：", "purposes of the policy: ")


def audit_report(uow: UnitOfWork, *, period: Period) -> Report:
    """Return the report of a period; its conclusions are the auditor's."""
    uow.require(Scope.COMPLIANCE)
    rows = tuple(_row(uow, item, period) for item in ITEMS)
    section = Section(
        "items",
        both("审计事项", "Audit items"),
        columns(
            number=("序号", "no."),
            item=("事项", "item"),
            policy=("政策所示", "what the policy shows"),
            events=("日志事件数", "events in the log"),
            newest=("在案记录", "duties on record"),
        ),
        rows,
        chart=("item", "events"),
        note=both(
            "“符合”只表示存在证据；公平性、充分性由审计人员判断并签署。",
            "“Fine” says only that there is evidence; fairness and sufficiency are judged and signed by the auditor.",
        ),
    )
    counts = {state: sum(row.state is state for row in rows) for state in (RowState.FINE, RowState.NO_EVIDENCE)}
    head = Section(
        "frame",
        both("审计概况", "Frame of the audit"),
        columns(item=("事项", "item"), text=("内容", "text")),
        (
            Row((both("审计人员与独立性", "auditor and independence"), None), (), ("AUD",), RowState.DUE),
            Row((both("方法与抽样", "method and samples"), None), (), ("AUD", "T46903"), RowState.DUE),
            Row((both("有证据的事项", "items with evidence"), counts[RowState.FINE]), SUMMED),
            Row((both("无证据的事项", "items without evidence"), counts[RowState.NO_EVIDENCE]), SUMMED),
            Row((both("整改与复核、签字", "remediation, retest, signatures"), None), (), ("AUD",), RowState.DUE),
        ),
    )
    about = both(
        "《个人信息保护合规审计管理办法》附件各事项，逐项附日志证据或如实注明无证据。",
        "Each item of the annex to the audit measures, with evidence from the log or an honest “no evidence”.",
    )
    title = both("个人信息保护合规审计报告（草稿）", "Compliance audit report (draft)")
    return report(uow, "audit", title, about, (head, section), period)


def _row(uow: UnitOfWork, item: Item, period: Period) -> Row:
    number = ITEMS.index(item) + 1
    seen = log_evidence.found(uow, item.kinds, period) if item.kinds else log_evidence.Found(0, ())
    duties = [one for kind in item.duties for one in records(uow, kind=kind)]
    about = _purposes(uow, item)
    policy = (f"policy:{uow.policy.digest}",)
    shown: Both | None = None
    evidence: tuple[str, ...] = (*seen.ids, *(one.event_id for one in duties[: log_evidence.SHOWN]))
    if about:
        names = ", ".join(about)
        shown = both(*(text + names for text in _RESTING.values()))
        evidence = (*evidence, *policy)
    elif item.absent is not None:
        shown, evidence = item.absent, policy
    done = ", ".join(f"{one.kind.value} {one.done_on}" for one in duties[: log_evidence.SHOWN])
    state = RowState.FINE if evidence else RowState.NO_EVIDENCE
    return Row((number, item.title, shown, seen.count, done or None), evidence, (item.article,), state)


def _purposes(uow: UnitOfWork, item: Item) -> list[str]:
    policy = uow.policy
    if item.name == "sensitive":
        sensitive = {c.name for c in policy.categories.values() if c.sensitivity is Sensitivity.SENSITIVE}
        return sorted(name for name, p in policy.purposes.items() if sensitive & set(p.categories))
    if item.purposes is None:
        return []
    based = [p for p in policy.purposes.values() if p.basis is not LawfulBasis.NOT_PERSONAL]
    return sorted(p.name for p in based if item.purposes(p))
