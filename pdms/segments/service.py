"""Saved segments: save, show, preview on the live release, export of whole classes.

Guarantees: a saved rule fits its view; counts are rounded and small ones only said to be small; an export holds whole
equivalence classes that lie wholly inside the rule, `min_cell` rows at least. Nothing here can reach a member: it reads
`anon.db` and releases. Messages to a segment's members are sent by `dispatch`, which applies the rule inside.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
from sqlmodel import select

from pdms.access import approvals
from pdms.access.approvals import Approved
from pdms.audit.catalogue import EventKind
from pdms.db import Lock, alone
from pdms.errors import Denied, InvalidInput, NotFound
from pdms.policy.reasons import reason
from pdms.policy.tags import denied
from pdms.segments.classes import Classes, classes_of
from pdms.segments.compiled import INSIDE, PARTLY, CompiledRule, compile_rule
from pdms.segments.counts import CountRange, RoundedCount, rounded
from pdms.segments.documents import read_document, slug
from pdms.segments.models import read_model
from pdms.segments.rules import Rule, parse, to_document
from pdms.segments.tables import SegmentRow
from pdms.taxonomy import GuardedAct, Language, Scope
from pdms.unit_of_work import AnonUnitOfWork
from pdms.views import service as views
from pdms.views.definitions import space_of
from pdms.views.files import csv_bytes

MAX_LABEL = 80


@dataclass(frozen=True, slots=True)
class Segment:
    """A saved rule over one view; `rule` is its canonical mapping, `digest` the SHA-256 of view and rule, hex."""

    name: str
    view: str
    label: Mapping[str, str]
    rule: Mapping[str, Any]
    digest: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule finds on a release: members are between `matched.low` and `matched.high`, all figures rounded."""

    segment: str
    view: str
    release_id: str
    matched: CountRange
    total: RoundedCount
    classes_inside: int
    classes_partly: int
    min_cell: int


@dataclass(frozen=True, slots=True)
class Export:
    """Anonymised rows ready to be written, once the unit that made them has committed."""

    segment: str
    release_id: str
    content: bytes
    filename: str
    media_type: str
    rows: int


