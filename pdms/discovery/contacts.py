# ruff: noqa: E501, SIM905  (patterns are read as units)
"""Rules for what members are reached by besides the phone: e-mail, WeChat, QQ.

Guarantee: an e-mail address is found by its `@` and read outwards, so a long run of letters costs nothing. Ids of chat
services have no checksum: but for those whose form is theirs alone, a word beside them must say what they are.
"""

import re

from pdms.discovery.rules import BETWEEN, Judgement, Needs, Rule, whole
from pdms.discovery.spans import Label

_I = re.IGNORECASE

# ---- e-mail ------------------------------------------------------------------------------------------------------

_LOCAL = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.!#$%&'*+/=?^_`{|}~-")
_LEADING = frozenset(".!#$%&'*+/=?^`{|}~-")
_LOCAL_MOST = 128
"""Twice what RFC 5321 section 4.5.3.1.1 allows: longer runs of letters are searched no further."""


def _email(match: re.Match[str]) -> Judgement:
    text, at = match.string, match.start()
    spaced = at > 0 and text[at - 1] == " "
    at -= spaced
    start = at
    floor = max(0, at - _LOCAL_MOST)
    while start > floor and text[start - 1] in _LOCAL:
        start -= 1
    for mark in ("mailto:", "=", "/"):
        cut = text.rfind(mark, start, at)
        if cut >= 0:
            start = cut + len(mark)
    while start < at and text[start] in _LEADING:
        start += 1
    return (start, match.end(), 0.7 if spaced else 1.0) if start < at else None


_DOMAIN = r"(?:[A-Za-z0-9-]{1,63}\.){1,6}(?:[A-Za-z]{2,24}|xn--[a-z0-9-]{1,40})(?![A-Za-z])"

EMAILS = (
    Rule("email", Label.EMAIL, re.compile(rf"@ ?{_DOMAIN}", _I), _email, Needs.AT),
    Rule(
        "email:spelt", Label.EMAIL,
        re.compile(
            rf"(?: ?(?:[(\[{{] ?at ?[)\]}}]|\(艾特\)) ?)(?:{_DOMAIN}|[a-z0-9-]{{1,63}} ?[(\[{{] ?dot ?[)\]}}] ?[a-z]{{2,24}})"
            r"| at [a-z0-9-]{1,63}(?: dot [a-z0-9-]{1,63}){0,3} dot [a-z]{2,24}(?![a-z])", _I,
        ),
        _email, Needs.AT,
    ),
    Rule(
        "email:literal", Label.EMAIL,
        re.compile(r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@\[?[0-9]{1,3}(?:\.[0-9]{1,3}){3}\]?"), whole(0.9),
        Needs.AT,
    ),
)  # fmt: skip

# ---- WeChat and QQ ----------------------------------------------------------------------------------------------

_NOT_AN_ACCOUNT = frozenset(
    "android iphone openid unionid official wechat weixin support service please number group account email pay payment "
    "wallet scan login share moments video version update windows chat messages message system channel".split()
)


def _wechat(match: re.Match[str]) -> Judgement:
    value = match["v"]
    if value.lower() in _NOT_AN_ACCOUNT:
        return None
    if re.fullmatch(r"[a-zA-Z]{6,20}", value) and not re.search(
        r"号|id|是|为|:|=|加", match[0][: match.start("v") - match.start()], _I
    ):
        return None
    return (*match.span("v"), 0.9)


ACCOUNTS = (
    Rule("wechat:wxid", Label.WECHAT, re.compile(r"(?<![0-9A-Za-z])wxid_[0-9a-z_-]{6,30}", _I), whole(0.98), Needs.LATIN),
    Rule(
        "wechat:open_id", Label.WECHAT, re.compile(r"(?<![0-9A-Za-z_-])o(?=[A-Za-z0-9_-]{0,26}[0-9])(?=[a-z0-9_-]{0,26}[A-Z])[A-Za-z0-9_-]{27}(?![0-9A-Za-z_-])"),
        whole(0.9), Needs.LATIN | Needs.DIGIT,
    ),
    Rule(
        "wechat:context", Label.WECHAT,
        re.compile(
            rf"(?:微信|微 信|威信|薇信|徽信|卫星号|[vV] ?信|wei ?xin|we ?chat|(?<![A-Za-z])(?:v ?x|w ?x|vx号)|加[我个]?[vV])"
            rf"{BETWEEN}(?P<v>[A-Za-z][A-Za-z0-9_-]{{5,19}})(?![A-Za-z0-9_@.-]*@)(?![A-Za-z0-9_-])", _I,
        ),
        _wechat, Needs.LATIN,
    ),
    Rule(
        "wechat:digits", Label.WECHAT,
        re.compile(r"(?:微信号?|威信|薇信|[vV]信|we ?chat)(?:[ :=是为]|id|号码?){0,4}(?P<v>[0-9]{5,12})(?![0-9A-Za-z@.元块分折])", _I),
        lambda match: (*match.span("v"), 0.7),
    ),
    Rule(
        "qq", Label.QQ,
        re.compile(
            r"(?:(?<![A-Za-z])q ?q|扣扣|企鹅号?|球球|(?<![A-Za-z])q(?=号|:)|加[我个]?q)(?:[ :=是为(]|号码?|群|number|账号|加我|联系|或者?|/?微信|也是){0,5}"
            r"(?P<v>[1-9][0-9]{4,10})(?![0-9A-Za-z.]|元|块|分)", _I,
        ),
        whole(0.9),
    ),
)  # fmt: skip
