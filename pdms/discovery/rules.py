"""The form of a detection rule, and the words around a number that say what it is, or what it is not.

Guarantee: a rule's pattern is bounded (no unbounded repetition next to another), so that its time grows with the
length of the text only. Rules see folded text (`folding`) and return offsets in it. `\\b` is never used: beside a hanzi
it is no boundary; look-arounds on `[0-9A-Za-z]` are.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Flag, auto

from pdms.discovery.spans import Label, Span


class Needs(Flag):
    """What must occur in a text for a rule to have a chance; lets most rules be skipped for most texts."""

    NOTHING = 0
    DIGIT = auto()
    AT = auto()
    HANZI = auto()
    LATIN = auto()
    MIDDLE_DOT = auto()
    HANZI_DIGITS = auto()
    COLON = auto()


Judgement = tuple[int, int, float] | None
"""Start, end and score of the span that a match stands for; None refuses it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One pattern with the judge of its matches."""

    name: str
    label: Label
    pattern: re.Pattern[str]
    judge: Callable[[re.Match[str]], Judgement]
    needs: Needs = Needs.DIGIT

    def spans(self, text: str) -> list[Span]:
        """Return this rule's finds in folded text, in order."""
        found: list[Span] = []
        for match in self.pattern.finditer(text):
            judged = self.judge(match)
            if judged is not None:
                found.append(Span(self.label, judged[0], judged[1], judged[2], self.name))
        return found


SPELT_DIGITS = "零〇○一二三四五六七八九幺两壹贰叁肆伍陆柒捌玖"
"""Hanzi that stand for digits, in the order 0 0 0 1-9 1 2 1-9."""

_TRAITS = (
    (Needs.DIGIT, re.compile("[0-9]")),
    (Needs.AT, re.compile(r"@|[(\[{ ]at[ )\]}]|\(艾特\)", re.IGNORECASE)),
    (Needs.HANZI, re.compile("[\u4e00-\u9fff]")),
    (Needs.LATIN, re.compile("[A-Za-z]")),
    (Needs.MIDDLE_DOT, re.compile("·")),
    (
        Needs.HANZI_DIGITS,
        re.compile(rf"[{SPELT_DIGITS}](?:[ -]?[0-9{SPELT_DIGITS}]){{5}}"),
    ),
    (Needs.COLON, re.compile(":")),
)


def traits(text: str) -> Needs:
    """Return what occurs in folded text."""
    held = Needs.NOTHING
    for need, pattern in _TRAITS:
        if pattern.search(text):
            held |= need
    return held


def whole(score: float) -> Callable[[re.Match[str]], Judgement]:
    """A judge that takes every match (its group `v`, where it has one) at `score`."""

    def judge(match: re.Match[str]) -> Judgement:
        return (*_value(match), score)

    return judge


def when(test: Callable[[str], bool], *, score: float, drop: str = "") -> Callable[[re.Match[str]], Judgement]:
    """A judge that takes a match whose value, without the characters of `drop`, passes `test`."""
    gone = str.maketrans("", "", drop)

    def judge(match: re.Match[str]) -> Judgement:
        start, end = _value(match)
        return (start, end, score) if test(match.string[start:end].translate(gone)) else None

    return judge


def _value(match: re.Match[str]) -> tuple[int, int]:
    return match.span("v") if "v" in match.re.groupindex else match.span()


def before(match: re.Match[str], group: str | int = 0, *, reach: int = 24) -> str:
    """Return up to `reach` characters left of a match, for a look at its context."""
    start = match.start(group)
    return match.string[max(0, start - reach) : start]


_LINK = r"(?:[ :#是为叫填写的成错了,]|号码?|no\.?|number|num|id|is|was|\(|\)|\"|=){0,5}$"

BETWEEN = r"(?: is |[ :=是为叫\"(]|号码?|id|账号|帐号|就是|搜索?|加一?下?我?|\(|同号|联系){0,5}"
"""What may stand between the name of a chat service and the id in it."""

GAPS = str.maketrans("", "", " -.·()")
"""Takes out what people put between groups of digits."""

GOODS = re.compile(
    r"(?:单号|编号|编码|货号|款号|型号|条码|条形码|券码|兑换码|流水号|流水|批号|序列号|商品|sku|spu|"
    r"tracking|waybill|order (?:no|number|id)\.?|order ?#|order|invoice|item|serial|ref|reference|coupon|"
    r"交易号|取件码|验证码|密码|时间戳|版本)" + _LINK,
    re.IGNORECASE,
)
"""Left of a number: it names goods, a parcel, an order or a time, not a person."""

ORDER = re.compile(r"(?:订单|运单|快递|物流|包裹)" + _LINK)
"""Left of a number: it may name an order; weaker than GOODS, since members also look orders up by phone."""


def hint(words: str, *, link: str = _LINK) -> re.Pattern[str]:
    """Return a pattern that is found in the text left of a value when one of `words` introduces it."""
    return re.compile(f"(?:{words}){link}", re.IGNORECASE)


def run(rules: Sequence[Rule], text: str, held: Needs) -> list[Span]:
    """Return the finds of those rules whose needs `text` meets."""
    found: list[Span] = []
    for rule in rules:
        if rule.needs & held == rule.needs:
            found.extend(rule.spans(text))
    return found
