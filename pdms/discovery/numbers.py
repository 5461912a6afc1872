"""Rules for what is written in digits: phones, identity papers, cards, devices, networks, places on the map, dates.

Guarantee: what has a checksum is judged by it; what has none needs a range, or words beside it that name it. Nothing
here knows the sentence: `names` and `addresses` do. Service hotlines (400, 800, 95xxx) are deliberately left alone.
"""

import re
from collections.abc import Callable

from pdms.discovery import checks
from pdms.discovery.rules import GOODS, ORDER, Judgement, Needs, Rule, before, hint, when, whole
from pdms.discovery.spans import Label

_I = re.IGNORECASE
_ALNUM_BEFORE = r"(?<![0-9A-Za-z])"
_ALNUM_AFTER = r"(?![0-9A-Za-z])"

# ---- phones ------------------------------------------------------------------------------------------------------

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


_AREA_TWO = "10|2[0-57-9]"
_AREA_THREE = "3[1-9][0-9]|4[1-79][0-9]|5[1-9][0-9]|6[369][0-9]|7[1-9][0-9]|8[1-9][0-9]|9[0-9]{2}"


def _landline(match: re.Match[str]) -> Judgement:
    return None if GOODS.search(before(match)) else (match.start(), match.end(), 0.85)


def _international(match: re.Match[str]) -> Judgement:
    digits = sum(map(str.isdigit, match[0]))
    return (match.start(), match.end(), 0.85) if 8 <= digits <= 16 else None


_CALLED = hint(
    r"电话|手机|手机号|联系方式|联系|座机|固话|号码|打给我|打|拨|致电|来电|tel|phone|telephone|mobile|cell|call|call me at|call me on|"
    r"text|text me at|reach me at|reach me on|whatsapp|contact|ring me on"
)


def _called(match: re.Match[str]) -> Judgement:
    left = before(match, "v")
    digits = sum(map(str.isdigit, match["v"]))
    if (
        not 7 <= digits <= 15
        or not _CALLED.search(left)
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
            rf"(?:\(?\+86\)?|(?:00)?86)[ -]?(?:\(?0?\)?)(?:{_AREA_TWO}|{_AREA_THREE})[ )-]{{0,2}}[2-9][0-9]{{2,3}}[ -]?[0-9]{{4}}"
            rf"|\(?0(?:{_AREA_TWO})\)?[ -]{{0,3}}[2-9][0-9]{{3}}[ -]?[0-9]{{4}}"
            rf"|\(?0(?:{_AREA_THREE})\)?[ -]{{0,3}}[2-9][0-9]{{2,3}}[ -]?[0-9]{{4}})"
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
            r"(?<![0-9])(?<![0-9][.-])(?:\+?1[ .-]?)?(?!\(?[48]00)(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[.-][0-9]{4}"
            r"(?: ?(?:x|ext\.?) ?[0-9]{1,6})?(?![0-9])(?![.-][0-9])", _I,
        ),
        _landline,
    ),
    Rule(
        "phone:context", Label.PHONE,
        re.compile(r"(?<![0-9A-Za-z@.-])(?P<v>[+(]?[0-9](?:[ ().-]{0,2}[0-9]){6,14})(?![0-9A-Za-z])"), _called,
    ),
)  # fmt: skip

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

# ---- identity papers ---------------------------------------------------------------------------------------------

_PAPERS = hint(r"身份证|身份证件|身份|证件|证号|证|实名|居民|id card|identity card|id|national id|resident id")
_GAPS = " -.·"
_GONE = str.maketrans("", "", _GAPS + "()")


def _resident(match: re.Match[str]) -> Judgement:
    number = match[0].translate(_GONE)
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

# ---- cards and devices -------------------------------------------------------------------------------------------

_CARD = hint(
    r"卡号|银行卡|储蓄卡|借记卡|信用卡|账号|帐号|账户|帐户|卡|建行|工行|农行|中行|招行|交行|邮储|[\u4e00-\u9fff]{1,4}银行|打到|打款到|转到|转账到|"
    r"退到|退款到|汇到|退至|card #|card no|cc|card|card number|account|account number|acct|debit card|credit card|visa|mastercard|iban|to"
)


def _card(match: re.Match[str]) -> Judgement:
    digits = match[0].translate(_GONE)
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


_DEVICE = hint(r"imei\d?|meid|串号|设备号|设备码|手机序列号|设备id|device id")


def _imei(match: re.Match[str]) -> Judgement:
    digits = match[0].translate(_GONE).replace("/", "")
    left = before(match)
    if _DEVICE.search(left):
        return match.start(), match.end(), 0.97
    if checks.is_imei(digits) and not GOODS.search(left) and not ORDER.search(left):
        return match.start(), match.end(), 0.8
    return None


_PLATE_PROVINCE = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_PLATE_HINT = hint(r"车牌|车牌号|车号|车|停车|plate|plate no\.?|license plate|licence plate")


