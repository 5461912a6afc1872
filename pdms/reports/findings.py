"""What the law asks of a controller of this size, and what of it is not shown: the list of findings.

Guarantees: thresholds are compared with the number of members held (decoys left out) and with the calendar of working
days; a duty counts as done only where a record, the policy or the log shows it; each finding names its article, its
evidence and the tier of fine it may stand under (PIPL-66). It decides nothing and files nothing. A duty that hangs on a
number begins on the day the sweep first met that number.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from pdms.access import service as access
from pdms.audit.catalogue import EventKind
from pdms.clock import SHANGHAI
from pdms.errors import InvalidInput
from pdms.gate import service as gate
from pdms.policy.calendar import add_working_days
from pdms.reports import incidents, log_evidence, records
from pdms.reports.document import Both, Report, Row, RowState, Section, both, columns
from pdms.reports.log_evidence import legal_day
from pdms.reports.records import Record, RecordKind
from pdms.reports.registers import report
from pdms.taxonomy import Scope
from pdms.unit_of_work import UnitOfWork
from pdms.vault import service as vault

SMALL_BELOW, OFFICER_FROM, LARGE_FROM = 100_000, 1_000_000, 10_000_000
MILESTONES = (SMALL_BELOW, OFFICER_FROM, LARGE_FROM)
FILE_OFFICER_DAYS, FILE_SCC_DAYS = 30, 10
"""Working days."""
YEAR = timedelta(days=365)
AUDIT_EVERY = 2 * YEAR
KEY_WARNING = timedelta(days=14)
ORDINARY = both("一般：责令改正；拒不改正处一百万元以下", "ordinary: order to correct; else up to ¥1M")
SERIOUS = both("情节严重：五千万元以下或上年营业额百分之五以下", "serious: up to ¥50M or 5% of turnover")
OTHER = both("依相应法规", "under the regulation named")


@dataclass(frozen=True, slots=True)
class Finding:
    """One duty that is not shown, or is fine. `code` is stable."""

    code: str
    article: str
    state: RowState
    text: Both
    due: date | None = None
    evidence: tuple[str, ...] = ()
    tier: Both = field(default_factory=lambda: ORDINARY)


@dataclass(frozen=True, slots=True)
class Known:
    """What findings are made from."""

    uow: UnitOfWork
    members: int
    minors: int
    today: date
    done: dict[RecordKind, list[Record]]

    def last(self, kind: RecordKind) -> Record | None:
        """The newest record of a kind."""
        return next(iter(self.done.get(kind, ())), None)

    def reached(self, threshold: int) -> Record | None:
        """The day on which a threshold was first met."""
        found = [one for one in self.done.get(RecordKind.MILESTONE, ()) if one.numbers.get("members") == threshold]
        return found[-1] if found else None

    def working(self, start: date, days: int) -> date:
        """A due date in working days; where the calendar is not published, the same number of calendar days."""
        try:
            return add_working_days(start, days, calendars=self.uow.policy.calendars)
        except InvalidInput:
            return start + timedelta(days=days)


def findings(uow: UnitOfWork) -> Report:
    """Return the list of findings, worst first."""
    uow.require(Scope.COMPLIANCE)
    known = _known(uow)
    found = sorted(_all(known), key=lambda one: (_ORDER.index(one.state), one.code))
    section = Section(
        "findings",
        both("发现与待办", "Findings and duties"),
        columns(
            code=("代码", "code"),
            text=("内容", "what"),
            due=("期限", "due"),
            tier=("处罚档次（参考）", "tier of fine (guide)"),
        ),
        tuple(
            Row(
                (one.code, one.text, one.due, one.tier if one.state in _BAD else None),
                one.evidence,
                (one.article,),
                one.state,
            )
            for one in found
        ),
    )
    stored = log_evidence.newest(uow, (EventKind.MEMBER_CREATED, EventKind.ERASE_DONE))
    scale = Section(
        "scale",
        both("规模", "Scale"),
        columns(item=("事项", "item"), value=("数值", "value")),
        (
            Row((both("会员数", "members"), known.members), stored),
            Row((both("其中不满十八周岁", "of these below 18"), known.minors), stored),
            Row(
                (both("政策所声明的规模", "profile in the policy"), uow.policy.controller.profile),
                (f"policy:{uow.policy.digest}",),
            ),
        ),
    )
    about = both(
        "依会员数、政策、在案记录与日志逐项核对法定义务。",
        "Duties of the law, held against the number of members, the policy, the records and the log.",
    )
    opened = incidents.clocks(uow, incidents.incidents(uow))
    return report(uow, "findings", both("合规发现清单", "Findings"), about, (scale, section, opened))


def alarms(uow: UnitOfWork) -> dict[str, int]:
    """For the sweep: note milestones, and count by code what is overdue or found; an event tells of it."""
    uow.require(Scope.ADMIN, Scope.COMPLIANCE)
    known = _known(uow)
    for threshold in MILESTONES:
        if known.members >= threshold and known.reached(threshold) is None:
            records.enter(uow, kind=RecordKind.MILESTONE, done_on=known.today, numbers={"members": threshold})
    found = {one.code: 1 for one in _all(_known(uow)) if one.state in _BAD}
    clocks = incidents.clocks(uow, incidents.incidents(uow)).rows
    for code, state in (("INCIDENT_UNFILED", RowState.OVERDUE), ("INCIDENT_ALTERED", RowState.FINDING)):
        count = sum(row.state is state for row in clocks)
        if count:
            found[code] = count
    if found:
        uow.record(EventKind.DUTY_OVERDUE, numbers=found)
    return dict(sorted(found.items()))


_BAD = (RowState.OVERDUE, RowState.FINDING)
_ORDER = (*_BAD, RowState.DUE, RowState.NO_EVIDENCE, RowState.FINE, RowState.NONE)


def _known(uow: UnitOfWork) -> Known:
    day = legal_day(uow)
    decoys = vault.decoys(uow)
    minors = sum(
        1
        for member, status, _, _, turns_18 in vault.state_rows(uow)
        if status != "erased" and turns_18 is not None and str(turns_18) > day.isoformat() and member not in decoys
    )
    done: dict[RecordKind, list[Record]] = {}
    for one in records.records(uow):
        done.setdefault(one.kind, []).append(one)
    return Known(uow, vault.count(uow) - len(decoys), minors, day, done)


def _all(known: Known) -> Iterator[Finding]:
    for rule in RULES:
        yield from rule(known)


def _periodic(
    known: Known, kind: RecordKind, every: timedelta, *, code: str, article: str, text: Both, tier: Both = ORDINARY
) -> Finding:
    last = known.last(kind)
    due = last.done_on + every if last else None
    late = due is None or due < known.today
    state = RowState.OVERDUE if late else RowState.FINE
    return Finding(code, article, state, text, due, (last.event_id,) if last else (), tier)


def _plan(known: Known) -> Iterator[Finding]:
    plan = known.last(RecordKind.PLAN)
    yield Finding(
        "NO_INCIDENT_PLAN",
        "PIPL-51(5)",
        RowState.FINE if plan else RowState.FINDING,
        both("已制定个人信息安全事件应急预案", "an incident plan is approved"),
        evidence=(plan.event_id,) if plan else (),
    )
    yield _periodic(
        known,
        RecordKind.DRILL,
        YEAR,
        code="NO_DRILL",
        article="NDR-11",
        text=both("最近十二个月内进行过应急演练", "a drill within the last twelve months"),
    )


def _audits(known: Known) -> Iterator[Finding]:
    if known.members > LARGE_FROM:
        yield _periodic(
            known,
            RecordKind.AUDIT,
            AUDIT_EVERY,
            code="AUDIT_OVERDUE",
            article="AUD-4",
            text=both("处理超过一千万人信息，至少每两年审计一次", "above ten million people: an audit every two years"),
        )
        return
    last = known.last(RecordKind.AUDIT)
    yield Finding(
        "NO_AUDIT",
        "PIPL-54",
        RowState.FINE if last else RowState.DUE,
        both("定期进行合规审计", "audits are regular"),
        evidence=(last.event_id,) if last else (),
    )


def _officer(known: Known) -> Iterator[Finding]:
    if known.members < OFFICER_FROM:
        return
    filed, reached = known.last(RecordKind.OFFICER_FILED), known.reached(OFFICER_FROM)
    due = known.working(reached.done_on if reached else known.today, FILE_OFFICER_DAYS)
    state = RowState.FINE if filed else RowState.OVERDUE if known.today > due else RowState.DUE
    evidence = tuple(one.event_id for one in (filed, reached) if one)
    text = both("负责人信息在三十个工作日内报送", "the officer is filed within thirty working days")
    yield Finding("OFFICER_NOT_FILED", "PIPL-52", state, text, None if filed else due, evidence)
    if not known.uow.policy.controller.officer:
        text = both("公开负责人联系方式", "the officer's contact is public")
        yield Finding("OFFICER_ABSENT", "PIPL-52", RowState.FINDING, text)


def _large(known: Known) -> Iterator[Finding]:
    if known.members < LARGE_FROM:
        return
    for kind, code, article, text in (
        (
            RecordKind.SECURITY_OFFICER,
            "SECURITY_OFFICER_ABSENT",
            "NDR-30",
            both("明确网络数据安全负责人和管理机构", "a security officer and a management body"),
        ),
        (
            RecordKind.DISPOSAL_PLAN,
            "NO_DISPOSAL_PLAN",
            "NDR-32",
            both("合并、分立、解散时的数据处置方案", "a disposal plan for merger, split or dissolution"),
        ),
    ):
        last = known.last(kind)
        state = RowState.FINE if last else RowState.FINDING
        yield Finding(code, article, state, text, evidence=(last.event_id,) if last else (), tier=OTHER)
    if known.uow.policy.controller.role == "platform":
        yield _periodic(
            known,
            RecordKind.OVERSIGHT,
            YEAR,
            code="NO_OVERSIGHT",
            article="PIPL-58",
            text=both("大型平台：外部监督机构与年度社会责任报告", "large platform: independent body and yearly report"),
        )


def _scale(known: Known) -> Iterator[Finding]:
    profile = known.uow.policy.controller.profile
    text = both("政策声明的规模与会员数相符", "the profile in the policy fits the number of members")
    fits = {
        "small": known.members < SMALL_BELOW,
        "standard": known.members < LARGE_FROM,
        "large": True,
    }[profile]
    article = "SMALL" if profile == "small" else "NDR-28"
    state = RowState.FINE if fits else RowState.FINDING
    yield Finding(
        "PROFILE_TOO_SMALL", article, state, text, evidence=(f"policy:{known.uow.policy.digest}",), tier=OTHER
    )


def _abroad(known: Known) -> Iterator[Finding]:
    policy = known.uow.policy
    filed = {one.subject: one for one in known.done.get(RecordKind.SCC_FILED, ())}
    for name, one in sorted(policy.recipients.items()):
        if one.mechanism != "scc":
            continue
        first = _in_force_since(known, name)
        due = known.working(first, FILE_SCC_DAYS)
        record = filed.get(name)
        state = RowState.FINE if record else RowState.OVERDUE if known.today > due else RowState.DUE
        text = both(
            f"标准合同（{name}）自生效起十个工作日内备案",
            f"the standard contract with {name} is filed within ten working days",
        )
        evidence = (record.event_id,) if record else (f"policy:{policy.digest}",)
        yield Finding("SCC_NOT_FILED", "SCC", state, text, None if record else due, evidence, OTHER)


def _in_force_since(known: Known, recipient: str) -> date:
    """Day of the first policy in force that handed data to this recipient under a standard contract."""
    for one in gate.history(known.uow):
        found = gate.policy_at(known.uow, digest=one.digest).recipients.get(recipient)
        if found is not None and found.mechanism == "scc":
            return one.activated_at.astimezone(SHANGHAI).date()
    return known.today


def _minors(known: Known) -> Iterator[Finding]:
    if not known.minors:
        return
    year = known.today.year
    due = date(year, 1, 31)
    filed = [one for one in known.done.get(RecordKind.MINORS_AUDIT, ()) if one.done_on.year == year]
    state = RowState.FINE if filed else RowState.OVERDUE if known.today > due else RowState.DUE
    text = both(
        "未成年人个人信息年度合规审计，一月底前报送", "yearly audit of minors' data, filed by the end of January"
    )
    evidence = (filed[0].event_id,) if filed else ()
    yield Finding("MINORS_AUDIT", "MIN-37", state, text, None if filed else due, evidence, OTHER)


def _assessments(known: Known) -> Iterator[Finding]:
    policy = known.uow.policy
    for name, one in sorted(policy.pipias.items()):
        if one.review_by < known.today:
            text = both(f"影响评估 {name} 已过复审期限", f"assessment {name} is past its review")
            yield Finding(
                "PIPIA_OVERDUE", "PIPL-55", RowState.OVERDUE, text, one.review_by, (f"policy:{policy.digest}",), SERIOUS
            )


def _contracts(known: Known) -> Iterator[Finding]:
    policy = known.uow.policy
    for name, one in sorted(policy.recipients.items()):
        if one.contract_until is None or one.contract_until < known.today:
            text = both(f"与接收方 {name} 的合同缺失或到期", f"no running contract with {name}")
            yield Finding(
                "CONTRACT_ENDED", "PIPL-21", RowState.FINDING, text, one.contract_until, (f"policy:{policy.digest}",)
            )


def _staff(known: Known) -> Iterator[Finding]:
    for one in access.list_operators(known.uow):
        if one.disabled:
            continue
        if one.role not in ("admin", "member", "ingest") and (
            one.trained_until is None or one.trained_until < known.today
        ):
            text = both(f"操作人 {one.label} 的培训缺失或过期", f"the training of {one.label} is absent or lapsed")
            yield Finding(
                "TRAINING_LAPSED", "PIPL-51(4)", RowState.FINDING, text, one.trained_until, (one.operator_id,)
            )
        for key in one.keys:
            left = key.expires_at - known.uow.now
            if not key.revoked and timedelta(0) < left <= KEY_WARNING:
                text = both(f"操作人 {one.label} 的密钥即将到期", f"a key of {one.label} ends soon")
                yield Finding(
                    "KEY_ENDS_SOON",
                    "PIPL-51",
                    RowState.DUE,
                    text,
                    key.expires_at.astimezone(SHANGHAI).date(),
                    (key.key_id,),
                )


def _altered(known: Known) -> Iterator[Finding]:
    changed = records.altered(known.uow)
    if changed:
        text = both(
            "在案义务的日期与日志不符，或记录已被删除",
            "duties on record are gone, or the log tells another day",
        )
        yield Finding("RECORD_ALTERED", "PIPL-56-2", RowState.FINDING, text, evidence=changed)
    gone = incidents.missing(known.uow)
    if gone:
        text = both("日志所载的安全事件已不在案", "incidents that the log tells of are on record no more")
        yield Finding("INCIDENT_MISSING", "PIPL-57", RowState.FINDING, text, evidence=gone)


RULES: tuple[Callable[[Known], Iterator[Finding]], ...] = (
    _plan,
    _audits,
    _officer,
    _large,
    _scale,
    _abroad,
    _minors,
    _assessments,
    _contracts,
    _staff,
    _altered,
)
