"""The cut-over report: what was taken over, what was found alike, and what still has to be done, outside pdms too.

Guarantees: counts, codes and ids only; signed with the key of the receipts over its canonical JSON, with the log's
newest checkpoint in it, so that neither a number nor the day can be changed later unnoticed. It names what pdms can
neither erase nor see (the old table, its backups, its logs) and does not claim that any of it is gone.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pdms.audit import service as audit
from pdms.crypto import Verifier
from pdms.errors import IntegrityBroken
from pdms.ingest import progress as records
from pdms.ingest.rules import RULES
from pdms.ingest.verify import Verification
from pdms.policy.canonical import text_of
from pdms.taxonomy import Language, Scope
from pdms.unit_of_work import UnitOfWork

SCHEMA: Final = "pdms/cut-over-1"
SIGNER: Final = "receipts"

REMAINS: Final[Mapping[str, tuple[str, str]]] = {
    "TAKE_OVER": (
        "尚未完成一次完整迁入：请再次运行 pdms ingest。",
        "No take-over of this table has ended yet: run pdms ingest again.",
    ),
    "RUN_AGAIN": (
        "原系统此后有变化，或有会员尚未迁入：停止原系统写入，再运行一次 pdms ingest（只取变化），然后重新核对。",
        (
            "The old system changed since, or members were not taken: stop its writes, run pdms ingest once more (it"
            " takes only what changed), then verify again."
        ),
    ),
    "LOOK_INTO_BROKEN": (
        "有会员的密封值不能打开：先查明原因（pdms audit verify），不得切换。",
        "Sealed values of some members do not open: find out why (pdms audit verify) before anything is switched.",
    ),
    "MEND_REJECTED": (
        "被拒绝的行未入库：逐条规则在原系统更正后再运行，或记录决定舍弃。",
        (
            "Rejected rows are not held: mend them in the old system by rule and run again, or record that they are"
            " given up."
        ),
    ),
    "DECIDE_HELD_ELSEWHERE": (
        "保管库中有原表已无的会员：如系原系统删除，按删除请求处理。",
        "The vault holds members that the table does not have: where the old system erased them, erase them here.",
    ),
    "STOP_WRITES": (
        "停止原系统写入后，做最后一次迁入与核对，再切换。",
        "Once the old system's writes have stopped, run the take-over and this check a last time, then switch.",
    ),
    "DROP_TABLE": (
        "删除原表并回收空间：DROP TABLE 之后旧字节仍在文件中（PostgreSQL 的旧页与 WAL；SQLite 的空闲页）。",
        (
            "Drop the old table and give its space back: after DROP TABLE the bytes remain in files (PostgreSQL: heap"
            " and WAL; SQLite: free pages, unless secure_delete and VACUUM)."
        ),
    ),
    "OLD_BACKUPS": (
        "原库的备份、快照与副本仍含明文：逐一销毁或定下到期日。",
        "Backups, snapshots and replicas of the old database hold it in plain text: destroy each, or set its end.",
    ),
    "OLD_WAL": (
        "原库的 WAL 归档、复制槽与变更数据流仍含明文。",
        "Archived WAL, replication slots and change feeds of the old database hold it in plain text.",
    ),
    "OLD_LOGS": (
        "原系统的查询日志、应用日志与错误上报可能含会员数据。",
        "Query logs, application logs and error reports of the old system may hold members' data.",
    ),
    "OLD_COPIES": (
        "测试库、报表、导出文件与个人电脑上的副本。",
        "Copies in test databases, reports, exports and on staff machines.",
    ),
    "OLD_ACCOUNT": (
        "收回为迁入开通的数据库账号与口令。",
        "Revoke the database account and password that were opened for the take-over.",
    ),
}
"""What may remain, as the report tells it: code → (zh-CN, en)."""
_ALWAYS: Final = ("STOP_WRITES", "DROP_TABLE", "OLD_BACKUPS", "OLD_WAL", "OLD_LOGS", "OLD_COPIES", "OLD_ACCOUNT")
_OUTSIDE: Final = (
    "以下各项在 pdms 之外，pdms 既不能删除也无法查验：",
    "What follows lies outside pdms, which can neither erase nor check it:",
)
_COUNTS: Final = (
    ("rows", "原表行数", "rows of the old table"),
    ("equal", "一致", "alike"),
    ("corrected", "一致（会员已在 pdms 更正者除外）", "alike but for corrections made in pdms"),
    ("differing", "不一致（原系统此后变化）", "differing (changed in the old system since)"),
    ("missing", "未入库", "not held"),
    ("not_compared", "未比对（处理受限）", "not compared (the gate refuses)"),
    ("broken", "密封值不能打开", "sealed values that do not open"),
    ("held_elsewhere", "库中有而原表无", "held, but not in the table"),
)


@dataclass(frozen=True, slots=True)
class CutOver:
    """A signed report. `document` is JSON-ready."""

    document: Mapping[str, Any]
    digest: str
    """SHA-256 of the signed text, hex."""

    @property
    def ready(self) -> bool:
        """Tell whether nothing in pdms stands against switching."""
        return bool(self.document["ready"])

    def text(self, language: Language) -> str:
        """Return the report for people."""
        return _text(self.document, self.digest, zh=language is Language.ZH)


def cut_over(uow: UnitOfWork, verification: Verification) -> CutOver:
    """Make the report of a verification; sequence the log before, so that its event is below the checkpoint."""
    uow.require(Scope.INGEST)
    runs = records.runs_of(uow, verification.content)
    finished = [one for one in runs if one.finished_at is not None]
    last = records.rules_of(uow, finished[-1].load_id) if finished else None
    remains = []
    if last is None or len(finished) < len(runs):
        remains.append("TAKE_OVER")
    if verification.broken:
        remains.append("LOOK_INTO_BROKEN")
    if verification.differing or verification.missing:
        remains.append("RUN_AGAIN")
    if verification.rejected:
        remains.append("MEND_REJECTED")
    if verification.held_elsewhere:
        remains.append("DECIDE_HELD_ELSEWHERE")
    checkpoint = audit.checkpoint(uow.session)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "made_at": uow.now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "controller": uow.policy.controller.id,
        "source": verification.source,
        "system": verification.system,
        "policy": uow.policy.digest,
        "ready": not {"TAKE_OVER", "LOOK_INTO_BROKEN", "RUN_AGAIN"} & set(remains),
        "taken_over": {
            "runs": len(finished),
            "read": last.info.read if last else 0,
            "accepted": last.info.accepted if last else 0,
            "rejected": last.info.rejected if last else 0,
            "rejected_by_rule": dict(last.by_rule) if last else {},
            "created": sum(one.created for one in runs),
            "updated": sum(one.updated for one in runs),
        },
        "verified": {name: getattr(verification, name) for name, _, _ in _COUNTS}
        | {
            "purpose": verification.purpose,
            "differing_by_field": dict(verification.by_field),
            "rejected_by_rule": dict(verification.rejected),
            "not_compared_for": dict(verification.refused_for),
            "table_rows_at_the_end": verification.table_rows,
            "event": verification.event_id,
        },
        "remains": [*remains, *_ALWAYS],
        "outside_pdms": list(_ALWAYS),
        "checkpoint": None if checkpoint is None else checkpoint.render(),
    }
    digest = hashlib.sha256(text_of(document).encode()).hexdigest()
    signer = uow.keys.signer(SIGNER)
    document["signature"] = {
        "algorithm": "Ed25519",
        "public_key": signer.public_key.hex(),
        "value": signer.sign(text_of(document).encode()).hex(),
    }
    return CutOver(document, digest)


def check(document: Mapping[str, Any], *, public_key: bytes) -> None:
    """Check a report against the key that the controller publishes. Offline. :raises IntegrityBroken: it is not so."""
    signature = document.get("signature")
    body = {name: value for name, value in document.items() if name != "signature"}
    try:
        value = bytes.fromhex(signature["value"])  # type: ignore[index]  # whatever it is, the refusal says
    except (TypeError, KeyError, ValueError):
        raise IntegrityBroken("cut-over report: it carries no signature", code="RECEIPT_FORM") from None
    Verifier(public_key).verify(text_of(body).encode(), value)


def _text(document: Mapping[str, Any], digest: str, *, zh: bool) -> str:
    def say(chinese: str, english: str) -> str:
        return chinese if zh else english

    taken, verified = document["taken_over"], document["verified"]
    lines = [
        say("迁入切换报告", "Cut-over report"),
        f"{say('来源', 'source')}: {document['source']}   {document['made_at']}",
        say("结论：可以切换（仍须完成下列事项）", "Verdict: ready to switch (what follows still has to be done)")
        if document["ready"]
        else say("结论：尚不能切换", "Verdict: not ready to switch"),
        "",
        (
            f"{say('迁入', 'Taken over')}: {say('读取', 'read')} {taken['read']}, {say('接受', 'accepted')} "
            f"{taken['accepted']}, {say('拒绝', 'rejected')} {taken['rejected']}, {say('次数', 'runs')} {taken['runs']}"
        ),
        *_rules(taken["rejected_by_rule"]),
        "",
        say("核对", "Verified"),
        *(f"  {say(chinese, english)}: {verified[name]}" for name, chinese, english in _COUNTS),
        *(f"    {say('字段', 'field')} {name}: {count}" for name, count in verified["differing_by_field"].items()),
        *_rules(verified["rejected_by_rule"]),
        "",
        say("仍须完成", "What remains to be done"),
        *(f"  - {REMAINS[code][0 if zh else 1]}" for code in document["remains"] if code not in _ALWAYS),
        say(*_OUTSIDE),
        *(f"  - {REMAINS[code][0 if zh else 1]}" for code in document["outside_pdms"]),
        "",
        f"SHA-256 {digest}",
        *(document["checkpoint"] or say("日志尚无检查点", "the log has no checkpoint yet")).splitlines(),
    ]
    return "\n".join(lines) + "\n"


def _rules(by_rule: Mapping[str, int]) -> list[str]:
    return [f"    {rule}: {count} – {RULES.get(rule, '')}" for rule, count in by_rule.items()]
