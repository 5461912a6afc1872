"""Examples of the API's description: one of every JSON body and every JSON answer, put together of its fields' own.

A field of a body says its example where it is declared. Answers are made of the results of services, which know nothing
of documents: `example_values/` says each value once by the name of its field, by the model where the name means
something else there, and by the operation where an answer depends on what was asked. What nobody says follows from the
form: the first of a closed list, one item of a list, the parts of a model. Guarantee: where not even that is known the
document is not made, so that nothing stays without an example unnoticed. That an example is true to its schema, a test
shows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import yaml

JSON = "application/json"
VALUES = Path(__file__).with_name("example_values")
BY_FORMAT: Mapping[str, str] = {"date-time": "2026-03-02T01:30:00Z", "date": "2026-03-02"}


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of examples beside the models: by field, by model and field, by operation."""

    fields: Mapping[str, Any]
    models: Mapping[str, Mapping[str, Any]]
    operations: Mapping[str, Mapping[str, Any]]


@cache
def said() -> Said:
    """Return what `example_values/` says: one YAML document in three parts, so that a name given to a value holds in
    the parts after it."""
    parts = (VALUES / f"{part.name}.yaml" for part in fields(Said))
    return Said(**yaml.safe_load("".join(part.read_text("utf-8") for part in parts)))


def add_examples(document: dict[str, Any]) -> None:
    """Give every body and every successful JSON answer of an OpenAPI document its example.

    :raises LookupError: a value has none, by name or by form.
    """
    known = said()
    schemas = document["components"]["schemas"]
    for item in document["paths"].values():
        for operation in item.values():
            own = known.operations.get(operation["operationId"], {})
            for kind, media in operation.get("requestBody", {}).get("content", {}).items():
                if kind == JSON:
                    media["example"] = _Composer(known, schemas, asked=True).of(media["schema"], own.get("body"))
                elif kind in own.get("body", {}):
                    media["example"] = own["body"][kind]
            for status, response in operation["responses"].items():
                media = response.get("content", {}).get(JSON)
                if media is not None and status.startswith("2"):
                    media["example"] = _Composer(known, schemas).of(media["schema"], own.get("answer"))


@dataclass(frozen=True, slots=True)
class _Composer:
    """Puts examples together. Of a body (`asked`) it shows what must be said, and what has an example of its own."""

    said: Said
    schemas: Mapping[str, Any]
    asked: bool = False

    def resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a schema, or the one that it refers to; of several the first, which is what is there where it may
        be null."""
        while "$ref" in schema or "anyOf" in schema:
            schema = self.schemas[schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema["anyOf"][0]
        return schema

    def of(self, schema: Mapping[str, Any], own: Any = None, *, place: str = "") -> Any:
        """Return an example by form. :param own: what is said of this very value; models in it are completed."""
        schema = self.resolved(schema)
        if "properties" in schema:
            return self._model(schema, own or {})
        if isinstance(own, list) and "items" in schema:
            return [self.of(schema["items"], one) for one in own]
        if isinstance(own, dict) and isinstance(schema.get("additionalProperties"), dict):
            return {name: self.of(schema["additionalProperties"], one) for name, one in own.items()}
        if own is not None:
            return own
        if "const" in schema or "enum" in schema:
            return schema.get("const", schema.get("enum", [None])[0])
        if schema.get("type") == "array":
            return [self.of(schema["items"], place=place)]
        if schema.get("type") == "boolean":
            return False
        if schema.get("format") in BY_FORMAT:
            return BY_FORMAT[schema["format"]]
        raise LookupError(f"no example of {place}: say one in pdms/api/example_values")

    def _model(self, schema: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
        title, required = schema["title"], schema.get("required", ())
        own = {**self.said.models.get(title, {}), **own}
        return {
            name: self._field(f"{title}.{name}", name, field, own)
            for name, field in schema["properties"].items()
            if not self.asked or name in required or name in own or "examples" in field
        }

    def _field(self, place: str, name: str, schema: Mapping[str, Any], own: Mapping[str, Any]) -> Any:
        if name in own:
            return None if own[name] is None else self.of(schema, own[name])
        if "examples" in schema:
            return schema["examples"][0]
        if name in self.said.fields:
            return self.said.fields[name]
        return self.of(schema, place=place)
