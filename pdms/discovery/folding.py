"""One spelling for many: full-width, mathematical and foreign digits, exotic dashes and spaces, invisible characters.

Guarantee: patterns run on the folded text, and every span is handed back in code point offsets of the original text.
It deliberately does not normalise what changes meaning or length in other ways (circled numbers, ligatures, hanzi
digits): those would glue list numbers to phone numbers, or eat names such as 李四.
"""

import re
import sys
import unicodedata
from dataclasses import dataclass, field
from functools import cache

from pdms.discovery.spans import Label

BARRIER = "\ufffc"
"""Stands for a placeholder already in the text: no pattern matches it, and it is no context for any."""

_PLACEHOLDER = re.compile("<(?:" + "|".join(Label) + ")>")
_PLAIN = re.compile(r"[\x09\x0a\x0d\x20-\x7e\u3001\u3002\u3007\u4e00-\u9fff]*")
"""Text that folding would leave as it is: plain ASCII, hanzi, and the two stops that patterns know as they are."""

_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"
_INVISIBLE = "\u00ad\u200b\u200c\u200d\u2060\ufeff\ufe0e\ufe0f\u20e3\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
_QUOTED = {
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "【": "[",
    "】": "]",
    "「": '"',
    "」": '"',
    "︰": ":",
    "﹕": ":",
    "∶": ":",
}
_BARRED = dict(zip("øØłŁđĐðÐþÞßæÆœŒıħ", "oOlLdDdDtTsaAoOih", strict=True))
_DOTS = dict.fromkeys("•‧∙⋅・･", "·")


@cache
def _table() -> dict[int, str]:
    """Code point → its folded spelling; every entry keeps the length 1, invisible ones fold to an empty string."""
    table: dict[int, str] = {}
    for code in range(0x80, sys.maxunicode + 1):
        char = chr(code)
        kind = unicodedata.category(char)
        if kind == "Nd":
            table[code] = str(unicodedata.decimal(char))
        elif kind in {"Zs", "Zl", "Zp"}:
            table[code] = " "
        elif 0xFF01 <= code <= 0xFF5E or 0x1D400 <= code <= 0x1D7FF or 0x24B6 <= code <= 0x24E9:
            plain = unicodedata.normalize("NFKC", char)
            if len(plain) == 1 and plain.isascii():
                table[code] = plain
        elif kind in {"Ll", "Lu"} and code < 0x1F00 and (base := unicodedata.normalize("NFD", char)[0]).isascii():
            table[code] = base  # é → e: names and addresses are written with and without their accents
        elif 0xD800 <= code <= 0xDFFF:
            table[code] = "?"
    table.update(dict.fromkeys(map(ord, _DASHES), "-"))
    table.update({ord(char): plain for char, plain in (_QUOTED | _DOTS | _BARRED).items()})
    table.update(dict.fromkeys(map(ord, _INVISIBLE), ""))
    return table


@dataclass(frozen=True, slots=True)
class Folded:
    """`text` for matching; `origin[i]` is the offset in the original of `text[i]`, None when they are equal.

    `origin` has one entry more than `text`: the length of the original.
    """

    text: str = field(repr=False)
    origin: list[int] | None

    def locate(self, start: int, end: int) -> tuple[int, int]:
        """Return the offsets in the original of the folded span `start:end`, with invisible characters behind it."""
        if self.origin is None:
            return start, end
        return self.origin[start], self.origin[end]


_INVISIBLE_RUN = re.compile(f"[{_INVISIBLE}]")


def fold(text: str) -> Folded:
    """Return `text` as patterns want to see it. Never fails, lone surrogates included."""
    if "<" in text:
        text = _PLACEHOLDER.sub(lambda found: BARRIER * len(found[0]), text)
    if _PLAIN.fullmatch(text):
        return Folded(text, None)
    folded = text.translate(_table())
    if len(folded) == len(text):
        return Folded(folded, None)
    origin = [index for index, char in enumerate(text) if not _INVISIBLE_RUN.match(char)]
    return Folded(folded, [*origin, len(text)])
