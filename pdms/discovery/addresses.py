# ruff: noqa: E501  (word lists and patterns are read as units)
"""Postal addresses: Chinese by grammar and the list of administrative names, English by house number and street.

Guarantee: one pass from the left, bounded work at each place. An address is redacted from its first administrative name
(or from the street, where none is written) to its last house, unit or room number. It deliberately leaves bare regions
(浙江杭州) alone: they are no person's whereabouts; the column classifier treats them as a region.
"""

import re

from pdms.discovery.regions import is_common_word, regions
from pdms.discovery.rules import Needs, hint
from pdms.discovery.spans import Label, Span

_H = "\u4e00-\u9fff"
_N = r"(?:[0-9]{1,5}|[一二三四五六七八九十百]{1,4})"
_NAME_STOP = "的了吗呢吧啊呀是在我你您他她它这那哪请们就还很也问把给让跟栋幢"
_C = f"(?:(?![{_NAME_STOP}])[{_H}])"
"""A hanzi that may stand in a place's name."""

_ROAD_TAIL = "(?:大道|大街|马路|公路|环路|胡同|街道|快速路|路|街|巷|弄|道|里|坊|条|线|径|围|垄|塘|桥|段)"
_ESTATE_TAIL = (
    "(?:小区|花园|公寓|家园|花苑|新村|新城|广场|大厦|大楼|国际|中心|名城|名苑|名邸|雅苑|嘉园|佳园|佳苑|豪庭|豪苑|华庭|华府|公馆|别墅|山庄|庄园|"
    "园区|工业园|科技园|产业园|软件园|创业园|物流园|校区|大学|学院|中学|小学|医院|宿舍|家属院|家属楼|大院|商城|商场|市场|酒店|宾馆|写字楼)"
)
_TOWN = f"(?:{_C}{{1,8}}?(?:街道办事处|街道办|街道|镇|乡|苏木|农场|林场|开发区|高新区|经开区|新区|工业区|度假区|示范区|保税区|管理区))"
_VILLAGE = rf"(?:{_C}{{1,8}}?(?:村委会|行政村|村(?!大|路|街|东|西|南|北|科|广|小区|[一二三四]?[村区])|社区|居委会|屯|寨|自然村|嘎查|庄(?!村))(?!路|街|大道|巷)(?:{_C}{{1,4}}?(?:庄|村|屯|湾|沟)(?!路|街))?(?: ?{_N}(?:社|组|队|屯|号|村民小组))?(?: ?{_N}号)?)"
_NUMBER = rf"(?:(?:附|甲|乙|丙)?{_N}(?:[-之][0-9]{{1,4}})?(?:号院|号楼|号附[0-9]{{1,3}}号?|号(?!线)|弄|巷|\#))"
_ROAD = rf"(?:{_C}{{1,10}}?{_ROAD_TAIL}(?!大道|大街|路(?!口)|街|巷|胡同|道)(?:[东西南北中][路段侧]?|[一二三四五六七八九十][路段巷条])?(?:辅路)?)"
_CROSS = rf"(?:[与和]{_ROAD}(?:交叉路口|交叉口|交汇处|交界处|路口|口))?(?:往?[东西南北]{{1,2}}侧?(?: ?{_N}米)?(?:路?[东西南北]侧?)?)?"
_STREET = rf"(?:{_ROAD}{_CROSS}(?: ?{_NUMBER}(?: ?{_NUMBER})?)?)"
_PHASE = r"(?:[一二三四五六七八九十0-9]{1,2}期|[东西南北中A-Za-z0-9一二三四五六七八九十]{1,2}区|[一二三四五六七八九十]{1,2}里)"
_BLOCK = r"(?:[0-9A-Za-z]塔|[东西南北]?[0-9A-Za-z]{1,4}[-#]?(?:号楼|号院|栋|幢|座|楼|\#楼|\#|号(?!线))|[一二三四五六七八九十]{1,3}(?:号楼|栋|幢))"
_UNIT = r"(?:[0-9A-Za-z]{1,3}(?:单元|门|梯)|[一二三四五六七八九十甲乙丙丁]{1,2}(?:单元|门|梯))"
_FLOOR = r"(?:[0-9]{1,3}(?:层|楼|F(?![A-Za-z]))|[一二三四五六七八九十]{1,3}层)"
_ROOM = r"(?:[A-Za-z]?[0-9]{1,4}[A-Za-z]?(?:室|房|户|号房|号铺|号|铺)|[0-9]{3,4}[A-Za-z]?(?![0-9.]|[元块斤件点年月日%折米只个双箱包瓶盒条套克ml])|[0-9]{1,2}(?:户|室))"
_DASHED = r"(?:(?!1[3-9][0-9][ -]|0[0-9]{2,3}[ -])[0-9A-Za-z]{1,4}(?: ?[-#/] ?[0-9A-Za-z]{1,5}){1,3}(?:室|号)?(?![0-9A-Za-z-]))"
_INSIDE = rf"(?: ?{_BLOCK})?(?: ?{_UNIT})?(?: ?{_FLOOR})?(?: ?{_ROOM})?"
_LATIN_ESTATE = rf"(?:{_C}{{0,8}}[A-Za-z]{{2,12}}(?:{_C}{{1,6}}?)?[0-9]{{0,2}}(?= ?(?:{_BLOCK}|{_DASHED}|[0-9]{{3,4}}(?![0-9.亿万千百元%年月个件条]))))"
_ESTATE = rf"(?:(?! ?[{_H}]{{2,4}}[收(]){_C}{{1,12}}?(?:{_ESTATE_TAIL}(?![{_H}]{{0,2}}{_ROAD_TAIL})|(?= ?{_PHASE}? ?(?:{_BLOCK}|{_DASHED}))))"
_NUMBERED = rf"(?: ?{_PHASE})?(?: ?{_DASHED}|{_INSIDE})"

