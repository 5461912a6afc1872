# ruff: noqa: E501  (patterns are read as units)
"""Rules for dates of birth: a date is one only where words beside it say so.

Guarantee: dates of orders, deliveries and offers stay; `生日券`, `生日礼物` and the like introduce no birth.
"""

import re

from pdms.discovery.rules import Needs, Rule, whole
from pdms.discovery.spans import Label

_I = re.IGNORECASE

_Y, _M, _D = r"(?:1[89]|20)[0-9]{2}", r"(?:0?[1-9]|1[0-2])", r"(?:3[01]|[12][0-9]|0?[1-9])"
_MONTH = r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
_NUMERAL = "[零〇○一二三四五六七八九十]"
DATE = (
    rf"(?:{_Y} ?[-./] ?{_M} ?[-./] ?{_D}(?![0-9])|{_Y} ?年 ?{_M} ?月(?: ?{_D} ?[日号]?)?|{_Y}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?![0-9])"
    rf"|[0-9]{{2}} ?年 ?{_M} ?月 ?{_D} ?[日号]?|{_NUMERAL}{{2,4}}年{_NUMERAL}{{1,3}}月(?:{_NUMERAL}{{1,3}}[日号]?)?"
    rf"|{_M} ?月 ?{_D} ?[日号]|{_D} ?[-./] ?{_M} ?[-./] ?{_Y}(?![0-9])|{_M} ?[-./] ?{_D} ?[-./] ?{_Y}(?![0-9])"
    rf"|(?:{_MONTH}) {_D}(?:st|nd|rd|th)?(?:,? ?{_Y})?(?![0-9])|{_D}(?:st|nd|rd|th)? (?:of )?(?:{_MONTH}),?(?: {_Y})?(?![0-9])"
    rf"|[0-9]{{2}}[-./]{_M}[-./]{_D}(?![0-9./-])|{_M}/{_D}/[0-9]{{2}}(?![0-9])|{_Y} ?年(?=生|出生))"
)
_BORN = (
    r"(?:生日|出生|诞生|(?<![发产])生于|生辰|dob|d\.o\.b\.?|birth ?day|birth ?date|date of birth|birth|born)"
    r"(?!礼|券|快乐|蛋糕|惊喜|优惠|活动|特权|福利|会员|月|贺)(?:[^0-9。!?;\n一二三四五六七八九十]{0,16}?)"
)

BIRTHS = (
    Rule("birth:context", Label.BIRTH_DATE, re.compile(rf"{_BORN}(?<![0-9A-Za-z])(?P<v>{DATE})", _I), whole(0.95), Needs.NOTHING),
    Rule(
        "birth:follows", Label.BIRTH_DATE,
        re.compile(rf"(?<![0-9])(?P<v>{DATE})[ 的]{{0,2}}(?:出生|生日|生人|生(?=[的,。;!)]|$)|寿星)(?!礼|券|会|活动|特)"), whole(0.9),
    ),
)  # fmt: skip
