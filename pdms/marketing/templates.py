"""Message templates: what a campaign may write, checked before anything can be sent.

Guarantees: merge fields come from a closed list; none stands in a link, in an address, in an attribute or beside
anything that a mail program could read as one, so that no member data reach a URL; nothing remote is loaded; an opt-out
link is there; the advertisement mark (EML-13) is ours to add and cannot be forged or denied. Values are put in once and
are never read as template again. It does not judge what a text says.
"""

import html
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser

from pdms.errors import InvalidInput
from pdms.taxonomy import Language

MERGE_FIELDS = ("name", "sender", "opt_out")
"""`name` of the member, `sender` as the policy names them, `opt_out` the single-use link. Nothing else is known."""
OPT_OUT = "opt_out"
MEMBER_FIELDS = ("name",)
"""Merge fields that are member data, and the vault field each is revealed from (of the same name)."""

MAX_SUBJECT = 120
MAX_BODY = 20_000
MAX_HTML = 60_000
MAX_VALUE = 64

_FIELD = re.compile(r"\{([^{}]*)\}")
_BREAK = re.compile(r"[\s，。！？；：、（）「」『』《》【】〈〉“”‘’…—]+")
_LINKISH = re.compile(r"[/\\@=?&%#:]|www|\.(?=\w)", re.IGNORECASE)
_TRAILING = ".,;:!?)]'\""
_ODD = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_ALLOWED_ODD = frozenset("\n\t\u200c\u200d")  # joiners belong to scripts and emoji
_INLINE = frozenset({"a", "b", "strong", "i", "em", "u", "span", "small", "sub", "sup"})
_BLOCK = frozenset(
    {
        "p",
        "br",
        "div",
        "hr",
        "h1",
        "h2",
        "h3",
        "ul",
        "ol",
        "li",
        "blockquote",
        "table",
        "thead",
        "tbody",
        "tr",
        "td",
        "th",
    }
)
_HREF = re.compile(r"https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?([/?#][^\s{}\"'<>]*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Template:
    """What a campaign writes, in one language; `html` is an alternative to the plain `body`, or None."""

    language: Language
    subject: str
    body: str
    html: str | None = None


def lint(template: Template) -> tuple[str, ...]:
    """Return every rule that `template` breaks, each as `place: rule`; empty where it may be sent."""
    problems = [*_subject(template.subject), *_text(template.body, "body", MAX_BODY)]
    if not template.body.strip():
        problems.append("body: a text is needed")
    if f"{{{OPT_OUT}}}" not in template.body:
        problems.append("body: the opt-out link {opt_out} is missing")
    if template.html is not None:
        problems += _html(template.html)
    return tuple(dict.fromkeys(problems))


def check(template: Template) -> None:
    """Refuse a template that breaks a rule. :raises InvalidInput: naming every place and rule."""
    problems = lint(template)
    if problems:
        raise InvalidInput("template: " + "; ".join(problems), code="TEMPLATE_REFUSED")


def fields_of(template: Template) -> frozenset[str]:
    """Return the merge fields that a template names."""
    return frozenset(_FIELD.findall("\n".join((template.subject, template.body, template.html or ""))))


def render(text: str, values: Mapping[str, str], *, markup: bool = False) -> str:
    """Put `values` (merge field to text, all of them) into `text` in one pass; escaped for HTML where `markup`."""

    def value_of(found: re.Match[str]) -> str:
        name = found[1]
        value = values[name] if name == OPT_OUT else one_line(values[name])
        return html.escape(value) if markup else value

    return _FIELD.sub(value_of, text)


def one_line(value: str) -> str:
    """Return `value` without control and formatting characters, on one line, at most MAX_VALUE characters long."""
    kept = "".join(" " if c.isspace() else c for c in value if c.isspace() or unicodedata.category(c)[0] != "C")
    return " ".join(kept.split())[:MAX_VALUE]


def _subject(subject: str) -> list[str]:
    problems = _text(subject, "subject", MAX_SUBJECT)
    if not subject.strip():
        problems.append("subject: a text is needed")
    if "\n" in subject or "\t" in subject:
        problems.append("subject: one line only")
    if f"{{{OPT_OUT}}}" in subject:
        problems.append("subject: the opt-out link belongs into the body")
    plain = unicodedata.normalize("NFKC", subject).casefold()
    letters = "".join(c for c in plain if c.isalnum())
    first = re.search(r"[^\W_]+", plain)
    if "广告" in letters or "廣告" in letters or (first is not None and re.fullmatch(r"ad|advert\w*", first[0])):
        problems.append("subject: the mark 广告 or AD is added by pdms and must not be written, nor denied")
    return problems


def _text(text: str, place: str, limit: int) -> list[str]:
    problems = []
    if len(text) > limit:
        problems.append(f"{place}: at most {limit} characters")
        text = text[:limit]
    if any(unicodedata.category(c) in _ODD and c not in _ALLOWED_ODD for c in text):
        problems.append(f"{place}: control and invisible characters are not allowed")
    bare = _FIELD.sub("", text)
    if "{" in bare or "}" in bare:
        problems.append(f"{place}: a brace stands alone")
    if not _known(text):
        problems.append(f"{place}: a merge field is not one of {', '.join(MERGE_FIELDS)}")
    for run in _BREAK.split(text):
        if f"{{{OPT_OUT}}}" in run and run != f"{{{OPT_OUT}}}":
            problems.append(f"{place}: the opt-out link needs blanks around it")
        elif run != f"{{{OPT_OUT}}}" and _FIELD.search(run) and _linked(run):
            problems.append(f"{place}: a merge field stands in or beside a link or address; put blanks around it")
    return problems


def _known(text: str) -> bool:
    return set(MERGE_FIELDS).issuperset(_FIELD.findall(text))


def _linked(run: str) -> bool:
    """Whether `run`, an unbroken piece of text, could be read as a link once a value stands for its merge fields."""
    # Compatibility forms first: a full-width solidus or stop links in some mail programs.
    plain = unicodedata.normalize("NFKC", _FIELD.sub("x", run)).rstrip(_TRAILING)
    return bool(_LINKISH.search(plain))


class _Markup(HTMLParser):
    """Walks allowed markup and collects its visible text; anything else is a problem."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.problems: list[str] = []
        self.text: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCK:
            self.text.append("\n")
        elif tag not in _INLINE:
            self.problems.append("html: an element is not one of the plain ones; nothing remote, no script, no style")
        for name, value in attrs:
            if tag != "a" or name != "href":
                self.problems.append("html: the only attribute is href of a link")
            elif value != f"{{{OPT_OUT}}}" and not _HREF.fullmatch(value or ""):
                self.problems.append(
                    "html: href is {opt_out} alone, or an address of http or https without merge fields"
                )
        if tag == "a":
            self.links.append(dict(attrs).get("href") or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("br", "hr"):
            self.problems.append("html: only br and hr close themselves")
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCK:
            self.text.append("\n")
        if tag == "a" and self.links:
            self.links.pop()

    def handle_data(self, data: str) -> None:
        # A bare bracket beside a merge field could become markup once the value stands there.
        if "<" in data or ">" in data:
            self.problems.append("html: write &lt; and &gt; for angle brackets")
        if self.links and _FIELD.search(data):
            self.problems.append("html: a merge field stands in the text of a link")
        self.text.append(data)

    def handle_entityref(self, name: str) -> None:
        self.text.append(html.unescape(f"&{name};"))

    def handle_charref(self, name: str) -> None:
        self.text.append(html.unescape(f"&#{name};"))

    def handle_comment(self, data: str) -> None:  # noqa: ARG002 - the parser's signature
        self.problems.append("html: no comments")

    def handle_decl(self, decl: str) -> None:  # noqa: ARG002
        self.problems.append("html: no declarations")

    def handle_pi(self, data: str) -> None:  # noqa: ARG002
        self.problems.append("html: no processing instructions")

    def unknown_decl(self, data: str) -> None:  # noqa: ARG002
        self.problems.append("html: no declarations")


def _html(markup: str) -> list[str]:
    parser = _Markup()
    parser.feed(markup[:MAX_HTML])
    parser.close()
    if parser.rawdata or parser.links:
        parser.problems.append("html: an element is not closed")
    visible = "".join(parser.text)
    problems = [*parser.problems, *_text(visible, "html", MAX_HTML)]
    if not _known(markup):
        problems.append(f"html: a merge field is not one of {', '.join(MERGE_FIELDS)}")
    if len(markup) > MAX_HTML:
        problems.append(f"html: at most {MAX_HTML} characters")
    if f"{{{OPT_OUT}}}" not in markup:
        problems.append("html: the opt-out link {opt_out} is missing")
    return problems
