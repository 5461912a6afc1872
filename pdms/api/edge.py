"""Response models, made from the frozen results that services return.

The API's shapes are pydantic models of their own: ids that are bytes inside become hex text, everything is documented
in OpenAPI. A result type is written for one operation and holds what its caller may see; table rows never come here.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Union

from pydantic import BaseModel, ConfigDict, Field, create_model


@cache
def edge(result_type: Any) -> Any:
    """Return the response model (or type) that stands for a service's result type."""
    if isinstance(result_type, typing.NewType):
        return edge(result_type.__supertype__)
    if result_type is bytes:
        return str
    if result_type is Path:
        return str
    if dataclasses.is_dataclass(result_type) and isinstance(result_type, type):
        return _model(result_type)
    origin, arguments = typing.get_origin(result_type), typing.get_args(result_type)
    if origin is None:
        return Any if isinstance(result_type, str) else result_type
    inner = tuple(argument if argument is Ellipsis else edge(argument) for argument in arguments)
    if origin in (Union, types.UnionType):
        return Union[inner]  # noqa: UP007 - built at run time
    if origin in (list, set, frozenset, Sequence):
        return list[inner[0]]  # type: ignore[valid-type]  # built at run time
    if origin is tuple:
        return list[inner[0]] if len(inner) == 2 and inner[1] is Ellipsis else list[Any]  # type: ignore[valid-type]  # built at run time
    if origin in (dict, Mapping):
        return dict[str, inner[1]]  # type: ignore[valid-type]  # built at run time
    return result_type


def _model(result_type: type) -> type[BaseModel]:
    hints = typing.get_type_hints(result_type)
    fields: dict[str, Any] = {
        field.name: (edge(hints[field.name]), Field()) for field in dataclasses.fields(result_type)
    }
    first = (result_type.__doc__ or "").strip().splitlines()
    return create_model(
        result_type.__name__,
        __config__=ConfigDict(frozen=True),
        __doc__=first[0] if first else None,
        **fields,
    )
