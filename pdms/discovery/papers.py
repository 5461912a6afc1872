# ruff: noqa: E501  (patterns are read as units)
"""Rules for identity papers and for cards: resident IDs, passports, permits, company codes, bank cards, IBAN.

Guarantee: what has a checksum is judged by it; where the checksum fails, only words beside it make a find (a mistyped
number is nearly the member's number); what has none needs words or a form that is its own.
"""

import re

from pdms.discovery import checks
from pdms.discovery.rules import GAPS, GOODS, ORDER, Judgement, Rule, before, hint, when
from pdms.discovery.spans import Label

_I = re.IGNORECASE
_ALNUM_BEFORE = r"(?<![0-9A-Za-z])"
_ALNUM_AFTER = r"(?![0-9A-Za-z])"

_PAPERS = hint(r"身份证|身份证件|身份|证件|证号|证|实名|居民|id card|identity card|id|national id|resident id")


def _resident(match: re.Match[str]) -> Judgement:
    number = match[0].translate(GAPS)
    if checks.is_resident_id(number):
        return match.start(), match.end(), 1.0
    left = before(match)
    if _PAPERS.search(left):
        return match.start(), match.end(), 0.8
    if GOODS.search(left) or ORDER.search(left) or not checks.is_resident_shape(number):
        return None
    return match.start(), match.end(), 0.55


def _old_resident(match: re.Match[str]) -> Judgement:
    number = match[0]
    return (
        (match.start(), match.end(), 0.8)
        if checks.is_old_resident_id(number) and _PAPERS.search(before(match))
        else None
    )


_PERMIT = hint(
    r"回乡证|回鄉證|通行证|通行證|台胞证|台胞證|港澳证|港澳台证件|往来证|return permit|home return permit|travel permit|"
    r"permit|回乡卡|卡式证|港澳居民.{0,8}|台湾居民.{0,8}"
)
_PASSPORT = hint(r"护照|護照|passport|ppt|旅行证|旅行证件")


def _permit(match: re.Match[str]) -> Judgement:
    left, value = before(match), match[0]
    if _PASSPORT.search(left):
        return None
    if _PERMIT.search(left):
        return match.start(), match.end(), 0.95
    follows = re.match(r".{0,6}(?:回乡证|通行证|台胞证)", match.string[match.end() : match.end() + 12])
    if follows and re.match(r"[A-Za-z]", value):
        return match.start(), match.end(), 0.8
    return None


def _passport(match: re.Match[str]) -> Judgement:
    left, value = before(match), match[0]
    if not any(map(str.isdigit, value)) or _PERMIT.search(left):
        return None
    if _PASSPORT.search(left):
        return match.start(), match.end(), 0.95
    if (
        re.fullmatch(r"E[0-9A-HJ-NP-Z][0-9]{7}|[DSP]E[0-9]{7}|G[0-9]{8}", value)
        and not GOODS.search(left)
        and not ORDER.search(left)
    ):
        return match.start(), match.end(), 0.6
    return None


def _hong_kong(match: re.Match[str]) -> Judgement:
    if not checks.is_hong_kong_id(match[0]):
        return None
    sure = "(" in match[0] or _PAPERS.search(before(match))
    return (match.start(), match.end(), 0.9) if sure else None


_TAX = hint(r"税号|信用代码|社会信用代码|纳税人识别号|识别号|机构代码|uscc|tax id|credit code")


def _uscc(match: re.Match[str]) -> Judgement:
    code = match[0].upper()
    if _TAX.search(before(match)):
        return match.start(), match.end(), 0.95
    return (match.start(), match.end(), 0.9) if checks.is_uscc(code) and not code.isdecimal() else None


_SSN = hint(r"ssn|social security(?: number)?")

