# ruff: noqa: E501, SIM905  (word lists are read as units)
"""How many values of a column are what: the share that validates, by rule.

Guarantee: pure counting over a bounded sample of distinct values; what is returned holds counts and rule names, never
a value. Each test here asks whether the *whole* cell is of that kind, unlike the recognisers, which search in text.
"""

import datetime
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pdms.discovery import addresses, checks, latin_names, lexicon, names
from pdms.discovery.folding import fold
from pdms.discovery.rules import traits
from pdms.discovery.spans import Label

MOST_VALUES = 400
"""Distinct values looked at; shares over more would not be told apart."""

_DROP = str.maketrans("", "", " -.()·\t")
_MASK = re.compile(r"[*xX＊•●]{3,}")
_EMAIL = re.compile(r"[A-Za-z0-9._%+'-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24}")
_PLATE = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-Z][ ·.-]?(?:[A-HJ-NP-Z0-9]{4,5}[A-HJ-NP-Z0-9挂学警港澳])",
    re.IGNORECASE,
)
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){5}|(?:-[0-9A-Fa-f]{2}){5})")
_LANDLINE = re.compile(r"(?:0(?:10|2[0-57-9])[2-9][0-9]{7}|0[3-9][0-9]{2}[2-9][0-9]{6,7})")
_NORTH_AMERICAN = re.compile(
    r"(?:\+?1[ .-]?)?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[.-][0-9]{4}(?: ?x[0-9]{1,6})?"
)
_WORLD = re.compile(r"(?:\+|00)[1-9][0-9 ().-]{6,18}[0-9]")
_OPEN_ID = re.compile(r"o[A-Za-z0-9_-]{27}|wxid_[0-9a-z_-]{6,30}")
_PASSPORT = re.compile(r"E[0-9A-HJ-NP-Z][0-9]{7}|[DSP]E[0-9]{7}|G[0-9]{8}")
_PERMIT = re.compile(r"[HM][0-9]{8}(?:[0-9]{2})?|C[A-Z]?[0-9]{7,8}")
_POSITION = re.compile(r"[(\[]?(-?[0-9]{1,3}\.[0-9]{3,18})[ ,;]{1,2}(-?[0-9]{1,3}\.[0-9]{3,18})[)\]]?")
_DATE = re.compile(
    r"(?:(?P<y>(?:1[89]|20)[0-9]{2}) ?(?P<s>[-./年]) ?(?P<m>[0-9]{1,2}) ?[-./月] ?(?P<d>[0-9]{1,2}) ?日?"
    r"|(?P<y2>(?:19|20)[0-9]{2})(?P<m2>[01][0-9])(?P<d2>[0-3][0-9])"
    r"|(?P<a>[0-9]{1,2})[-./](?P<b>[0-9]{1,2})[-./](?P<y3>(?:19|20)[0-9]{2}))"
    r"(?P<t>[ T][0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_GENDERS = frozenset(
    "男 女 男性 女性 先生 女士 未知 保密 其他 m f male female man woman other unknown mr ms u 男士 male. female. 男生 女生".split()
)
_SPEECH = re.compile(
    r"[。!?，；、~…]|的|了|吗|呢|吧|我|你|您|请|谢|很|不|没|(?<![A-Za-z])(?:i|my|me|you|your|the|is|was|are|were|it|this|that|please|and|not|have|has|very|for|with|to|thanks|but|in|of)(?![A-Za-z])",
    re.IGNORECASE,
)


def _digits(text: str) -> str:
    return text.translate(_DROP)


def _phone(text: str) -> bool:
    plain = _digits(text)
    if plain.startswith("+86"):
        plain = plain[3:]
    elif plain.startswith("0086"):
        plain = plain[4:]
    elif plain.startswith("86") and len(plain) == 13:
        plain = plain[2:]
    if plain.isdecimal() and (checks.is_mobile(plain) or _LANDLINE.fullmatch(plain)):
        return True
    return bool(_NORTH_AMERICAN.fullmatch(text) or _WORLD.fullmatch(text))


def _ip(text: str) -> bool:
    if ":" in text:
        return checks.is_ip(text)
    parts = text.split(".")
    return len(parts) == 4 and all(part.isdecimal() and len(part) <= 3 and int(part) <= 255 for part in parts)


def _position(text: str) -> bool:
    found = _POSITION.fullmatch(text)
    return bool(found and checks.is_position(found[1], found[2]))


def date_year(text: str) -> tuple[int, bool] | None:
    """Year of a date, and whether a time of day stands behind it; None when the text is no date."""
    found = _DATE.fullmatch(text)
    if not found:
        return None
    if found["y"]:
        parts = found["y"], found["m"], found["d"]
    elif found["y2"]:
        parts = found["y2"], found["m2"], found["d2"]
    else:
        first, second = found["a"], found["b"]
        parts = (found["y3"], first, second) if int(first) <= 12 else (found["y3"], second, first)
    return (int(parts[0]), found["t"] is not None) if checks.is_date(*parts) else None


