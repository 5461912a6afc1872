"""One spelling for each value: what is stored, compared and looked up. Scalar and pure: each rule is tested alone.

Guarantees: normalising twice is normalising once; a value that breaks its rule is named by that rule, never repaired by
guessing; the same functions serve files, corrections and look-ups. A number that could be a mainland mobile is accepted
by its form, since numbering plans change faster than tables; every other number is judged by phonenumbers.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from operator import mul
from typing import Final

from pdms.clock import SHANGHAI
from pdms.errors import InvalidInput
from pdms.ingest.rules import RULES
from pdms.policy.definitions import Policy

Normaliser = Callable[[str], str]
"""Takes a value as the file has it, returns the one spelling; "" stays "". Raises `Broken`."""

_MOBILE: Final = re.compile(r"1[3-9]\d{9}", re.ASCII)
_MAINLAND: Final = re.compile(r"(?:\+|00)?86(1[3-9]\d{9})", re.ASCII)
_PHONE_NOISE: Final = re.compile(r"[\s\-().·]+")
_EMAIL: Final = re.compile(
    r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]*[a-z][a-z0-9-]*[a-z0-9]",
    re.ASCII,
)
_EMAIL_LENGTH: Final = 254
_ID_18: Final = re.compile(r"\d{17}[\dX]", re.ASCII)
_ID_15: Final = re.compile(r"\d{15}", re.ASCII)
_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ZERO_SUM: Final = ord("0") * sum(_WEIGHTS)
_CHECK: Final = "10X98765432"
_REGIONS: Final = frozenset(
    f"{n:02d}"
    for n in (
        *range(11, 16),
        21,
        22,
        23,
        *range(31, 38),
        *range(41, 47),
        *range(50, 55),
        *range(61, 66),
        71,
        81,
        82,
        83,
    )
)
_DATE: Final = re.compile(r"(\d{4})(?:-|/|\.|年)(\d{1,2})(?:-|/|\.|月)(\d{1,2})日?", re.ASCII)
_DATE_8: Final = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)
_DATE_WITH_TIME: Final = re.compile(r"(\d{4}-\d{2}-\d{2})[T ]00:00(?::00(?:\.0+)?)?", re.ASCII)
_LONG_YEAR: Final = re.compile(r"\d{5,}\D.*", re.ASCII)
_FIRST_YEAR: Final = 1900
_GENDERS: Final = {
    "male": "male", "m": "male", "男": "male", "男性": "male", "1": "male",
    "female": "female", "f": "female", "女": "female", "女性": "female", "2": "female",
    "other": "other", "其他": "other",
    "unknown": "", "未知": "", "保密": "", "0": "", "9": "", "u": "",
}  # fmt: skip
"""Digits as in GB/T 2261.1: 0 unknown, 1 male, 2 female, 9 not stated."""


class Broken(ValueError):
    """A value breaks a rule; only the rule is told."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


def clean(value: str) -> str:
    """Return text in NFKC with blanks collapsed. :raises Broken: CONTROL_CHARACTER."""
    if value.isascii() and value.isprintable():
        return value if value.isalnum() else " ".join(value.split())
    if value.isalnum() and unicodedata.is_normalized("NFKC", value):  # most Chinese names: no blank, nothing to fold
        return value
    # twice: compatibility forms of blanks become blanks only by NFKC, which may in turn leave some at the ends
    folded = " ".join(unicodedata.normalize("NFKC", value).split())
    if not folded.isprintable() and any(unicodedata.category(char) in _CONTROL for char in folded):
        raise Broken("CONTROL_CHARACTER")
    return folded


_CONTROL: Final = frozenset({"Cc", "Cs", "Co", "Cn"})


def text(value: str) -> str:
    """Free text of one line."""
    return clean(value)


def name(value: str) -> str:
    """A person's name: one line, blanks collapsed, separators of transcribed names made alike."""
    folded = clean(value)
    return folded if folded.isalnum() else folded.replace("•", "·").replace("・", "·").replace("‧", "·")


def login(value: str) -> str:
    """An account name; case does not tell two apart."""
    return clean(clean(value).casefold())


def phone_cn(value: str) -> str:
    """A telephone number in E.164; without country code it is of mainland China."""
    if _MOBILE.fullmatch(value):
        return "+86" + value
    return _phone(value)


def _phone(value: str) -> str:
    digits = _PHONE_NOISE.sub("", clean(value).replace("\uff0b", "+"))
    if not digits:
        return ""
    if _MOBILE.fullmatch(digits):
        return "+86" + digits
    if found := _MAINLAND.fullmatch(digits):
        return "+86" + found[1]
    if not digits.removeprefix("+").isascii() or not digits.removeprefix("+").isdigit():
        raise Broken("PHONE_FORM")
    import phonenumbers

    try:
        number = phonenumbers.parse("+" + digits[2:] if digits.startswith("00") else digits, "CN")
    except phonenumbers.NumberParseException:
        raise Broken("PHONE_FORM") from None
    if not phonenumbers.is_valid_number(number):
        raise Broken("PHONE_FORM")
    formatted: str = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return formatted


def email(value: str) -> str:
    """An address in lower case: shops and members do not keep the case of the local part apart."""
    folded = clean(value).lower()
    if not folded:
        return ""
    if not _EMAIL.fullmatch(folded) or len(folded) > _EMAIL_LENGTH:
        raise Broken("EMAIL_FORM")
    return folded


