# ruff: noqa: E501  (patterns are read as units)
"""Rules for what members own and where they are: devices, number plates, network addresses, positions.

Guarantee: a software version is not taken for an address (`8.0.33.1` needs a word such as IP beside it). Positions
are found as pairs; a place's name is the business of `addresses`.
"""

import re

from pdms.discovery import checks
from pdms.discovery.rules import GAPS, GOODS, ORDER, Judgement, Needs, Rule, before, hint, whole
from pdms.discovery.spans import Label

_I = re.IGNORECASE
_ALNUM_BEFORE = r"(?<![0-9A-Za-z])"
_ALNUM_AFTER = r"(?![0-9A-Za-z])"

# ---- devices and plates ------------------------------------------------------------------------------------------

_DEVICE = hint(r"imei\d?|meid|串号|设备号|设备码|手机序列号|设备id|device id")


def _imei(match: re.Match[str]) -> Judgement:
    digits = match[0].translate(GAPS).replace("/", "")
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


DEVICES = (
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

# ---- networks and positions --------------------------------------------------------------------------------------

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