def _person(text: str) -> bool:
    text = text.strip()
    if names.is_whole_name(text):
        return True
    tokens = text.split(" ")
    if len(tokens) == 1:
        return text.istitle() and text.lower() in lexicon.GIVEN_ENGLISH
    if not 2 <= len(tokens) <= 4 or not all(re.fullmatch(r"[A-Za-z][A-Za-z.'-]{0,24}", token) for token in tokens):
        return False
    low = [token.lower().rstrip(".") for token in tokens]
    if " ".join(low) in lexicon.BRANDS_ENGLISH or low[-1] in lexicon.WORDS_ENGLISH:
        return False
    return (
        low[0] in lexicon.GIVEN_ENGLISH or low[1] in lexicon.GIVEN_ENGLISH or latin_names.is_pinyin_name(low[0], low[1])
    )


def _address(text: str) -> bool:
    found = addresses.find(text, traits(text))
    return bool(found) and max(span.end - span.start for span in found) >= 0.6 * len(text)


def _speech(text: str) -> bool:
    return len(text) >= 8 and len(_SPEECH.findall(text)) >= 2


TESTS: dict[str, Callable[[str], bool]] = {
    Label.PHONE: _phone,
    Label.EMAIL: lambda text: _EMAIL.fullmatch(text) is not None,
    Label.ID_CARD: lambda text: checks.is_resident_id(_digits(text)),
    Label.BANK_CARD: lambda text: _digits(text).isdecimal() and checks.is_bank_card(_digits(text)),
    Label.IMEI: lambda text: text.isdecimal() and checks.is_imei(text),
    Label.PLATE: lambda text: _PLATE.fullmatch(text) is not None,
    Label.MAC: lambda text: _MAC.fullmatch(text) is not None,
    Label.IP: _ip,
    Label.WECHAT: lambda text: _OPEN_ID.fullmatch(text) is not None and any(map(str.isalpha, text[1:])),
    Label.PASSPORT: lambda text: _PASSPORT.fullmatch(text) is not None,
    Label.HMT_PERMIT: lambda text: _PERMIT.fullmatch(text) is not None,
    Label.USCC: lambda text: checks.is_uscc(text.upper()),
    Label.GPS: _position,
    "GENDER": lambda text: text.lower() in _GENDERS,
    "DATE": lambda text: date_year(text) is not None,
    Label.PERSON: _person,
    Label.ADDRESS: _address,
    "FREETEXT": _speech,
    "MASKED": lambda text: _MASK.search(text) is not None,
    "NUMBER": lambda text: re.fullmatch(r"-?[0-9]{1,30}(?:\.[0-9]{1,12})?", text) is not None,
}
"""Name → test of a whole cell, folded."""


FORMS = (
    "%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y/%m/%d", "%Y/%m/%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y/%m/%d %H:%M", "%Y-%m-%dT%H:%M:%S",
    "%Y.%m.%d", "%Y年%m月%d日", "%Y%m%d", "%d/%m/%Y", "%m/%d/%Y", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M",
)  # fmt: skip
"""strptime forms that a draft may propose."""


def common_form(sample: Sequence[str]) -> str | None:
    """Return the one form that nearly all values have; None when several or none do (day and month may be swapped)."""
    fitting = [form for form in FORMS if sum(_has_form(value, form) for value in sample) >= max(1, 0.98 * len(sample))]
    return fitting[0] if len(fitting) == 1 else None


def _has_form(value: str, form: str) -> bool:
    try:
        datetime.datetime.strptime(value, form)  # noqa: DTZ007  # only the form is asked for
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Shares:
    """What a sample of a column holds."""

    filled: int
    """Values that are not blank."""
    distinct: int
    sampled: int
    """Distinct values that were tested."""
    hits: dict[str, int]
    """Test → how many of the sampled values pass; absent = none."""
    birth_like: int
    """Dates without a time of day whose year is at least twelve years before the newest date of the column."""
    with_time: int
    version_like: int
    """Four dotted numbers that are all small: software versions, not addresses."""
    form: str | None
    """strptime form of a column of dates."""
    length: float
    """Mean length of the sampled values, in characters."""

    def share(self, test: str) -> float:
        """Share of the sampled values that pass `test`."""
        return self.hits.get(test, 0) / self.sampled if self.sampled else 0.0

    def says(self, test: str) -> str:
        """Evidence without a value: `value:PHONE 148/150`."""
        return f"value:{test} {self.hits.get(test, 0)}/{self.sampled}"


def measure(values: Sequence[str]) -> Shares:
    """Count over the distinct values, at most `MOST_VALUES`, of at most 2,000 characters each."""
    filled = [stripped for value in values if (stripped := value.strip())]
    unique = list(dict.fromkeys(filled))
    step = max(1, len(unique) // MOST_VALUES)
    sample = [fold(value[:2000]).text.strip() for value in unique[::step][:MOST_VALUES]]
    hits = {name: count for name, test in TESTS.items() if (count := sum(map(test, sample)))}
    dates = [found for value in sample if (found := date_year(value))]
    newest = max((year for year, _ in dates), default=0)
    return Shares(
        filled=len(filled),
        distinct=len(unique),
        sampled=len(sample),
        hits=hits,
        birth_like=sum(not timed and year <= newest - 12 for year, timed in dates),
        with_time=sum(timed for _, timed in dates),
        version_like=sum(
            bool(re.fullmatch(r"[0-9]{1,2}(?:\.[0-9]{1,2}){3}", value)) and max(map(int, value.split("."))) < 32
            for value in sample
        ),
        form=common_form(sample) if dates and len(dates) >= 0.9 * len(sample) else None,
        length=sum(map(len, sample)) / len(sample) if sample else 0.0,
    )
