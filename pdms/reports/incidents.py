"""Incidents: opened with what is known, their clocks, the draft of the two notifications, and the steps taken.

Guarantees: clocks run from the detection and stop only at a step that is on record, in time only where it was put on
record in time; instants stand in the log too, and a row that tells others, or is gone, is a finding; the draft has
every field that PIPL-57 asks for, and names those that are still to be filled in instead of guessing them; codes,
counts and instants only are kept. Deliberately not here: sending anything to an authority, and judging whether an
incident is "larger".
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlmodel import col, select

from pdms.audit.catalogue import EventKind
from pdms.audit.events import Event
from pdms.errors import Conflict, InvalidInput, NotFound
from pdms.reports import log_evidence
from pdms.reports.document import Both, Cell, Report, Row, RowState, Section, both, columns
from pdms.reports.tables import IncidentRow, IncidentStepRow
from pdms.taxonomy import Language, Scope, new_id
from pdms.unit_of_work import UnitOfWork

AUTHORITY_HOURS, AUTHORITY_HOURS_CIIO = 4, 1
MOST_PEOPLE = 2_000_000_000


class Cause(StrEnum):
    """What happened (PIPL-57: leak, tampering, loss), and by what."""

    ATTACK = "attack"
    INSIDER = "insider"
    MISCONFIGURATION = "misconfiguration"
    LOST_DEVICE = "lost_device"
    PROCESSOR = "processor"
    UNKNOWN = "unknown"


class Harm(StrEnum):
    """What may follow for people."""

    FRAUD = "fraud"
    HARASSMENT = "harassment"
    PROPERTY = "property"
    REPUTATION = "reputation"
    DISCRIMINATION = "discrimination"
    SAFETY = "safety"


class Remedy(StrEnum):
    """What was done at once."""

    ACCESS_CLOSED = "access_closed"
    KEYS_ROTATED = "keys_rotated"
    PROCESSOR_STOPPED = "processor_stopped"
    DATA_RESTORED = "data_restored"
    EVIDENCE_KEPT = "evidence_kept"


class Advice(StrEnum):
    """What people can do themselves."""

    CHANGE_PASSWORD = "change_password"  # noqa: S105 - a piece of advice
    WATCH_FOR_FRAUD = "watch_for_fraud"
    WATCH_ACCOUNTS = "watch_accounts"
    CONTACT_US = "contact_us"


class IncidentStep(StrEnum):
    """What ends a clock."""

    AUTHORITY = "authority"
    MEMBERS = "members"
    WAIVED = "waived"
    """Members need not be told: measures effectively avoid harm (PIPL-57-2); the reasoning is in the ticket."""
    CLOSED = "closed"


WORDS: dict[StrEnum, Both] = {
    Cause.ATTACK: both("外部攻击", "attack from outside"),
    Cause.INSIDER: both("内部人员违规", "misuse by an insider"),
    Cause.MISCONFIGURATION: both("配置错误", "misconfiguration"),
    Cause.LOST_DEVICE: both("设备丢失", "lost device"),
    Cause.PROCESSOR: both("受托方发生", "at a processor"),
    Cause.UNKNOWN: both("原因尚在调查", "still being looked into"),
    Harm.FRAUD: both("电信诈骗", "fraud"),
    Harm.HARASSMENT: both("骚扰", "harassment"),
    Harm.PROPERTY: both("财产损失", "loss of property"),
    Harm.REPUTATION: both("名誉损害", "harm to reputation"),
    Harm.DISCRIMINATION: both("歧视性待遇", "discrimination"),
    Harm.SAFETY: both("人身安全", "personal safety"),
    Remedy.ACCESS_CLOSED: both("已关闭相关访问", "access was closed"),
    Remedy.KEYS_ROTATED: both("已轮换密钥", "keys were rotated"),
    Remedy.PROCESSOR_STOPPED: both("已停止受托方处理", "the processor was stopped"),
    Remedy.DATA_RESTORED: both("已恢复数据", "data were restored"),
    Remedy.EVIDENCE_KEPT: both("已固定证据", "evidence was secured"),
    Advice.CHANGE_PASSWORD: both("修改登录密码", "change the password"),
    Advice.WATCH_FOR_FRAUD: both("警惕陌生来电、短信和链接", "beware of unknown calls, messages and links"),
    Advice.WATCH_ACCOUNTS: both("留意账户异动", "watch accounts for unusual movements"),
    Advice.CONTACT_US: both("如有异常请联系我们", "contact us if anything seems wrong"),
}
_KINDS = (EventKind.INCIDENT_OPENED, EventKind.INCIDENT_STEP)
_TO_FILL = both("待填写", "to be filled in")


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident and what became of it."""

    incident_id: str
    detected_at: datetime
    cause: Cause
    larger: bool
    categories: tuple[str, ...]
    harms: tuple[Harm, ...]
    remedies: tuple[Remedy, ...]
    advice: tuple[Advice, ...]
    people: int | None
    sensitive_people: int | None
    minors: int | None
    steps: dict[IncidentStep, datetime]
    evidence: tuple[str, ...]

    def authority_due(self, *, ciio: bool) -> datetime | None:
        """By when the authority must know: 4 hours (1 for CIIO) for a larger incident (INC-4); else "immediately"."""
        hours = AUTHORITY_HOURS_CIIO if ciio else AUTHORITY_HOURS
        return self.detected_at + timedelta(hours=hours) if self.larger else None


