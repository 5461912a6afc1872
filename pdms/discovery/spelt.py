# ruff: noqa: E501  (tables are read by line)
"""Rules for digits written as hanzi (一三八…), wholly or in part, as members do to get past filters.

Guarantee: the run is read as digits and held to the same checks as digits are; offsets stay those of the hanzi.
"""

import re
from collections.abc import Callable

from pdms.discovery import checks
from pdms.discovery.phones import AREA_THREE, AREA_TWO, CALLED
from pdms.discovery.rules import BETWEEN, GAPS, SPELT_DIGITS, Judgement, Needs, Rule, before, hint
from pdms.discovery.spans import Label

_HANZI = str.maketrans(SPELT_DIGITS, "00012345678912123456789")
_RUN = re.compile(
    rf"(?<![0-9{SPELT_DIGITS}])[0-9{SPELT_DIGITS}](?:[ -]?[0-9{SPELT_DIGITS}]){{5,21}}(?![0-9{SPELT_DIGITS}])"
)
_SPELT_ONE = re.compile(f"[{SPELT_DIGITS}]")


def _spelt(test: Callable[[str, str], bool], score: float) -> Callable[[re.Match[str]], Judgement]:
    """A judge of digits written as hanzi, wholly or in part; `test` sees the digits and the text before them."""

    def judge(match: re.Match[str]) -> Judgement:
        if not _SPELT_ONE.search(match[0]):
            return None
        digits = match[0].translate(_HANZI).translate(GAPS)
        return (*match.span(), score) if test(digits, before(match)) else None

    return judge


_QQ = hint(r"qq|扣扣|企鹅|q", link=BETWEEN + "$")


def _is_spelt_phone(digits: str, left: str) -> bool:
    digits = digits.removeprefix("86")
    area = re.fullmatch(rf"0(?:(?:{AREA_TWO})[2-9][0-9]{{7}}|(?:{AREA_THREE})[2-9][0-9]{{6,7}})", digits)
    return checks.is_mobile(digits) or area is not None or (7 <= len(digits) <= 8 and CALLED.search(left) is not None)


SPELT = (
    Rule("phone:hanzi", Label.PHONE, _RUN, _spelt(_is_spelt_phone, 0.9), Needs.HANZI_DIGITS),
    Rule("id:hanzi", Label.ID_CARD, _RUN, _spelt(lambda digits, _: checks.is_resident_id(digits), 0.95), Needs.HANZI_DIGITS),
    Rule("bank_card:hanzi", Label.BANK_CARD, _RUN, _spelt(lambda digits, _: checks.is_bank_card(digits), 0.9), Needs.HANZI_DIGITS),
    Rule("qq:hanzi", Label.QQ, _RUN, _spelt(lambda digits, left: len(digits) <= 11 and _QQ.search(left) is not None, 0.8), Needs.HANZI_DIGITS),
)  # fmt: skip
