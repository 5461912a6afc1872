"""JSON Schema of the policy documents, for editors: completion and checks while typing, before `pdms policy check`.

Guarantee: made from the very models that the loader reads with. It knows the form of each file and no more: what must
hold between files is the loader's.
"""

from copy import deepcopy
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from pdms.policy import documents as d

FILES: Final = {
    "policy.yaml": d.PolicyDocument,
    "notices/<id>/<language>.yaml": d.NoticeDocument,
    "sources/<name>.yaml": d.SourceDocument,
    "views/<name>.yaml": d.ViewDocument,
    "calendars/cn-<year>.yaml": d.CalendarDocument,
    "tests/<name>.yaml": d.CasesDocument,
}
"""File → the model it is read with."""
_REF: Final = "#/$defs/{model}"


def schema() -> dict[str, Any]:
    """Return one document whose `$defs` hold every file's schema; `x-files` says which is which."""
    models = [(model, "validation") for model in (*FILES.values(), d.PurposeDocument)]
    _, made = models_json_schema(models, ref_template=_REF)  # type: ignore[arg-type] # a list is invariant
    parts: dict[str, Any] = made["$defs"]
    parts["PurposeLikeAnother"] = _like(parts["PurposeDocument"])
    either = {"anyOf": [{"$ref": _REF.format(model=name)} for name in ("PurposeDocument", "PurposeLikeAnother")]}
    named = parts["PolicyDocument"]["properties"]["purposes"]["patternProperties"]
    named.update(dict.fromkeys(named, either))
    parts["PolicyDocument"]["properties"]["purposes"]["additionalProperties"] = False
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "pdms policy documents",
        "x-files": {file: _REF.format(model=model.__name__) for file, model in FILES.items()},
        "$defs": dict(sorted(parts.items())),
    }


def _like(purpose: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a purpose that says `like: another` and then only what differs."""
    found = deepcopy(purpose)
    found["title"] = "PurposeLikeAnother"
    found["description"] = "A purpose like another that is written out, and in what it differs."
    found["properties"] = {"like": {"type": "string", "title": "Like"}, **found["properties"]}
    found["required"] = ["like"]
    return found