def open_incident(
    uow: UnitOfWork,
    *,
    detected_at: datetime,
    cause: Cause,
    larger: bool,
    categories: Sequence[str],
    harms: Sequence[Harm] = (),
    remedies: Sequence[Remedy] = (),
    advice: Sequence[Advice] = (),
    people: int | None = None,
    sensitive_people: int | None = None,
    minors: int | None = None,
) -> Incident:
    """Open an incident; its clocks run from `detected_at`.

    :raises InvalidInput: detection lies in the future, a category is not the policy's, or a number is out of bounds.
    """
    uow.require(Scope.COMPLIANCE)
    if detected_at > uow.now:
        raise InvalidInput("detected_at: an instant that has come")
    if not categories or not set(categories) <= set(uow.policy.categories):
        raise InvalidInput(f"categories: at least one of {', '.join(sorted(uow.policy.categories))}")
    counts = {"people": people, "sensitive_people": sensitive_people, "minors": minors}
    if any(n is not None and not 0 <= n <= MOST_PEOPLE for n in counts.values()):
        raise InvalidInput("people: whole numbers")
    incident_id = new_id("inc")
    event = uow.record(
        EventKind.INCIDENT_OPENED,
        refs={"incident": incident_id, "cause": cause.value},
        numbers={"larger": int(larger), "detected_at": int(detected_at.timestamp())}
        | {name: n for name, n in counts.items() if n is not None},
    )
    facts = {
        "categories": sorted(set(categories)),
        "harms": sorted(set(harms)),
        "remedies": sorted(set(remedies)),
        "advice": sorted(set(advice)),
        **counts,
    }
    uow.session.add(
        IncidentRow(
            incident_id=incident_id,
            detected_at=detected_at,
            cause=cause.value,
            larger=larger,
            facts=json.dumps(facts),
            event_id=event,
            opened_at=uow.now,
        )
    )
    uow.session.flush()
    return show_incident(uow, incident_id=incident_id)


def note_step(uow: UnitOfWork, *, incident_id: str, step: IncidentStep, at: datetime, ticket: str = "") -> Incident:
    """Note that a step was taken. :param ticket: needed for `waived`: it leads to the reasoning.

    :raises NotFound: no such incident. :raises Conflict: the step is on record already.
    :raises InvalidInput: the instant lies in the future or before the detection, or the ticket is missing.
    """
    uow.require(Scope.COMPLIANCE)
    incident = show_incident(uow, incident_id=incident_id)
    if not incident.detected_at <= at <= uow.now:
        raise InvalidInput("at: between the detection and now")
    if step is IncidentStep.WAIVED and not ticket:
        raise InvalidInput("ticket: why members need not be told must be on file (PIPL-57-2)")
    if step in incident.steps:
        raise Conflict("step: it is on record already", code="STEP_NOTED")
    if step is IncidentStep.CLOSED and IncidentStep.AUTHORITY not in incident.steps:
        raise Conflict("step: the authority was not told yet (PIPL-57-1)", code="AUTHORITY_NOT_TOLD")
    event = uow.record(
        EventKind.INCIDENT_STEP,
        refs={"incident": incident_id, "step": step.value},
        numbers={"at": int(at.timestamp())},
        ticket=ticket or None,
    )
    uow.session.add(
        IncidentStepRow(incident_id=incident_id, step=step.value, at=at, event_id=event, recorded_at=uow.now)
    )
    uow.session.flush()
    return show_incident(uow, incident_id=incident_id)