def _plate(match: re.Match[str]) -> Judgement:
    left = before(match)
    if sum(map(str.isdigit, match["n"])) < 2 and not _PLATE_HINT.search(left):
        return None
    if (
        match[0][0] in "新青云宁"
        and re.search("[全最崭上更创刷年丹藏白风多乌安]$", left)
        and not _PLATE_HINT.search(left)
    ):
        return None
    return match.start(), match.end(), 0.9


CARDS_AND_DEVICES = (
    Rule(
        "bank_card", Label.BANK_CARD, re.compile(r"(?<![0-9A-Za-z])(?<![0-9][.-])[1-9](?:[ -]{0,2}[0-9]){11,18}(?![0-9A-Za-z])(?![ -][0-9])"), _card,
    ),
    Rule("iban", Label.BANK_CARD, re.compile(rf"{_ALNUM_BEFORE}[A-Z]{{2}}[0-9]{{2}}(?: ?[A-Z0-9]){{11,30}}{_ALNUM_AFTER}"), _iban),
    Rule(
        "imei", Label.IMEI, re.compile(rf"{_ALNUM_BEFORE}[0-9]{{2}}[ -]?[0-9]{{6}}[ -]?[0-9]{{6}}[ /-]?[0-9](?:[ /-]?[0-9]{{2}})?{_ALNUM_AFTER}"), _imei,
    ),
    Rule(
        "plate", Label.PLATE,
        re.compile(
            rf"[{_PLATE_PROVINCE}][A-HJ-Z][ ·.-]?(?P<n>(?:[A-HJ-NP-Z][A-HJ-NP-Z0-9]?[0-9]{{4}}|[0-9]{{5}}[A-HJ-NP-Z]"
            rf"|[A-HJ-NP-Z0-9]{{4}}[A-HJ-NP-Z0-9挂学警港澳])){_ALNUM_AFTER}", _I,
        ),
        _plate,
    ),
)  # fmt: skip

# ---- networks and places -----------------------------------------------------------------------------------------

_NETWORK = hint(
    r"ip|ip地址|ipv4|ipv6|地址|登录|登陆|login|login from|logged in from|sign-in from|from|host|server|服务器|路由器|网关|内网"
)
_SOFTWARE = hint(
    r"版本|版本号|固件|升级到|更新到|系统|内核|驱动|version|ver|v|release|firmware|build|app|ios|android|安卓|鸿蒙|chrome|windows|软件"
)


def _ipv4(match: re.Match[str]) -> Judgement:
    value, left = match[0], before(match)
    if max(map(int, value.split("."))) > 255 or _SOFTWARE.search(left):
        return None
    if _NETWORK.search(left):
        return match.start(), match.end(), 0.97
    if not checks.is_ip(value):
        return None
    return (match.start(), match.end(), 0.6) if max(map(int, value.split("."))) >= 32 else None


def _ipv6(match: re.Match[str]) -> Judgement:
    value = match[0]
    grouped = sum(bool(part) for part in value.split(":"))
    return (match.start(), match.end(), 0.95) if grouped >= 3 and checks.is_ip(value) else None


_MAC_HINT = hint(r"mac|mac地址|物理地址|mac address|设备")


def _position(match: re.Match[str]) -> Judgement:
    return (*match.span(), 0.95) if checks.is_position(match["x"], match["y"]) else None


NETWORKS = (
    Rule("ip:v4", Label.IP, re.compile(r"(?<![0-9A-Za-z])(?<![0-9]\.)[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9A-Za-z])(?!\.[0-9])"), _ipv4),
    Rule("ip:v6", Label.IP, re.compile(r"(?<![0-9A-Za-z:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![0-9A-Za-z:])"), _ipv6, Needs.COLON),
    Rule("mac", Label.MAC, re.compile(rf"{_ALNUM_BEFORE}(?<![:-])[0-9A-F]{{2}}(?:(?::[0-9A-F]{{2}}){{5}}|(?:-[0-9A-F]{{2}}){{5}}|(?: [0-9A-F]{{2}}){{5}}){_ALNUM_AFTER}", _I),
         lambda match: (*match.span(), 0.97) if " " not in match[0] or _MAC_HINT.search(before(match)) else None, Needs.NOTHING),
    Rule("mac:dotted", Label.MAC, re.compile(rf"{_ALNUM_BEFORE}(?:[0-9A-F]{{4}}\.[0-9A-F]{{4}}\.[0-9A-F]{{4}}|[0-9A-F]{{12}}){_ALNUM_AFTER}", _I),
         lambda match: (*match.span(), 0.9) if _MAC_HINT.search(before(match)) else None, Needs.NOTHING),
    Rule(
        "gps:pair", Label.GPS,
        re.compile(
            r"(?<![0-9.])(?:[NSEW] ?)?(?P<x>-?[0-9]{1,3}\.[0-9]{3,18})(?:°? ?[NSEW]|°)?(?: ?[,;/、] ?| )(?:(?:纬度|经度|lat|lng|lon)[ :=]{0,2})?"
            r"(?:[NSEW] ?)?(?P<y>-?[0-9]{1,3}\.[0-9]{3,18})(?:°? ?[NSEW](?![a-z])|°)?(?![0-9.]?[0-9])", _I,
        ),
        _position,
    ),
    Rule(
        "gps:named", Label.GPS,
        re.compile(
            r"(?:经度|纬度|东经|北纬|lat(?:itude)?|lng|lon(?:gitude)?)[\"' :=是为]{0,4}(?P<v>-?[0-9]{1,3}\.[0-9]{2,18})"
            r"(?![0-9])", _I,
        ),
        whole(0.85),
    ),
    Rule(
        "gps:degrees", Label.GPS,
        re.compile(
            r"(?:[NSEW] ?|北纬|东经)?[0-9]{1,3}°[0-9]{1,2}['′](?:[0-9]{1,2}(?:\.[0-9]{1,6})?[\"″'′]{1,2})? ?(?:[NSEW](?![a-z]))?"
            r"(?:[ ,;]{1,2}(?:[NSEW] ?|北纬|东经)?[0-9]{1,3}°[0-9]{1,2}['′](?:[0-9]{1,2}(?:\.[0-9]{1,6})?[\"″'′]{1,2})? ?(?:[NSEW](?![a-z]))?)?", _I,
        ),
        whole(0.9),
    ),
)  # fmt: skip

