"""Reading a policy back from its canonical form, as the database keeps it under its digest.

Guarantees: what comes back equals what was loaded from the documents (examples and tests apart, which decide nothing),
and a text that is not the one its digest names is refused. Deliberately not here: the documents themselves with their
comments; a policy is put back in force from its canonical form, and the folder is its authors' to mend.
"""

import hashlib
import json
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import date
from enum import Enum
from functools import lru_cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pdms.errors import IntegrityBroken
from pdms.policy.canonical import text_of
from pdms.policy.definitions import Policy

_APART = ("digest", "segments", "tests")
"""Not part of the canonical form: its own digest, and examples that decide nothing."""


def content_of(policy: Policy) -> str:
    """Return the canonical form whose SHA-256 is the policy's digest."""
    return text_of({f.name: getattr(policy, f.name) for f in fields(policy) if f.name not in _APART})


@lru_cache(maxsize=8)
def policy_of(content: str, *, digest: str) -> Policy:
    """Return the policy whose canonical form `content` is.

    :raises IntegrityBroken: the text is not what `digest` names, or not a policy of this version of pdms.
    """
    if hashlib.sha256(content.encode()).hexdigest() != digest:
        raise IntegrityBroken("policy: its stored text is not the one that its digest names", code="POLICY_ALTERED")
    said = json.loads(content)
    try:
        return _made(Policy, {**said, "digest": digest, "segments": {}, "tests": ()})  # type: ignore[no-any-return] # made by its annotations
    except (KeyError, TypeError, ValueError):
        raise IntegrityBroken("policy: its stored text has another form", code="POLICY_FORM") from None


def _made(kind: Any, said: Any) -> Any:
    """Return `said`, parsed JSON, as `kind`: a dataclass, a collection of such, or a plain value."""
    origin, parts = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _dataclass(kind, said)
    if origin in (Union, types.UnionType):
        return None if said is None else _made(next(part for part in parts if part is not type(None)), said)
    if origin is Mapping:
        return types.MappingProxyType({_key(parts[0], key): _made(parts[1], item) for key, item in said.items()})
    if origin is tuple:
        return tuple(_made(parts[0], item) for item in said)
    if origin is frozenset:
        return frozenset(_made(parts[0], item) for item in said)
    if origin is Literal:
        if said not in parts:
            raise ValueError("not one of the values there are")
        return said
    return _value(kind, said)


def _value(kind: Any, said: Any) -> Any:
    if kind is date:
        return date.fromisoformat(said)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(said)
    return said


def _key(kind: Any, key: str) -> Any:
    return int(key) if kind is int else _value(kind, key)


@lru_cache(maxsize=64)
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _dataclass(kind: Any, said: Mapping[str, Any]) -> Any:
    hints, given = _hints(kind), {}
    unknown = set(said) - set(hints)
    if unknown:
        raise KeyError("keys that this version does not know")
    for item in fields(kind):
        if item.name in said:
            given[item.name] = _made(hints[item.name], said[item.name])
        elif item.default is MISSING and item.default_factory is MISSING:
            raise KeyError(item.name)  # what came later has a default, so that older texts still read
    return kind(**given)