_TAIL = re.compile(
    rf"(?:[ ,/]?{_TOWN})?(?:[ ,/]?{_VILLAGE})?(?:[ ,/]?{_STREET})?(?:[ ,/]?{_VILLAGE})?(?:[ ,/]?{_LATIN_ESTATE}{_NUMBERED}|[ ,/]?{_ESTATE}(?:{_ESTATE})?{_NUMBERED}|{_NUMBERED})"
    r"(?:[ ,(]{0,2}(?:邮编:?)? ?[1-9][0-9]{5}(?![0-9]))?"
)
"""What may follow the administrative names, in the order in which it is written."""

_FINE = re.compile(
    rf"{_ROAD}{_CROSS} ?{_NUMBER}|[与和]{_ROAD}(?:交叉|交汇|路口)|{_VILLAGE}(?<=[0-9组队号社])|{_BLOCK}|{_UNIT}|{_DASHED}|{_ROOM}"
)
"""A find must hold one of these: a number or a village, by which people are found."""

_CUT = re.compile(
    "(?:收货|寄货|送货|家庭|现在|公司|办公|单位|家里|住址|地址|爸妈|父母|我家|家住|住在|位于|寄到|送到|发到|改到|改成|改为|更改|就在|到了|在|到|住|至|往|是|为|去|送|寄|发|放|和(?!平)|与)+"
)
_STATED = hint("地址|住址|收货地|寄到|送到|发到|邮寄到|邮寄至|住在|家住|寄往|快递到|配送到|送货到|家在|住")

_STREET_EN = (
    r"(?:street|st|avenue|ave|road|rd|drive|dr|lane|ln|boulevard|blvd|court|ct|place|pl|terrace|ter|way|circle|cir|crescent|cres|close|square|sq|"
    r"parkway|pkwy|highway|hwy|trail|trl|row|mews|grove|gardens|walk|hill|plaza|loop|alley|run|quay|route|turnpike|expressway)"
)
_UNIT_EN = r"(?:apt|apartment|unit|suite|ste|flat|floor|fl|room|rm|bldg|building|block|#)"
_WORD = r"[A-Z][A-Za-z'.-]{0,24}(?![0-9A-Za-z])"
_ENGLISH = re.compile(
    rf"(?<![0-9A-Za-z.$#-])(?:(?i:{_UNIT_EN})\.? ?[0-9A-Za-z-]{{1,6}}, ?)?[0-9]{{1,6}}[A-Za-z]?(?:[-/][0-9]{{1,5}})?,? "
    rf"(?:(?:[NSEW]|[NS][EW]|North|South|East|West)\.? )?(?:(?:{_WORD}|[0-9]{{1,3}}(?:st|nd|rd|th)) ){{1,4}}(?i:{_STREET_EN})(?![A-Za-z])\.?(?: (?:[NSEW]|[NS][EW])(?![A-Za-z]))?"
    rf"(?:,? (?i:{_UNIT_EN})\.? ?[0-9A-Za-z-]{{1,6}}(?![A-Za-z]))?"
    rf"(?:,? (?!(?:Please|Thanks|Thank|Call|And|But|The|My|I|Is|It|We|Can|When)(?![A-Za-z])){_WORD}(?: {_WORD}){{0,2}}(?:,? [A-Z]{{2,3}}(?![0-9A-Za-z]))?)?"
    rf"(?:,? (?:[A-Z]{{1,2}}[0-9][0-9A-Z]? ?[0-9][A-Z]{{2}}|[0-9]{{4,6}}(?:-[0-9]{{4}})?|[A-Z][0-9][A-Z] ?[0-9][A-Z][0-9])(?![0-9A-Za-z]))?"
    rf"(?:,? (?:USA|UK|U\.S\.A?\.?|United States|United Kingdom|Canada|Australia|China|P\.?R\.? ?China)(?![A-Za-z]))?"
)
_ENGLISH_ZIPPED = re.compile(
    rf"(?<![0-9A-Za-z.$#-])[0-9]{{1,6}}[A-Za-z]? (?:(?:{_WORD}|[0-9]{{1,3}}(?:st|nd|rd|th)) ?){{1,5}}(?:,? (?i:{_UNIT_EN})\.? ?[0-9A-Za-z-]{{1,6}})?"
    rf"[,\n] ?{_WORD}(?: {_WORD}){{0,2}},? [A-Z]{{2}} [0-9]{{5}}(?:-[0-9]{{4}})?(?![0-9])"
)
"""A house number, any words, a town, a state and its ZIP: whatever the street is called."""
_BOX = re.compile(
    r"(?<![A-Za-z])(?i:p\.? ?o\.? ?box) ?[0-9]{1,6}(?:, [A-Z][A-Za-z]{1,20}(?: [A-Z][A-Za-z]{1,20})?)?(?:,? [A-Z]{2})?(?: [0-9]{5})?(?![0-9])"
)