# ---- accounts ----------------------------------------------------------------------------------------------------

_NOT_AN_ACCOUNT = frozenset(
    "android iphone openid unionid official wechat weixin support service please number group account email pay payment "
    "wallet scan login share moments video version update windows chat messages message system channel".split()
)
_BETWEEN = r"(?: is |[ :=是为叫\"(]|号码?|id|账号|帐号|就是|搜索?|加一?下?我?|\(|同号|联系){0,5}"


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
            rf"{_BETWEEN}(?P<v>[A-Za-z][A-Za-z0-9_-]{{5,19}})(?![A-Za-z0-9_@.-]*@)(?![A-Za-z0-9_-])", _I,
        ),
        _wechat, Needs.LATIN,
    ),
    Rule(
        "wechat:digits", Label.WECHAT,
        re.compile(rf"(?:微信号?|威信|薇信|[vV]信|we ?chat)(?:[ :=是为]|id|号码?){{0,4}}(?P<v>[0-9]{{5,12}})(?![0-9A-Za-z@.元块分折])", _I),
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

# ---- births ------------------------------------------------------------------------------------------------------

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

# ---- hanzi digits ------------------------------------------------------------------------------------------------

_SPELT = "零〇○一二三四五六七八九幺两壹贰叁肆伍陆柒捌玖"
_HANZI = str.maketrans(_SPELT, "00012345678912123456789")
_RUN = re.compile(rf"(?<![0-9{_SPELT}])[0-9{_SPELT}](?:[ -]?[0-9{_SPELT}]){{5,21}}(?![0-9{_SPELT}])")
_SPELT_ONE = re.compile(f"[{_SPELT}]")


def _spelt(test: Callable[[str, str], bool], score: float) -> Callable[[re.Match[str]], Judgement]:
    """A judge of digits written as hanzi, wholly or in part; `test` sees the digits and the text before them."""

    def judge(match: re.Match[str]) -> Judgement:
        if not _SPELT_ONE.search(match[0]):
            return None
        digits = match[0].translate(_HANZI).translate(_GONE)
        return (*match.span(), score) if test(digits, before(match)) else None

    return judge


_QQ = hint(r"qq|扣扣|企鹅|q", link=_BETWEEN + "$")


def _is_spelt_phone(digits: str, left: str) -> bool:
    if digits.startswith("86"):
        digits = digits[2:]
    area = re.fullmatch(rf"0(?:(?:{_AREA_TWO})[2-9][0-9]{{7}}|(?:{_AREA_THREE})[2-9][0-9]{{6,7}})", digits)
    return checks.is_mobile(digits) or area is not None or (7 <= len(digits) <= 8 and _CALLED.search(left) is not None)


SPELT = (
    Rule("phone:hanzi", Label.PHONE, _RUN, _spelt(_is_spelt_phone, 0.9), Needs.HANZI_DIGITS),
    Rule("id:hanzi", Label.ID_CARD, _RUN, _spelt(lambda digits, _: checks.is_resident_id(digits), 0.95), Needs.HANZI_DIGITS),
    Rule("bank_card:hanzi", Label.BANK_CARD, _RUN, _spelt(lambda digits, _: checks.is_bank_card(digits), 0.9), Needs.HANZI_DIGITS),
    Rule("qq:hanzi", Label.QQ, _RUN, _spelt(lambda digits, left: len(digits) <= 11 and _QQ.search(left) is not None, 0.8), Needs.HANZI_DIGITS),
)  # fmt: skip

NUMBER_RULES = PHONES + EMAILS + PAPERS + CARDS_AND_DEVICES + NETWORKS + ACCOUNTS + BIRTHS + SPELT
