"""Reading YAML and CSV documents strictly: size-capped, no duplicate keys, aliases or tags; errors name file and place.

Deliberately not here: what the documents mean. A value never enters a message (a sample pasted into a policy file may
be a member's own data).
"""

import csv
import io
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pdms.errors import InvalidInput

MAX_BYTES = 4 << 20


class PolicyInvalid(InvalidInput):
    """The documents break rules; `problems` names each as `file: place: rule`."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems), code="POLICY_INVALID")
        self.problems = tuple(problems)


_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's parser where PyYAML was built with it: several times faster, the same result."""


class _StrictLoader(_Base):  # type: ignore[misc] # the C loader has no types
    """SafeLoader that refuses duplicate keys and leaves `yes`/`no`/`on`/`off` as words."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if not isinstance(name, str | int) or name in seen:
                raise yaml.constructor.ConstructorError(None, None, "a key is given twice", key.start_mark)
            seen.add(name)
        made: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return made


_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_StrictLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


def _refuse_aliases(text: str) -> None:
    for event in yaml.parse(text, Loader=_Base):
        if isinstance(event, yaml.events.AliasEvent):
            raise yaml.constructor.ConstructorError(None, None, "aliases are not allowed")


def read_text(path: Path, *, root: Path) -> str:
    """Return the UTF-8 text of `path` (BOM dropped). :raises PolicyInvalid: unreadable, too large, not UTF-8."""
    name = path.relative_to(root).as_posix()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PolicyInvalid([f"{name}: cannot be read ({type(error).__name__})"]) from None
    if len(data) > MAX_BYTES:
        raise PolicyInvalid([f"{name}: larger than {MAX_BYTES} bytes"])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PolicyInvalid([f"{name}: not UTF-8 (byte {error.start})"]) from None


def read_yaml(path: Path, *, root: Path) -> dict[str, Any]:
    """Return the mapping in `path`. :raises PolicyInvalid: not YAML, not a mapping, a duplicate key, alias or tag."""
    name = path.relative_to(root).as_posix()
    text = read_text(path, root=root)
    try:
        _refuse_aliases(text)
        document = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        known = ("a key is given twice", "aliases are not allowed")
        rule = error.problem if error.problem in known else "not well-formed YAML"
        raise PolicyInvalid([f"{name}: line {line}: {rule}"]) from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise PolicyInvalid([f"{name}: not well-formed YAML"]) from None
    if not isinstance(document, dict):
        raise PolicyInvalid([f"{name}: a mapping is expected"])
    return document


def read_rows(path: Path, *, root: Path) -> tuple[list[str], list[list[str]]]:
    """Return the comment lines and the `;`-separated rows of a CSV document."""
    lines = read_text(path, root=root).splitlines()
    comments = [line.lstrip("# ").rstrip() for line in lines if line.startswith("#")]
    body = "\n".join(line for line in lines if line.strip() and not line.startswith("#"))
    return comments, list(csv.reader(io.StringIO(body), delimiter=";", strict=True))


_RULES = {
    "extra_forbidden": "unknown key",
    "missing": "missing",
    "string_type": "a text is expected",
    "int_type": "a whole number is expected",
    "int_parsing": "a whole number is expected",
    "float_type": "a number is expected",
    "bool_type": "true or false is expected",
    "date_from_datetime_parsing": "a date YYYY-MM-DD is expected",
    "date_type": "a date YYYY-MM-DD is expected",
    "string_pattern_mismatch": "not of the required form",
    "string_too_short": "must not be empty",
    "string_too_long": "too long",
    "too_short": "must not be empty",
    "dict_type": "a mapping is expected",
    "list_type": "a list is expected",
    "tuple_type": "a list is expected",
    "model_type": "a mapping is expected",
}


def problems_of(error: ValidationError, *, file: str, articles: dict[str, str]) -> list[str]:
    """Turn pydantic's findings into `file: place: rule`, with the article that asks for a missing key."""
    found = []
    for item in error.errors(include_url=False, include_context=True, include_input=False):
        path = [str(part) for part in item["loc"] if part != "[key]"]
        kind = item["type"]
        rule = _RULES.get(kind)
        if kind in ("enum", "literal_error"):
            rule = f"must be one of {item.get('ctx', {}).get('expected', 'a closed list')}"
        elif kind == "value_error":
            rule = str(item.get("ctx", {}).get("error", "not allowed"))
        elif rule is None:
            rule = kind.replace("_", " ")
        article = articles.get(path[-1], "") if kind in ("missing", "string_too_short", "too_short") and path else ""
        found.append(f"{file}: {'.'.join(path) or 'document'}: {rule}" + (f" ({article})" if article else ""))
    return found