def save(uow: AnonUnitOfWork, *, text: str | None = None, document: Mapping[str, Any] | None = None) -> Segment:
    """Save a segment from YAML `text` or a parsed `document`; a segment of that name is replaced.

    Instead of a `rule` it may hold a fitted `model` (see `models`), which is saved as the rule that it comes to.

    :raises InvalidInput: the document breaks the form, or speaks of what the view does not declare.
    :raises NotFound: the model is a tree and the view has no live release to hold its leaves against.
    """
    uow.require(Scope.MARKETING)
    if (text is None) == (document is None):
        raise InvalidInput("segment: either text or document is needed")
    given = read_document(text) if text is not None else document or {}
    if not {"name", "view", "label", "rule", "model"}.issuperset(given):
        raise InvalidInput("segment: a key is unknown here; known are label, model, name, rule, view")
    if "rule" in given and "model" in given:
        raise InvalidInput("segment: either rule or model, not both")
    name = slug(given.get("name"), field="segment.name")
    view = given.get("view")
    if not isinstance(view, str) or view not in uow.policy.views:
        raise InvalidInput("segment.view: it is not a view of the policy")
    rule = _fitted(uow, view, given["model"]) if "model" in given else parse(given.get("rule"))
    compile_rule(rule, space_of(uow.policy, view))
    if denied(uow.policy.denied_tags, (name, *_label(given.get("label", {})).values())):
        raise InvalidInput("segment: its name or label is a tag that the policy denies (ALG-10)", code="TAG_DENIED")
    label = json.dumps(_label(given.get("label", {})), ensure_ascii=False, sort_keys=True)
    body = json.dumps(to_document(rule), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(f"{view}\n{body}".encode()).hexdigest()
    alone(uow.anon.connection(), Lock.CAMPAIGNS)
    row = uow.anon.get(SegmentRow, name)
    if row is None:
        row = SegmentRow(
            name=name,
            view=view,
            label=label,
            document=body,
            digest=digest,
            created_by=uow.actor.id,
            created_at=uow.now,
            updated_at=uow.now,
        )
    else:
        row.view, row.label, row.document, row.digest, row.updated_at = view, label, body, digest, uow.now
    uow.anon.add(row)
    uow.anon.flush()
    uow.record(EventKind.SEGMENT_SAVED, refs={"segment": name, "view": view, "rule": digest})
    return _segment(row)


def show(uow: AnonUnitOfWork, *, name: str) -> Segment:
    """Return a saved segment. :raises NotFound: no segment of that name."""
    uow.require(Scope.MARKETING, Scope.COMPLIANCE)
    return _segment(_row(uow, name))


def list_segments(uow: AnonUnitOfWork) -> tuple[Segment, ...]:
    """Return all saved segments by name."""
    uow.require(Scope.MARKETING, Scope.COMPLIANCE)
    return tuple(_segment(row) for row in uow.anon.exec(select(SegmentRow).order_by(SegmentRow.name)))


def compiled(uow: AnonUnitOfWork, *, name: str) -> CompiledRule:
    """Return a saved rule held against its view as the policy now says it; `dispatch` applies it to exact columns.

    :raises NotFound: no segment of that name. :raises InvalidInput: the view no longer declares what the rule asks.
    """
    row = _row(uow, name)
    return compile_rule(_rule(row), space_of(uow.policy, row.view))


def preview(uow: AnonUnitOfWork, *, name: str) -> Preview:
    """Evaluate a segment on the live release of its view.

    :raises NotFound: no such segment, or no live release. :raises Denied: the actor is no consumer of the view.
    """
    uow.require(Scope.MARKETING, Scope.COMPLIANCE)
    row = _row(uow, name)
    _, classes, release_id, verdicts = _evaluate(uow, row)
    low = int(classes.sizes[verdicts == INSIDE].sum())
    high = low + int(classes.sizes[verdicts == PARTLY].sum())
    min_cell = uow.policy.views[row.view].min_cell
    uow.record(
        EventKind.SEGMENT_PREVIEWED,
        refs={"segment": name, "release": release_id},
        numbers={"inside": low, "possible": high},
    )
    return Preview(
        segment=name,
        view=row.view,
        release_id=release_id,
        matched=CountRange(rounded(low, min_cell=min_cell), rounded(high, min_cell=min_cell)),
        total=rounded(classes.total, min_cell=min_cell),
        classes_inside=int((verdicts == INSIDE).sum()),
        classes_partly=int((verdicts == PARTLY).sum()),
        min_cell=min_cell,
    )


def to_export(uow: AnonUnitOfWork, *, name: str, format: Literal["parquet", "csv"]) -> dict[str, str]:  # noqa: A002 - what the face and the approval call it
    """Return what a second operator approves for `export`, as parameters of GuardedAct.BULK_EXPORT: the rule as it is
    now and the release it is held against now. A rule or release changed since then was not approved.

    :raises NotFound: no such segment, or no live release.
    """
    uow.require(Scope.MARKETING)
    if format not in ("parquet", "csv"):
        raise InvalidInput("format: parquet or csv is needed")
    row = _row(uow, name)
    return _parameters(row, views.live(uow, view=row.view).release_id, format)


def export(
    uow: AnonUnitOfWork,
    *,
    name: str,
    format: Literal["parquet", "csv"] = "parquet",  # noqa: A002 - what the face and the approval call it
    approved: Approved | None,
) -> Export:
    """Return the anonymised rows of the classes wholly inside a segment, to be written after the unit has committed.

    :raises Denied: fewer than `min_cell` rows lie wholly inside, the actor is no consumer of the view, or no other
        operator approved it (APPROVAL_MISSING).
    :raises NotFound: no such segment, or no live release.
    """
    uow.require(Scope.MARKETING)
    if format not in ("parquet", "csv"):
        raise InvalidInput("format: parquet or csv is needed")
    row = _row(uow, name)
    table, classes, release_id, verdicts = _evaluate(uow, row)
    parameters = _parameters(row, release_id, format)
    approvals.check(uow, approved, act=GuardedAct.BULK_EXPORT, parameters=parameters)
    chosen = np.flatnonzero((verdicts == INSIDE)[classes.of_row])
    min_cell = uow.policy.views[row.view].min_cell
    if len(chosen) < min_cell:
        detail = f"fewer than {min_cell} rows lie wholly inside the rule"
        uow.refuse(
            Denied("the export would hold too few rows", reasons=(reason("BELOW_MIN_CELL", detail=detail),)),
            refs={"segment": name, "release": release_id},
        )
    rows = table.select(list(classes.labels)).take(chosen)
    uow.record(
        EventKind.RELEASE_EXPORTED,
        refs={"segment": name, "release": release_id, "format": format},
        numbers={"rows": len(chosen)},
    )
    return Export(
        segment=name,
        release_id=release_id,
        content=_encode(rows, format),
        filename=f"{name}.{format}",
        media_type="text/csv; charset=utf-8" if format == "csv" else "application/vnd.apache.parquet",
        rows=len(chosen),
    )


def _parameters(row: SegmentRow, release_id: str, format: str) -> dict[str, str]:  # noqa: A002 - what the face and the approval call it
    return {"segment": row.name, "rule": row.digest, "release": release_id, "format": format}


def _evaluate(uow: AnonUnitOfWork, row: SegmentRow) -> tuple[Any, Classes, str, Any]:
    """Return the live release's table, its classes, its id, and the verdict of the segment's rule on each class."""
    release = views.read(uow, view=row.view)
    space = space_of(uow.policy, row.view)
    hidden = uow.policy.views[row.view].sensitive
    classes = classes_of(release.table, space, sensitive=None if hidden is None else hidden.feature)
    return release.table, classes, release.info.release_id, compile_rule(_rule(row), space).verdicts(classes.boxes)


def _fitted(uow: AnonUnitOfWork, view: str, document: object) -> Rule:
    """Return a fitted model as a rule. :raises InvalidInput: its form, or a leaf with fewer than k rows."""
    model = read_model(document)
    if model.leaves:
        space, definition = space_of(uow.policy, view), uow.policy.views[view]
        hidden = None if definition.sensitive is None else definition.sensitive.feature
        classes = classes_of(views.read(uow, view=view).table, space, sensitive=hidden)
        for leaf in model.leaves:
            inside = compile_rule(leaf, space).verdicts(classes.boxes) == INSIDE
            if int(classes.sizes[inside].sum()) < definition.k:
                raise InvalidInput("segment.model: a leaf holds fewer rows of the live release than k")
    # what is stored is the rule, so that it is read by the same strict reader ever after
    return parse(to_document(model.rule))


def _encode(rows: Any, format: str) -> bytes:  # noqa: A002 - what the face and the approval call it
    import pyarrow.parquet

    if format == "csv":
        return csv_bytes(rows)
    out = io.BytesIO()
    pyarrow.parquet.write_table(rows.replace_schema_metadata(None), out, compression="zstd")
    return out.getvalue()


def _row(uow: AnonUnitOfWork, name: str) -> SegmentRow:
    row = uow.anon.get(SegmentRow, name)
    if row is None:
        raise NotFound("segment: no segment of that name is saved")
    return row


def _rule(row: SegmentRow) -> Rule:
    return parse(json.loads(row.document))


def _label(node: object) -> dict[str, str]:
    languages = {str(language) for language in Language}
    if not isinstance(node, Mapping) or not languages.issuperset(node):
        raise InvalidInput(f"segment.label: a text for each of {', '.join(sorted(languages))} is needed")
    if any(not isinstance(text, str) or len(text) > MAX_LABEL or not text.isprintable() for text in node.values()):
        raise InvalidInput(f"segment.label: printable texts of at most {MAX_LABEL} characters are needed")
    return dict(node)


def _segment(row: SegmentRow) -> Segment:
    return Segment(
        name=row.name,
        view=row.view,
        label=json.loads(row.label),
        rule=json.loads(row.document),
        digest=row.digest,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