def incidents(uow: UnitOfWork) -> tuple[Incident, ...]:
    """Return all incidents, newest first."""
    uow.require(Scope.COMPLIANCE, Scope.ADMIN)
    rows = uow.session.exec(
        select(IncidentRow).order_by(col(IncidentRow.detected_at).desc(), col(IncidentRow.incident_id))
    ).all()
    return tuple(_incident(uow, row) for row in rows)


def show_incident(uow: UnitOfWork, *, incident_id: str) -> Incident:
    """Return one. :raises NotFound: there is none."""
    uow.require(Scope.COMPLIANCE, Scope.ADMIN)
    row = uow.session.get(IncidentRow, incident_id)
    if row is None:
        raise NotFound("incident: none has this id")
    return _incident(uow, row)


def draft(uow: UnitOfWork, *, incident_id: str) -> Report:
    """Return the draft of what the authority and the people concerned are told (PIPL-57, MIN-35), and the clocks."""
    uow.require(Scope.COMPLIANCE)
    one = show_incident(uow, incident_id=incident_id)
    controller = uow.policy.controller
    uow.record(EventKind.REPORT_READ, refs={"report": "breach", "incident": incident_id})
    fields = _fields(uow, one)
    filled = Section(
        "notification",
        both("通知内容", "What is told"),
        columns(field=("事项", "item"), text=("内容", "text"), to=("对象", "to")),
        tuple(fields),
        note=both(
            "标为“待办”的事项须在通知前补齐。", "What is marked as due must be completed before anything is sent."
        ),
    )
    return Report(
        "breach",
        both("个人信息安全事件通知（草稿）", "Incident notification (draft)"),
        both(
            "依据《个人信息保护法》第五十七条、《未成年人网络保护条例》第三十五条、《网络安全事件报告管理办法》。",
            "Under PIPL art. 57, the Minors' Regulation art. 35 and the incident reporting measures.",
        ),
        controller.name,
        uow.now,
        uow.policy.digest,
        one.detected_at,
        uow.now,
        (filled, clocks(uow, (one,))),
    )


def clocks(uow: UnitOfWork, found: Sequence[Incident]) -> Section:
    """Return the clocks of incidents as a section; `overdue` is what an alarm is raised for."""
    rows: list[Row] = []
    logged = _logged(uow) if found else {}
    for one in found:
        altered = _altered(one, logged)
        due = one.authority_due(ciio=uow.policy.controller.ciio)
        told = one.steps.get(IncidentStep.AUTHORITY)
        rows.append(
            Row(
                (one.incident_id, both("报告主管部门", "tell the authority"), one.detected_at, due, told),
                one.evidence,
                ("PIPL-57-1", "INC-4") if one.larger else ("PIPL-57-1",),
                RowState.FINDING if altered else _clock(told, due, uow.now, _recorded(one, logged)),
            )
        )
        people = one.steps.get(IncidentStep.MEMBERS) or one.steps.get(IncidentStep.WAIVED)
        what = both("通知个人（及监护人），或记录免于通知的理由", "tell people (and guardians), or why not")
        rows.append(
            Row(
                (one.incident_id, what, one.detected_at, None, people),
                one.evidence,
                ("PIPL-57-1", "PIPL-57-2", "MIN-35"),
                RowState.FINDING if altered else _clock(people, None, uow.now),
            )
        )
    return Section(
        "clocks",
        both("时限", "Clocks"),
        columns(
            incident=("事件", "incident"),
            duty=("义务", "duty"),
            detected=("发现时间", "detected"),
            due=("最迟", "due"),
            done=("完成", "done"),
        ),
        tuple(rows),
        note=both(
            "较大以上事件：发现后4小时内（关键信息基础设施1小时内）报告；其他：立即。逾期后补记的步骤视为逾期；“发现”表示与日志所载时间不符。",
            "Larger incidents: within 4 hours of detection (critical infrastructure: 1 hour); all others: immediately. "
            "A step put on record after its time counts as late; a finding: the log tells other instants.",
        ),
    )


def _clock(done: datetime | None, due: datetime | None, now: datetime, recorded: datetime | None = None) -> RowState:
    """A step stops its clock when it is put on record: an instant entered afterwards is only the enterer's word."""
    if done is not None:
        late = due is not None and max(done, recorded or done) > due
        return RowState.OVERDUE if late else RowState.FINE
    return RowState.OVERDUE if due is not None and now > due else RowState.DUE