def _chain(text: str, place: int) -> tuple[int, int]:
    """Return where a run of administrative names that begins at `place` ends, and how many names it has."""
    known = regions()
    end, names = place, 0
    while end < len(text) and names < 6:
        at = end
        if names and text[at] in " ,/-" and at + 1 < len(text):
            at += 1
        length = known.at(text, at)
        if length == 0 and names:
            for size in (4, 3, 2):
                word = text[at : at + size]
                if len(word) == size and word in known.counties and not (names == 1 and is_common_word(word)):
                    length = size
                    break
        if length == 0:
            break
        if (
            names
            and text[at + length : at + length + 1] in {"路", "街", "大", "道", "巷"}
            and text[at : at + length] not in known.full
        ):
            break
        end, names = at + length, names + 1
    return end, names


_VILLAGED = re.compile(f"[ ,/]?{_TOWN}[ ,/]?{_VILLAGE}")


def chinese(text: str) -> list[Span]:
    """Return the Chinese addresses in folded text."""
    found: list[Span] = []
    known = regions()
    first, size, place = known.first, len(text), 0
    while place < size:
        if text[place] in first:
            end, names = _chain(text, place)
            if names:
                tail = _TAIL.match(text, end, min(size, end + 120))
                stop = _trim(text, end, tail.end()) if tail else end
                if stop > end and (_VILLAGED.match(text, end, stop) or _FINE.search(text, end, stop)):
                    found.append(Span(Label.ADDRESS, place, stop, 0.84 if names > 1 else 0.8, "address:regions"))
                    place = stop
                    continue
                if names > 1 and stop > end + 2 and _STATED.search(text[max(0, place - 24) : place]):
                    found.append(Span(Label.ADDRESS, place, stop, 0.7, "address:stated"))
                    place = stop
                    continue
                place = end
                continue
        place += 1
    return found


def _trim(text: str, start: int, stop: int) -> int:
    """Give back separators at the end."""
    while stop > start and text[stop - 1] in " ,/-":
        stop -= 1
    return stop


def streets(text: str) -> list[Span]:
    """Return Chinese addresses that begin with a street or an estate, no region named."""
    found: list[Span] = []
    for match in _BARE_START.finditer(text):
        lead = match["lead"] or match["estate"]
        cut = 0
        for word in _CUT.finditer(lead):
            cut = word.end()
        start = match.start() + cut
        if match.end() - start < 2:
            continue
        tail = _TAIL.match(text, start, min(len(text), start + 120))
        stop = _trim(text, start, tail.end()) if tail else start
        if stop > match.end() and _FINE.search(text, start, stop):
            found.append(Span(Label.ADDRESS, start, stop, 0.75, "address:street"))
    return found


_BARE_START = re.compile(
    rf"(?P<lead>(?:(?![了吗呢吧我你他她它这那哪请谢们就都还很也没不说问打把给让跟])[{_H}]){{2,10}}?{_ROAD_TAIL}(?:[东西南北中][路段]?)?)(?= ?[0-9]{{1,5}}(?:号|弄|巷|-[0-9]))"
    rf"|(?P<estate>(?:(?![了吗呢吧我你他她它这那哪请谢们就都还很也没不说问打把给让跟])[{_H}]){{2,12}}?(?:小区|花园|公寓|家园|花苑|新村|新城|大厦|嘉园|佳苑|苑|园|城|里|府|湾|庭))"
    rf"(?={_PHASE}?[0-9A-Za-z]{{1,4}}(?:号楼|栋|幢|座|-[0-9]{{1,4}}-[0-9]{{1,5}}))"
)


def english(text: str) -> list[Span]:
    """Return the English addresses in folded text."""
    found = [Span(Label.ADDRESS, *match.span(), 0.82, "address:english") for match in _ENGLISH.finditer(text)]
    found.extend(Span(Label.ADDRESS, *match.span(), 0.83, "address:zipped") for match in _ENGLISH_ZIPPED.finditer(text))
    found.extend(Span(Label.ADDRESS, *match.span(), 0.8, "address:box") for match in _BOX.finditer(text))
    return found


def find(text: str, held: Needs) -> list[Span]:
    """Return every address; spans may overlap."""
    found: list[Span] = []
    if Needs.HANZI in held:
        found.extend(chinese(text))
        if Needs.DIGIT in held:
            found.extend(streets(text))
    if Needs.LATIN in held and Needs.DIGIT in held:
        found.extend(english(text))
    return found
