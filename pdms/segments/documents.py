"""Reads the documents that operators write (segments, campaigns): strict, bounded YAML.

Guarantee: no alias, no duplicate key, no foreign tag, no text above the limit; a message names the line and the rule,
never what stands there. What the keys mean is for the caller.
"""

import re
from collections.abc import Hashable, Mapping
from typing import Any

import yaml

from pdms.errors import InvalidInput

MAX_BYTES = 65_536
_SLUG = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_MAX_SLUG = 48
_MAX_DIGITS = 6


class _Strict(yaml.SafeLoader):
    """A safe loader without aliases and without duplicate keys."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.get_mark()
            raise yaml.constructor.ConstructorError(None, None, "aliases are not allowed", mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(None, None, "keys are plain text", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, "a key stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def read_document(text: str) -> Mapping[str, Any]:
    """Return the mapping that `text` (YAML) holds. :raises InvalidInput: it is not one, or breaks a limit above."""
    if len(text.encode("utf-8", errors="replace")) > MAX_BYTES:
        raise InvalidInput(f"document: at most {MAX_BYTES} bytes")
    try:
        loaded = yaml.load(text, Loader=_Strict)  # noqa: S506 - a subclass of SafeLoader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 0
        ours = isinstance(error, yaml.constructor.ConstructorError) and error.context is None
        rule = error.problem if ours and error.problem and "tag" not in error.problem else "not well-formed YAML"
        raise InvalidInput(f"document: line {line}: {rule}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise InvalidInput("document: not well-formed YAML") from None
    if not isinstance(loaded, Mapping):
        raise InvalidInput("document: a mapping is needed")
    return loaded


def slug(value: object, *, field: str) -> str:
    """Return `value` if it is a name fit for audit events: lower-case letters, digits and single underscores."""
    if (
        not isinstance(value, str)
        or len(value) > _MAX_SLUG
        or not _SLUG.fullmatch(value)
        or sum(c.isdigit() for c in value) > _MAX_DIGITS
    ):
        raise InvalidInput(
            f"{field}: a name of at most {_MAX_SLUG} lower-case letters, digits (at most {_MAX_DIGITS}) and single _"
        )
    return value