def resident_id(value: str) -> str:
    """A resident ID number of 18 places (GB 11643-1999), its region, date and check digit verified; 15 become 18."""
    number = value if len(value) == 18 and value.isascii() else clean(value).replace(" ", "")
    number = number.upper()
    if not number:
        return ""
    if _ID_15.fullmatch(number):
        number = number[:6] + "19" + number[6:]
        number += _check_digit(number)
    if not _ID_18.fullmatch(number):
        raise Broken("ID_FORM")
    if number[:2] not in _REGIONS:
        raise Broken("ID_REGION")
    if number[17] != _check_digit(number[:17]):
        raise Broken("ID_CHECKSUM")
    if not _is_day(number[6:14]):
        raise Broken("ID_DATE")
    return number


def _check_digit(digits: str) -> str:
    return _CHECK[(sum(map(mul, digits.encode(), _WEIGHTS)) - _ZERO_SUM) % 11]


@lru_cache(maxsize=1 << 16)
def _is_day(eight: str) -> bool:
    try:
        date(int(eight[:4]), int(eight[4:6]), int(eight[6:]))
    except ValueError:
        return False
    return int(eight[:4]) >= _FIRST_YEAR


def gender(value: str) -> str:
    """`male`, `female`, `other`, or "" for what says that it is not known."""
    found = _GENDERS.get(value)
    if found is None:
        found = _GENDERS.get(clean(value).lower())
    if found is None:
        if not clean(value):
            return ""
        raise Broken("GENDER_VALUE")
    return found


def day(value: str, *, form: str | None = None) -> str:
    """A date as YYYY-MM-DD. :param form: strptime form; without it the usual ones are read, year first."""
    folded = clean(value)
    if not folded:
        return ""
    if form is not None:
        try:
            return _in_range(datetime.strptime(folded, form).date())  # noqa: DTZ007  # only its date is taken
        except ValueError as error:
            if isinstance(error, Broken):
                raise
            # already in the form that we write: normalising twice is normalising once
    found = _DATE.fullmatch(folded) or _DATE_8.fullmatch(folded)
    if found is None and (with_time := _DATE_WITH_TIME.fullmatch(folded)):
        found = _DATE.fullmatch(with_time[1])
    if found is None or (form is not None and not folded == f"{found[1]}-{found[2]}-{found[3]}"):
        raise Broken("DATE_YEAR" if _LONG_YEAR.fullmatch(folded) else "DATE_FORM")
    try:
        return _in_range(date(int(found[1]), int(found[2]), int(found[3])))
    except ValueError as error:
        raise error if isinstance(error, Broken) else Broken("DATE_IMPOSSIBLE") from None


def _in_range(found: date) -> str:
    if found.year < _FIRST_YEAR:
        raise Broken("DATE_YEAR")
    return found.isoformat()


NORMALISERS: Mapping[str, Normaliser] = {
    "name": name,
    "text": text,
    "phone_cn": phone_cn,
    "phone": phone_cn,
    "email": email,
    "resident_id": resident_id,
    "login": login,
    "gender": gender,
}
"""By the name that `policy.yaml` gives a field; `date` needs a form and today, see `field_normaliser`."""


@dataclass(frozen=True, slots=True)
class _Day:
    """Dates of a person's life: not in the future. Birth dates repeat, so each is read once."""

    form: str | None
    today: str

    def reader(self) -> Normaliser:
        @lru_cache(maxsize=1 << 16)
        def read(value: str) -> str:
            found = day(value, form=self.form)
            if found > self.today:
                raise Broken("DATE_FUTURE")
            return found

        return read


def translated(normaliser: Normaliser, values: Mapping[str, str]) -> Normaliser:
    """Return a normaliser that first translates coded values; `*` in `values` stands for all others."""
    other = values.get("*")
    known = set(values.values())

    def read(value: str) -> str:
        found = values.get(value)
        if found is None:
            folded = clean(value)
            found = values.get(folded, folded if folded in known or not folded else other)
        if found is None:
            raise Broken("VALUE_UNKNOWN")
        return normaliser(found)

    return read


def field_normaliser(
    policy: Policy, field: str, *, today: date, form: str | None = None, values: Mapping[str, str] | None = None
) -> Normaliser:
    """Return the normaliser of one member field; its greatest length is for the caller to hold.

    :raises InvalidInput: the policy knows no such field, or names a normaliser that does not exist.
    """
    definition = policy.fields.get(field)
    if definition is None:
        raise InvalidInput(f"field {field}: the policy knows none of that name", code="UNKNOWN_FIELD")
    if definition.normaliser == "date":
        inner = _Day(form, today.isoformat()).reader()
    elif definition.normaliser in NORMALISERS:
        inner = NORMALISERS[definition.normaliser]
    else:
        raise InvalidInput(f"field {field}: no normaliser {definition.normaliser}", code="UNKNOWN_NORMALISER")
    return inner if values is None else translated(inner, values)


def normalise_value(policy: Policy, *, field: str, value: str, now: datetime) -> str:
    """Normalise one value of a member field, for look-ups, identity checks and corrections.

    :raises InvalidInput: field and rule; `code` is the rule.
    """
    read = field_normaliser(policy, field, today=now.astimezone(SHANGHAI).date())
    try:
        found = read(value)
    except Broken as broken:
        raise InvalidInput(f"{field}: {RULES[broken.rule]} ({broken.rule})", code=broken.rule) from None
    if len(found) > policy.fields[field].max_length:
        raise InvalidInput(f"{field}: {RULES['TOO_LONG']} (TOO_LONG)", code="TOO_LONG")
    return found
