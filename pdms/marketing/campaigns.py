"""What a campaign is: a segment's rule, a purpose, a channel, a template, and the limits it keeps.

Guarantee: a definition that exists has been read strictly; its thresholds are multiples of the rounding of counts, so
that trying thresholds tells no more than the counts do. A campaign holds no list of people and no address.

    name: spring_return
    segment: loyal_recent
    purpose: market_email
    channel: email
    min_size: 50                              # multiple of 10, at least the view's min_cell
    frequency_cap: {messages: 2, days: 30}    # per member and channel, over all campaigns
    template: {language: zh-CN, subject: ..., body: ..., html: ...}
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pdms.errors import InvalidInput
from pdms.marketing.templates import Template, check
from pdms.segments.documents import slug
from pdms.taxonomy import Channel, Language
from pdms.views.rounding import BASE

MAX_DAYS = 365
MAX_MESSAGES = 31
MAX_MIN_SIZE = 10_000_000
DEFAULT_CAP = {"messages": 2, "days": 30}

_KEYS = {"name", "segment", "purpose", "channel", "min_size", "frequency_cap", "template"}


@dataclass(frozen=True, slots=True)
class FrequencyCap:
    """At most `messages` to one member over one channel in `days` days, whatever the campaign."""

    messages: int
    days: int


@dataclass(frozen=True, slots=True)
class Definition:
    """A campaign as drafted. `purpose` is the channel's purpose; the segment's own is its view's."""

    name: str
    segment: str
    purpose: str
    channel: Channel
    min_size: int
    cap: FrequencyCap
    template: Template


def parse(document: Mapping[str, Any]) -> Definition:
    """Read a definition from a parsed document, template checked.

    :raises InvalidInput: a key is unknown or missing, a value breaks its rule, or the template is refused.
    """
    _keys(document, _KEYS, "campaign")
    purpose = document.get("purpose")
    if not isinstance(purpose, str):
        raise InvalidInput("campaign.purpose: the name of a purpose is needed")
    min_size = _whole(document.get("min_size"), "campaign.min_size", MAX_MIN_SIZE)
    if min_size % BASE:
        raise InvalidInput(f"campaign.min_size: a multiple of {BASE} is needed")
    cap = _mapping(document.get("frequency_cap", DEFAULT_CAP), "campaign.frequency_cap")
    _keys(cap, {"messages", "days"}, "campaign.frequency_cap")
    return Definition(
        name=slug(document.get("name"), field="campaign.name"),
        segment=slug(document.get("segment"), field="campaign.segment"),
        purpose=purpose,
        channel=_channel(document.get("channel")),
        min_size=min_size,
        cap=FrequencyCap(
            messages=_whole(cap.get("messages"), "campaign.frequency_cap.messages", MAX_MESSAGES),
            days=_whole(cap.get("days"), "campaign.frequency_cap.days", MAX_DAYS),
        ),
        template=_template(document.get("template")),
    )


def to_document(definition: Definition) -> dict[str, Any]:
    """Return the canonical document of `definition`; `parse` gives it back."""
    template = definition.template
    return {
        "name": definition.name,
        "segment": definition.segment,
        "purpose": definition.purpose,
        "channel": str(definition.channel),
        "min_size": definition.min_size,
        "frequency_cap": {"messages": definition.cap.messages, "days": definition.cap.days},
        "template": {
            "language": str(template.language),
            "subject": template.subject,
            "body": template.body,
            **({"html": template.html} if template.html is not None else {}),
        },
    }


def _template(node: object) -> Template:
    mapping = _mapping(node, "campaign.template")
    _keys(mapping, {"language", "subject", "body", "html"}, "campaign.template")
    languages = [str(language) for language in Language]
    if mapping.get("language") not in languages:
        raise InvalidInput(f"campaign.template.language: one of {', '.join(languages)} is needed")
    template = Template(
        language=Language(mapping["language"]),
        subject=_text(mapping.get("subject"), "campaign.template.subject"),
        body=_text(mapping.get("body"), "campaign.template.body"),
        html=_text(mapping["html"], "campaign.template.html") if mapping.get("html") is not None else None,
    )
    check(template)
    return template


def _channel(node: object) -> Channel:
    if node not in list(Channel):
        raise InvalidInput(f"campaign.channel: one of {', '.join(Channel)} is needed")
    return Channel(str(node))


def _mapping(node: object, path: str) -> Mapping[str, Any]:
    if not isinstance(node, Mapping):
        raise InvalidInput(f"{path}: a mapping is needed")
    return node


def _keys(mapping: Mapping[str, Any], known: set[str], path: str) -> None:
    if not known.issuperset(mapping):
        raise InvalidInput(f"{path}: a key is unknown here; known are {', '.join(sorted(known))}")


def _whole(node: object, path: str, limit: int) -> int:
    if isinstance(node, bool) or not isinstance(node, int) or not 1 <= node <= limit:
        raise InvalidInput(f"{path}: a whole number from 1 to {limit} is needed")
    return node


def _text(node: object, path: str) -> str:
    if not isinstance(node, str):
        raise InvalidInput(f"{path}: a text is needed")
    return node.replace("\r\n", "\n")
