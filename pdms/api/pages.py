"""Pages of lists: a cursor says after which item the next page begins, and is signed, so that nobody makes one up.

Guarantee: a page begins after the item that ended the one before, whatever came or went in between. A cursor holds the
order key of an item (names, instants, random ids; never a member's value) and works for its own list only.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, Field

from pdms.api.edge import edge
from pdms.crypto import BlindIndex, same_bytes
from pdms.errors import InvalidInput

T = TypeVar("T")
TAG = 16
Key = list[str | int]


class Page(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    next: str | None = Field(default=None, description="Cursor of the page after; null on the last page.")


def page_of(result_type: Any) -> Any:
    """Return the response model of pages of a service's result type."""
    return Page[edge(result_type)]  # type: ignore[misc]  # a model made at run time, which mypy takes for a value


def page(
    items: Iterable[T], *, order: Callable[[T], Key], cursor: str | None, limit: int, key: bytes, name: str
) -> dict[str, Any]:
    """Return one page of `items`, which come in the order of `order` (distinct keys).

    :param key: 32 bytes to sign cursors under. :param name: the list's name; a cursor of another list is refused.
    :raises InvalidInput: the cursor is none of ours.
    """
    after = _opened(cursor, key=key, name=name) if cursor is not None else None
    found: list[T] = []
    for item in items:
        if after is not None and order(item) <= after:
            continue
        if len(found) == limit:
            return {"items": found, "next": _sealed(order(found[-1]), key=key, name=name)}
        found.append(item)
    return {"items": found, "next": None}


def page_from(
    fetch: Callable[[Key | None, int], Sequence[T]],
    *,
    order: Callable[[T], Key],
    cursor: str | None,
    limit: int,
    key: bytes,
    name: str,
) -> dict[str, Any]:
    """Return one page of a list that its service reads piece by piece: `fetch(after, count)`; else as `page`."""
    found = fetch(_opened(cursor, key=key, name=name) if cursor is not None else None, limit + 1)
    if len(found) <= limit:
        return {"items": found, "next": None}
    return {"items": found[:limit], "next": _sealed(order(found[limit - 1]), key=key, name=name)}


def _sealed(position: Key, *, key: bytes, name: str) -> str:
    body = json.dumps(position, separators=(",", ":"), ensure_ascii=False).encode()
    return base64.urlsafe_b64encode(_tag(body, key=key, name=name) + body).rstrip(b"=").decode()


def _opened(cursor: str, *, key: bytes, name: str) -> Key:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (ValueError, binascii.Error):
        raw = b""
    tag, body = raw[:TAG], raw[TAG:]
    if len(tag) < TAG or not same_bytes(tag, _tag(body, key=key, name=name)):
        raise InvalidInput("cursor: give the `next` of a page of this list", code="CURSOR")
    position: Key = json.loads(body)
    return position


def _tag(body: bytes, *, key: bytes, name: str) -> bytes:
    return BlindIndex(key).digest(name.encode() + b"\0" + body)[:TAG]
