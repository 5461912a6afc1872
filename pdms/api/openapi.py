"""The API's description: what FastAPI knows, and what only we know (problems, keys of writes, paths of results)."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from pdms import __version__
from pdms.api.examples import add_examples
from pdms.api.guarded import is_once, needs_of
from pdms.api.problems import Problem
from pdms.unit_of_work import ActorKind

DESCRIPTION = """\
Member data under PIPL: identities in a vault, every use through one gate, anonymised views for marketing.

**Keys.** `Authorization: Bearer pdms_key_…` (an operator) or `pdms_mem_…` (a member, fifteen minutes). Every operation
names the scopes of which one is needed; a refusal names every reason with its article and is in the audit log.

**Errors** are problem details (RFC 9457). They name fields and rules, never values. What a request says beyond what is
described here, be it a key of its body or a parameter of its query, is refused (422).

**Writes** take an `Idempotency-Key`: the same key with the same request is carried out once within a day; asked again
it answers with the same status and `Location`, without a body, marked `Idempotency-Replayed: true`. With another
request it is refused (422), and while the first is at work (409).

**Lists** come in pages; `next` is the cursor of the page after.
"""
KEY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Carry this write out once, however often it is sent.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}
LOCATION = {"Location": {"description": "Path of what was made.", "schema": {"type": "string"}}}


def description_of(api: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of `api`."""
    if api.openapi_schema is not None:
        return api.openapi_schema
    document = get_openapi(
        title="pdms",
        version=__version__,
        description=DESCRIPTION,
        routes=api.routes,
        separate_input_output_schemas=False,
    )
    schemas = document["components"]["schemas"]
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for route in api.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            for method in route.methods or ():
                _complete(document["paths"][route.path_format][method.lower()], route)
    add_examples(document)
    api.openapi_schema = document
    return document


def _complete(operation: dict[str, Any], route: APIRoute) -> None:
    operation.pop("x-pdms-repeatable", None)
    needs = needs_of(route)
    if needs is None:
        operation["security"] = []
        return
    operation["x-scopes"] = [scope.value for scope in needs.scopes]
    who = {
        ActorKind.OPERATOR: "An operator",
        ActorKind.MEMBER: "A member, with their own token,",
        None: "Anybody known",
    }
    scopes = " or ".join(f"`{scope}`" for scope in needs.scopes)
    operation["description"] = f"{operation.get('description', '')}\n\n{who[needs.kind]} with scope {scopes}.".strip()
    if is_once(route):
        operation.setdefault("parameters", []).append(KEY_PARAMETER)
        for status in ("200", "201"):
            if status in operation["responses"]:
                operation["responses"][status]["headers"] = LOCATION