def missing(uow: UnitOfWork) -> tuple[str, ...]:
    """Return the incidents that the log tells of and that are on record no more."""
    told = {event.refs["incident"] for event in _logged(uow).values()}
    held = {row.incident_id for row in uow.session.exec(select(IncidentRow))}
    return tuple(sorted(told - held))


def _logged(uow: UnitOfWork) -> dict[str, Event]:
    return {event.event_id: event for event in log_evidence.each(uow, _KINDS, log_evidence.Period())}


def _recorded(one: Incident, logged: Mapping[str, Event]) -> datetime | None:
    for event in logged.values():
        if event.refs.get("incident") == one.incident_id and event.refs.get("step") == IncidentStep.AUTHORITY.value:
            return event.at
    return None


def _altered(one: Incident, logged: Mapping[str, Event]) -> bool:
    """Whether the log tells other instants, or a step that is gone; events of older versions tell no instants."""
    steps = {step.value: at for step, at in one.steps.items()}
    for event in logged.values():
        if event.refs.get("incident") != one.incident_id:
            continue
        step = event.refs.get("step")
        held = one.detected_at if step is None else steps.get(step)
        told = event.numbers.get("detected_at" if step is None else "at")
        if told is not None and (held is None or told != int(held.timestamp())):
            return True
    return False


def _fields(uow: UnitOfWork, one: Incident) -> list[Row]:
    controller = uow.policy.controller
    all_, authority, people = (
        both("主管部门、个人", "authority, people"),
        both("主管部门", "authority"),
        both("个人", "people"),
    )
    labels = [uow.policy.categories[name].label for name in one.categories if name in uow.policy.categories]
    level = both("较大以上", "larger or above") if one.larger else both("一般", "ordinary")

    def row(zh: str, en: str, text: Cell, to: Both, article: str) -> Row:
        missing = text is None
        return Row(
            (both(zh, en), _TO_FILL if missing else text, to),
            one.evidence,
            (article,),
            RowState.DUE if missing else RowState.NONE,
        )

    return [
        row("发生（发现）时间", "time of detection", one.detected_at, all_, "PIPL-57-1(1)"),
        row("信息种类", "categories", _joined(labels), all_, "PIPL-57-1(1)"),
        row(
            "原因",
            "cause",
            None if one.cause is Cause.UNKNOWN else WORDS[one.cause],
            all_,
            "PIPL-57-1(1)",
        ),
        row("可能造成的危害", "possible harm", _joined([WORDS[h] for h in one.harms]), all_, "PIPL-57-1(1)"),
        row("已采取的补救措施", "remedies taken", _joined([WORDS[r] for r in one.remedies]), all_, "PIPL-57-1(2)"),
        row("个人可采取的措施", "what people can do", _joined([WORDS[a] for a in one.advice]), people, "PIPL-57-1(2)"),
        row("联系方式", "contact", f"{controller.contact} · {controller.officer}", all_, "PIPL-57-1(3)"),
        row("影响人数", "people concerned", one.people, authority, "INC-4"),
        row("其中敏感个人信息", "of these, with sensitive data", one.sensitive_people, authority, "INC-4"),
        row("其中未成年人（须通知监护人）", "of these, minors (guardians are told)", one.minors, all_, "MIN-35"),
        row("事件级别", "level", level, authority, "INC-4"),
    ]


def _joined(texts: Sequence[Both]) -> Both | None:
    if not texts:
        return None
    return both("、".join(one[Language.ZH] for one in texts), ", ".join(one[Language.EN] for one in texts))


def _incident(uow: UnitOfWork, row: IncidentRow) -> Incident:
    facts = json.loads(row.facts)
    steps = uow.session.exec(select(IncidentStepRow).where(col(IncidentStepRow.incident_id) == row.incident_id)).all()
    return Incident(
        row.incident_id,
        row.detected_at,
        Cause(row.cause),
        row.larger,
        tuple(facts["categories"]),
        tuple(Harm(one) for one in facts["harms"]),
        tuple(Remedy(one) for one in facts["remedies"]),
        tuple(Advice(one) for one in facts["advice"]),
        facts["people"],
        facts["sensitive_people"],
        facts["minors"],
        {IncidentStep(step.step): step.at for step in steps},
        (row.event_id, *(step.event_id for step in steps)),
    )
