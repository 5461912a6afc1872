"""`/v1/hierarchies`: the trees that views generalise along. Reference data and the policy's own words, of nobody."""

from typing import Annotated, Any, Literal

from fastapi import Response
from pydantic import Field, StringConstraints

from pdms.anonymize.hierarchy_files import examine
from pdms.api.caller import ReleaseReader
from pdms.api.edge import edge
from pdms.api.fields import MAX_TEXT, Body, Cursor, Limit, NamePath
from pdms.api.files import attachment
from pdms.api.guarded import REPEATABLE, router
from pdms.api.pages import page, page_of
from pdms.views import hierarchies
from pdms.views.hierarchies import HierarchyInfo, HierarchyShown

routes = router("hierarchies")
FILE: dict[int | str, dict[str, Any]] = {
    200: {"description": "One leaf a line.", "content": {"text/csv": {"schema": {"type": "string"}}}}
}
EXAMPLE = "# our own catalogue\ntea;drinks;*\ncoffee;drinks;*\nbread;food;*\n"


class Checked(Body):
    """A hierarchy to check, in ARX's CSV form: one leaf a line, `leaf;…;*`."""

    text: Annotated[str, StringConstraints(max_length=MAX_TEXT)] = Field(examples=[EXAMPLE])
    delimiter: Literal[";", ",", "\t"] = ";"
    values: Annotated[list[Annotated[str, StringConstraints(max_length=200)]], Field(max_length=10_000)] | None = Field(
        default=None, description="Values that must be leaves; what is none is told by its place.", examples=[["tea"]]
    )


class FindingInfo(Body):
    """A rule that a line breaks; never the value. `more`: further lines of this rule that are not told."""

    rule: str
    line: int
    severity: str
    explanation: str
    explanation_zh: str
    more: int


class CheckedInfo(Body):
    """What a check found; `nodes` counts the labels of each level, leaves first."""

    ok: bool
    nodes: list[int]
    findings: list[FindingInfo]


@routes.get("", summary="List hierarchies", response_model=page_of(HierarchyInfo))
def list_hierarchies(caller: ReleaseReader, cursor: Cursor = None, limit: Limit = 100) -> Any:
    """Hierarchies of the policy, of views' edges (`view.feature`), and standards that a policy may take over."""
    found = sorted(caller.read_anon(hierarchies.list_hierarchies), key=lambda info: str(info["name"]))
    return page(
        found, order=lambda h: [h["name"]], cursor=cursor, limit=limit, key=caller.cursor_key, name="hierarchies"
    )


@routes.post("/checks", summary="Check a hierarchy", response_model=CheckedInfo, openapi_extra=REPEATABLE)
def check(caller: ReleaseReader, body: Checked) -> Any:  # noqa: ARG001 - for its scope
    """Depth, parents, leaves, formulas, coverage: by line and rule, never a value. Nothing of it is kept."""
    found = examine("checked", body.text.encode(), delimiter=body.delimiter, values=body.values)
    nodes = [len(level) for level in found.hierarchy.labels] if found.hierarchy is not None else []
    told = [
        FindingInfo(
            rule=one.rule.value,
            line=one.line,
            severity=one.severity,
            explanation=one.explanation,
            explanation_zh=one.explanation_zh,
            more=one.more,
        )
        for one in found.findings
    ]
    return CheckedInfo(ok=found.ok, nodes=nodes, findings=told)


@routes.get("/{hierarchy}", summary="Show a hierarchy", response_model=edge(HierarchyShown))
def show(caller: ReleaseReader, hierarchy: NamePath) -> Any:
    """A hierarchy from its root down; large ones without their lowest levels."""
    return caller.read_anon(hierarchies.show_hierarchy, name=hierarchy)


@routes.get("/{hierarchy}/file", summary="Export a hierarchy", response_class=Response, responses=FILE)
def export(caller: ReleaseReader, hierarchy: NamePath) -> Response:
    """The hierarchy in ARX's CSV form."""
    made = caller.file_anon(hierarchies.export_hierarchy, name=hierarchy)
    return attachment(made.content, filename=made.filename, media_type="text/csv")
