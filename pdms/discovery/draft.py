# ruff: noqa: E501  (tables are read by line)
"""The YAML text of a source mapping, drafted from proposals for a person to finish.

Guarantee: what pdms is not sure of is written `classify: UNDECIDED`, a key that the policy loader refuses, so a draft
cannot be used before somebody decided each column. Evidence stands beside it as a comment, without values. Two columns
that claim one target are both left undecided.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import yaml

from pdms.discovery.columns import UNDECIDED, ColumnProposal
from pdms.errors import InvalidInput

KINDS = ("members", "orders", "order_lines", "events", "interactions", "consents")

_ORDER_LINE = {
    "member_id": "key.member", "order_id": "key.order", "line_id": "key.line", "placed_at": "placed_at", "created_at": "placed_at",
    "product": "product", "product_name": "product_name", "category": "category", "quantity": "quantity",
    "unit_price": "unit_price", "amount": "amount",
}  # fmt: skip
TARGETS: Mapping[str, Mapping[str, str]] = {
    "members": {
        "member_id": "key.member", "registered_at": "registered_at", "created_at": "registered_at", "name": "field.name",
        "phone": "field.phone", "email": "field.email", "id_number": "field.id_number", "birth_date": "field.birth_date",
        "gender": "field.gender", "address": "field.address", "login": "field.login",
    },
    "orders": {
        "member_id": "key.member", "order_id": "key.order", "placed_at": "placed_at", "created_at": "placed_at",
        "completed_at": "completed_at", "amount": "amount", "status": "status", "state": "status", "invoiced": "invoiced",
    },
    "order_lines": _ORDER_LINE,
    "events": {
        "member_id": "key.member", "event_id": "key.event", "created_at": "at", "placed_at": "at", "kind": "kind", "product": "item",
        "category": "category",
    },
    "interactions": {
        "member_id": "key.member", "interaction_id": "key.interaction", "created_at": "at", "kind": "kind", "channel": "channel", "text": "text",
    },
    "consents": {
        "member_id": "key.member", "purpose": "purpose", "state": "state", "status": "state", "created_at": "at", "kind": "type",
        "channel": "channel", "evidence": "evidence",
    },
}  # fmt: skip
"""Kind of source → proposed field → target of the mapping."""

_PREFERRED = {"registered_at", "placed_at"}
"""Of two columns that claim one target, the one whose header says so outright wins over a bare `created_at`."""

_GENDERS = {"男": "male", "女": "female", "男性": "male", "女性": "female", "先生": "male", "女士": "female", "M": "male", "F": "female",
            "m": "male", "f": "female", "male": "male", "female": "female", "其他": "other", "other": "other", "未知": "", "保密": "", "unknown": ""}  # fmt: skip


def draft_source(name: str, kind: str, proposals: Sequence[ColumnProposal]) -> str:
    """Return YAML for `sources/<name>.yaml`.

    Raises InvalidInput for an unknown kind, a name that is no slug, or no columns at all.
    """
    if kind not in KINDS:
        raise InvalidInput(f"kind: must be one of {', '.join(KINDS)}", code="SOURCE_KIND")
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,63}", name):
        raise InvalidInput("name: lower-case letters, digits, - and _, at most 64, a letter first", code="SOURCE_NAME")
    if not proposals:
        raise InvalidInput("columns: at least one is needed", code="SOURCE_COLUMNS")
    targets = _settle(kind, proposals)
    lines = [
        f"# Draft of source {name}. Decide every UNDECIDED column: write `target: …` for what pdms shall hold, `target: ignore`",
        "# for what it shall not read. 请逐列确认；UNDECIDED 未定之前本文件无法加载。",
        f"kind: {kind}",
        "system: shop",
        "timezone: Asia/Shanghai",
        *(["currency: CNY"] if kind in {"orders", "order_lines"} else []),
        "columns:",
    ]
    lines.extend(_column(proposal, target) for proposal, target in zip(proposals, targets, strict=True))
    return "\n".join(lines) + "\n"


def _settle(kind: str, proposals: Sequence[ColumnProposal]) -> list[str | None]:
    """Return the target of each column, None where a person must decide."""
    known = TARGETS[kind]
    targets = [
        known.get(proposal.field) if proposal.field and proposal.confidence >= 0.5 else None for proposal in proposals
    ]
    outright = {
        target for target, proposal in zip(targets, proposals, strict=True) if target and proposal.field in _PREFERRED
    }
    targets = [
        None if target in outright and proposal.field == "created_at" else target
        for target, proposal in zip(targets, proposals, strict=True)
    ]
    claimed = Counter(target for target in targets if target)
    return [target if target and claimed[target] == 1 else None for target in targets]


def _column(proposal: ColumnProposal, target: str | None) -> str:
    """Return one line: header, what is decided, and the evidence as a comment."""
    entry: dict[str, object]
    if target is None:
        entry = {"classify": UNDECIDED}
    else:
        entry = {"target": target}
        form = next((item.removeprefix("format:") for item in proposal.evidence if item.startswith("format:")), None)
        if form and target in {"field.birth_date", "registered_at", "placed_at", "completed_at", "at"}:
            entry["format"] = form
        if target == "field.gender":
            entry["values"] = _GENDERS
    said = f"{proposal.label or 'no identifier found'}, {proposal.confidence:.2f}; " + "; ".join(proposal.evidence)
    return f"  {_flow(proposal.header)}: {_flow(entry)}  # {_one_line(said)}"


def _flow(value: object) -> str:
    """Return a value as YAML on one line; what would break the line is escaped within quotes."""
    for style in (None, '"'):
        text = yaml.safe_dump(
            value, allow_unicode=True, default_flow_style=True, default_style=style, width=1_000_000, sort_keys=False
        )
        line = text.removesuffix("\n").removesuffix("\n...")
        if len(line.splitlines()) < 2:
            return line
    return line.replace("\n", " ")


def _one_line(text: str) -> str:
    return re.sub(r"[^\x20-\x7e\u00a0-\ud7ff\ue000-\ufffd]", " ", text)
