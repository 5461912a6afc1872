# ruff: noqa: E501  (patterns are read as units)
"""Rules for phone numbers: mainland mobile and landline, international, and any that words beside them call so.

Guarantee: a mobile number is found however it is grouped, spaced or prefixed; other digits need an area code, a country
code, or a word. Service hotlines (400, 800, 95xxx) are deliberately left alone: they are nobody's.
"""

import re

from pdms.discovery.rules import GOODS, Judgement, Rule, before, hint
from pdms.discovery.spans import Label

_I = re.IGNORECASE

_GROUPINGS = {
    (11,), (3, 4, 4), (3, 8), (7, 4), (4, 7), (3, 3, 5), (4, 4, 3), (5, 6), (6, 5), (3, 5, 3), (1, 3, 3, 4), (3, 4, 2, 2),
    (3, 2, 2, 2, 2), (3, 2, 3, 3), (3, 2, 4, 2), (1, 2, 4, 4), (3, 3, 3, 2), (2, 3, 3, 3), (2, 3, 2, 4), (1, 10),
    (1,) * 11, (1, 2, 2, 2, 2, 2), (3, 1, 1, 1, 1, 1, 1, 1, 1), (5, 3, 3), (4, 3, 4),
}  # fmt: skip
_SEPARATOR = re.compile("[ .-]+")


def _mobile(match: re.Match[str]) -> Judgement:
    groups = tuple(map(len, _SEPARATOR.split(match["n"])))
    if groups not in _GROUPINGS:
        return None
    left = before(match)
    if len(groups) > 1 and re.search(r"[0-9][.-]$", left):
        return None
    if match[0].startswith("86") and re.search(r"[A-Za-z]$", left):
        return None
    if match.start("n") == match.start() and GOODS.search(left):
        return None
    return match.start(), match.end(), 0.95 if len(groups) == 1 else 0.9


AREA_TWO = "10|2[0-57-9]"
AREA_THREE = "3[1-9][0-9]|4[1-79][0-9]|5[1-9][0-9]|6[369][0-9]|7[1-9][0-9]|8[1-9][0-9]|9[0-9]{2}"


def _landline(match: re.Match[str]) -> Judgement:
    return None if GOODS.search(before(match)) else (match.start(), match.end(), 0.85)


def _international(match: re.Match[str]) -> Judgement:
    digits = sum(map(str.isdigit, match[0]))
    return (match.start(), match.end(), 0.85) if 8 <= digits <= 16 else None


CALLED = hint(
    r"电话|手机|手机号|联系方式|联系|座机|固话|号码|打给我|打|拨|致电|来电|tel|phone|telephone|mobile|cell|call|call me at|call me on|"
    r"text|text me at|reach me at|reach me on|whatsapp|contact|ring me on"
)


def _called(match: re.Match[str]) -> Judgement:
    left = before(match, "v")
    digits = sum(map(str.isdigit, match["v"]))
    if (
        not 7 <= digits <= 15
        or not CALLED.search(left)
        or GOODS.search(left)
        or re.match(r"(?:400|800|95|1\d{3,4}$|20[0-3]\d[.-])", match["v"])
    ):
        return None
    if re.fullmatch(r"[0-9.]+\.[0-9]{1,2}|(?:19|20)\d\d([ .-])\d{1,2}\1\d{1,2}", match["v"]):
        return None
    return (*match.span("v"), 0.6)


PHONES = (
    Rule(
        "phone:mobile", Label.PHONE,
        re.compile(
            r"(?<![0-9])(?<![0-9]\.)(?:\(?(?:\+|00)?86\)?[ -]{0,2})?(?P<n>1[3-9](?:[ .-]{0,2}[0-9]){9})(?![0-9])"
            r"(?:(?:转|,转|-| ext\.? ?| x)[0-9]{1,6}(?![0-9-]))?"
        ),
        _mobile,
    ),
    Rule(
        "phone:landline", Label.PHONE,
        re.compile(
            rf"(?<![0-9A-Za-z])(?<![0-9][.-])(?:"
            rf"(?:\(?\+86\)?|(?:00)?86)[ -]?(?:\(?0?\)?)(?:{AREA_TWO}|{AREA_THREE})[ )-]{{0,2}}[2-9][0-9]{{2,3}}[ -]?[0-9]{{4}}"
            rf"|\(?0(?:{AREA_TWO})\)?[ -]{{0,3}}[2-9][0-9]{{3}}[ -]?[0-9]{{4}}"
            rf"|\(?0(?:{AREA_THREE})\)?[ -]{{0,3}}[2-9][0-9]{{2,3}}[ -]?[0-9]{{4}})"
            r"(?:(?:转|-)[0-9]{1,6})?(?![0-9])(?!\.[0-9])"
        ),
        _landline,
    ),
    Rule(
        "phone:international", Label.PHONE,
        re.compile(r"(?<![0-9+])\+[1-9][0-9]{0,3}(?:[ .-]{0,2}\(?[0-9]{1,8}\)?){1,6}(?: ?(?:x|ext\.?) ?[0-9]{1,6})?(?![0-9])", _I),
        _international,
    ),
    Rule(
        "phone:north_american", Label.PHONE,
        re.compile(
            r"(?<![0-9])(?<![0-9][.-])(?:(?:\+|00)?1[ .-]?)?(?!\(?[48]00)(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[.-][0-9]{4}"
            r"(?: ?(?:x|ext\.?) ?[0-9]{1,6})?(?![0-9])(?![.-][0-9])", _I,
        ),
        _landline,
    ),
    Rule(
        "phone:context", Label.PHONE,
        re.compile(r"(?<![0-9A-Za-z@.-])(?P<v>[+(]?[0-9](?:[ ().-]{0,2}[0-9]){6,14})(?![0-9A-Za-z])"), _called,
    ),
)  # fmt: skip
