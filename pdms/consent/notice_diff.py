"""What changed between two versions of a notice, item by item, in words that members read (PIPL-17-2). Pure.

Guarantee: made from the canonical contents of two published versions and from nothing else, so that the same two give
the same list for ever; everything that the text shows is compared. An item that makes the controller ask again
(PIPL-14-2: another purpose, method or category) says so. What the controller itself wrote under `changes` is not
compared: it is shown with the new version.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pdms.taxonomy import Language

MATERIAL = frozenset({"categories", "operations"})
_PLAIN = ("title", "introduction", "controller_name", "controller_address", "contact", "officer", "automated_decisions",
          "effective_on", "audience")  # fmt: skip
_PURPOSE = ("text", "method", "operations", "categories", "necessity", "impact", "retention", "expiry")
_RECIPIENT = ("contact", "purpose", "method", "categories", "overseas", "rights")


@dataclass(frozen=True, slots=True)
class ChangedItem:
    """One change. `place`: `purposes.NAME.retention`, `rights.withdraw`, `recipients.NAME`, `contact`, …"""

    kind: Literal["added", "removed", "changed"]
    place: str
    before: str
    after: str
    asks_again: bool
    """A consent given under the version before does not reach this (PIPL-14-2)."""


@dataclass(frozen=True, slots=True)
class NoticeDiff:
    """What changed from one version to another of the same notice in the same language."""

    notice_id: str
    language: Language
    before: str
    after: str
    items: tuple[ChangedItem, ...]
    text: str
    """The same for people, in the notice's language."""


def compare(before: str, after: str, *, versions: tuple[str, str]) -> NoticeDiff:
    """Compare two canonical contents of one notice in one language; `versions` names them."""
    one, other = json.loads(before), json.loads(after)
    items = tuple(_items(one, other))
    language = Language(other["language"])
    return NoticeDiff(other["id"], language, *versions, items, _text(items, language))


def _items(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[ChangedItem]:
    yield from _fields("", one, other, _PLAIN)
    yield from _members("purposes", one["purposes"], other["purposes"], _PURPOSE, asks=True)
    yield from _fields("rights", one["rights"], other["rights"], sorted({*one["rights"], *other["rights"]}))
    recipients = [{line["name"]: line for line in said["recipients"]} for said in (one, other)]
    yield from _members("recipients", recipients[0], recipients[1], _RECIPIENT, asks=False)


def _members(
    place: str, one: Mapping[str, Any], other: Mapping[str, Any], keys: tuple[str, ...], *, asks: bool
) -> Iterator[ChangedItem]:
    for name in sorted({*one, *other}):
        here = f"{place}.{name}"
        if name not in other:
            yield ChangedItem("removed", here, _said(one[name]), "", asks_again=False)
        elif name not in one:
            yield ChangedItem("added", here, "", _said(other[name]), asks_again=asks)
        else:
            yield from _fields(here, one[name], other[name], keys, asks=asks)


def _fields(
    place: str, one: Mapping[str, Any], other: Mapping[str, Any], keys: Any, *, asks: bool = False
) -> Iterator[ChangedItem]:
    for key in keys:
        was, now = one.get(key), other.get(key)
        if was == now:
            continue
        kind: Literal["added", "removed", "changed"] = "added" if not was else "removed" if not now else "changed"
        more = asks and key in MATERIAL and bool(set(now or ()) - set(was or ()))
        yield ChangedItem(kind, f"{place}.{key}" if place else key, _said(was), _said(now), asks_again=more)


def _said(value: Any) -> str:
    """Return a value of a notice as a person reads it."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    if isinstance(value, Mapping):
        return str(value.get("text") or value.get("purpose") or "").strip()
    return str(value).strip()


_WORDS = {
    Language.ZH: {"added": "新增", "removed": "删除", "changed": "变更", "none": "无变化",
                  "again": "需重新征求您的同意"},
    Language.EN: {"added": "new", "removed": "removed", "changed": "changed", "none": "nothing changed",
                  "again": "we ask for your consent again"},
}  # fmt: skip


def _text(items: tuple[ChangedItem, ...], language: Language) -> str:
    words = _WORDS[language]
    lines = []
    for item in items:
        again = f" ({words['again']})" if item.asks_again else ""
        lines.append(f"[{words[item.kind]}] {item.place}{again}")
        lines += [f"  - {item.before}"] if item.before else []
        lines += [f"  + {item.after}"] if item.after else []
    return "\n".join(lines or [words["none"]]) + "\n"