PAPERS = (
    Rule(
        "id:resident", Label.ID_CARD,
        re.compile(r"(?<![0-9A-Za-z])(?<![0-9]-)[1-9](?:[ ·.-]?[0-9]){16}[ ·.-]?[0-9Xx](?![0-9A-Za-z])"), _resident,
    ),
    Rule(
        "id:resident_beside_letters", Label.ID_CARD, re.compile(r"(?<![0-9])[1-9][0-9]{16}[0-9Xx](?![0-9])"),
        when(checks.is_resident_id, score=0.97),
    ),
    Rule("id:resident_15", Label.ID_CARD, re.compile(rf"{_ALNUM_BEFORE}[1-9][0-9]{{14}}{_ALNUM_AFTER}"), _old_resident),
    Rule(
        "id:hong_kong", Label.ID_CARD, re.compile(rf"{_ALNUM_BEFORE}[A-Z]{{1,2}}[0-9]{{6}}(?:\([0-9A]\)|[0-9A]{_ALNUM_AFTER})"),
        _hong_kong,
    ),
    Rule("id:taiwan_or_us", Label.ID_CARD, re.compile(rf"{_ALNUM_BEFORE}(?:[A-Z][12][0-9]{{8}}|[0-9]{{3}}-[0-9]{{2}}-[0-9]{{4}}){_ALNUM_AFTER}"),
         lambda match: (*match.span(), 0.85) if (_SSN if "-" in match[0] else _PAPERS).search(before(match)) else None),
    Rule(
        "permit", Label.HMT_PERMIT, re.compile(rf"{_ALNUM_BEFORE}(?:[A-Z]{{1,2}} ?[0-9]{{7,10}}(?:\([0-9A-Z]\))?|[0-9]{{8}}(?:[0-9]{{2}})?){_ALNUM_AFTER}", _I),
        _permit,
    ),
    Rule(
        "passport", Label.PASSPORT, re.compile(rf"{_ALNUM_BEFORE}(?:[A-Z]{{1,3}} ?[0-9]{{6,9}}|[0-9]{{8,9}}|[A-Z0-9]{{8,9}}){_ALNUM_AFTER}", _I),
        _passport,
    ),
    Rule("uscc", Label.USCC, re.compile(rf"{_ALNUM_BEFORE}[159ANY][1-9][0-9]{{6}}[0-9A-HJ-NPQRTUWXY]{{10}}{_ALNUM_AFTER}", _I), _uscc),
)  # fmt: skip

# ---- bank cards --------------------------------------------------------------------------------------------------

_CARD = hint(
    r"卡号|银行卡|储蓄卡|借记卡|信用卡|账号|帐号|账户|帐户|卡|建行|工行|农行|中行|招行|交行|邮储|[\u4e00-\u9fff]{1,4}银行|打到|打款到|转到|转账到|"
    r"退到|退款到|汇到|退至|card #|card no|cc|card|card number|account|account number|acct|debit card|credit card|visa|mastercard|iban|to"
)


def _card(match: re.Match[str]) -> Judgement:
    digits = match[0].translate(GAPS)
    left = before(match)
    named = _CARD.search(left) is not None
    if checks.is_bank_card(digits):
        if named:
            return match.start(), match.end(), 1.0
        if GOODS.search(left) or (ORDER.search(left) and not digits.startswith("62")):
            return None
        return match.start(), match.end(), 0.96 if len(digits) > 15 else 0.8
    if named and (checks.is_card_shape(digits) or (len(digits) >= 12 and checks.luhn(digits))):
        return match.start(), match.end(), 0.7
    return None


def _iban(match: re.Match[str]) -> Judgement:
    return (match.start(), match.end(), 0.97) if checks.is_iban(match[0].replace(" ", "")) else None


BANK_CARDS = (
    Rule(
        "bank_card", Label.BANK_CARD, re.compile(r"(?<![0-9A-Za-z])(?<![0-9][.-])[1-9](?:[ -]{0,2}[0-9]){11,18}(?![0-9A-Za-z])(?![ -][0-9])"), _card,
    ),
    Rule("iban", Label.BANK_CARD, re.compile(rf"{_ALNUM_BEFORE}[A-Z]{{2}}[0-9]{{2}}(?: ?[A-Z0-9]){{11,30}}{_ALNUM_AFTER}"), _iban),
)  # fmt: skip
