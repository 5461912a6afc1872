# ruff: noqa: E501  (patterns are read as units)
"""Han names: a surname, one or two characters that given names are made of, and the words around them.

Guarantee: bounded work at each place. A name counts when something introduces it (a label, a kinship, a role, thanks),
follows it (a title, 收, a phone number), or when its characters leave little doubt.
"""

import re

from pdms.discovery import lexicon
from pdms.discovery.spans import Label, Span

_H = "\u4e00-\u9fff"
_HANZI = re.compile(f"[{_H}]")


def weight_of(char: str) -> int:
    """How much a character speaks for a given name: 2, 1, 0; -9 against it."""
    if char in lexicon.GIVEN_STRONG:
        return 2
    if char in lexicon.NEVER_GIVEN or not _HANZI.match(char):
        return -9
    return 1 if char in lexicon.GIVEN_WEAK else 0


def ends_well(text: str, place: int) -> bool:
    """Whether what stands at `place` may follow a name: nothing, no hanzi, a function character, a known word."""
    if place >= len(text) or not _HANZI.match(text[place]):
        return True
    return text[place] in lexicon.NEVER_GIVEN or text[place : place + 2] in lexicon.FOLLOWERS


def surname_at(text: str, place: int) -> int:
    """Length of the surname at `place`, 0 if none stands there."""
    if text[place : place + 2] in lexicon.COMPOUND_SURNAMES:
        return 2
    return 1 if text[place : place + 1] in lexicon.SURNAMES else 0


def han_name(text: str, place: int, *, least: int, closed: bool = False) -> tuple[int, int] | None:
    """Return end and weight of the Han name that begins at `place`, if it weighs at least `least`.

    Weight: 0-2 for each given character, 2 for a good ending; `closed` demands that ending.
    """
    size = surname_at(text, place)
    if not size:
        return None
    best: tuple[int, int] | None = None
    weight = 0
    for extra in (1, 2):
        at = place + size + extra - 1
        if at >= len(text):
            break
        one = weight_of(text[at])
        if one < 0 or (extra == 2 and text[at : at + 2] in lexicon.FOLLOWERS):
            break
        weight += one
        ends = ends_well(text, at + 1)
        if closed and not ends:
            continue
        total = weight + (2 if ends else 0)
        if best is None or total >= best[1]:
            best = (at + 1, total)
    if best is None or best[1] < least:
        return None
    name = text[place : best[0]]
    if size == 1 and (name[:2] in lexicon.NOT_NAMES or name in lexicon.BRANDS):
        return None
    if size == 2 and name[:3] in lexicon.BRANDS:
        return None
    return best


TITLE = (
    r"(?:先生|女士|小姐|太太|师傅|老师|经理|主任|医生|大夫|阿姨|叔叔|同学|总(?![一-鿿])|哥|姐|老板|教练|律师|店长|客服)"
)
_LINK = r"(?:[ :\"']|姓名|名字|真实|是|为|叫做?|写成?的?|写错|填成?的?|改成|改为|换成|换为|变更为|登记|应该|成了?|一下|错了?|请|,){0,5}"

_TITLE_NEXT = re.compile(TITLE)
LABELLED = re.compile(
    rf"(?:姓名|名字|户名|开户名|收件人|收货人|收件|收货|联系人|持卡人|开户人|收款人|付款人|寄件人|发件人|投保人|被保险人|乘机人|入住人|预订人|预约人|申请人|法人|经办人|"
    rf"签收人|监护人|紧急联系人|户主|机主|车主|购买人|下单人|订购人|会员名|客户名|实名人|抬头(?:写|是|:|开)?个?人?){_LINK}"
)
INTRODUCED = re.compile(
    rf"(?:我是|我叫|我名字|名叫|叫做|本人|我姓名|他叫|她叫|我的名字|在下|改成|换成|改为|写成|转给|交给|寄给|送给|发给|"
    rf"帮我查|查一下|查下|查询|谢谢|感谢|多谢|辛苦|辛苦了|表扬|投诉|点赞|夸夸|联系|告诉|通知|"
    rf"我先生|我太太|我媳妇|我家|本科生|研究生|学员|业主|住户|租客|老公|老婆|爱人|丈夫|妻子|儿子|女儿|孩子|小孩|宝宝|妈妈|爸爸|我妈|我爸|母亲|父亲|公公|婆婆|岳父|岳母|爷爷|奶奶|外公|外婆|"
    rf"舅舅|朋友|同事|同学|室友|闺蜜|弟弟|哥哥|姐姐|妹妹|我弟|我哥|我姐|我妹|表弟|表哥|表姐|表妹|侄子|侄女|外甥|邻居|对象|男友|女友|"
    rf"男朋友|女朋友|老师|老板|学生|客服|店员|导购|营业员|骑手|快递员|快递小哥|外卖员|配送员|送货员|师傅|安装工|主播|顾问|经理|店长|"
    rf"主管|专员|销售|工程师|管家|教练|设计师|美容师|发型师|医生|大夫|护士|律师|小哥|建行|工行|农行|中行|招行|交行|邮储|银行|买家|卖家|顾客|客户|会员|用户|用户名|昵称)"
    rf"{_LINK}(?:小哥|师傅|同事)?"
)
_LED = re.compile(
    "(?:显示|用|以|昨天|今天|前天|名叫|替我|帮我|以及|刚才|上次|当时|送到|麻烦|联系|查|找|请|让|由|给|替|和|跟|与|叫|是|及|、)(?:一下|下)?"
)
"""Words that lead to a name as often as to anything else."""
_STRONG = re.compile(
    rf"(?:我叫|名叫|叫做|本人|他叫|她叫|我的名字|我先生|我太太|我媳妇|我家|本科生|研究生|学员|业主|住户|租客|老公|老婆|爱人|丈夫|妻子|儿子|女儿|孩子|客服|店员|导购|骑手|快递员|收货人改成|改成){_LINK}$"
)
_TITLED = re.compile(
    rf"{TITLE}(?![{_H}]?[资册])|收(?=[ ,。!?;)\n]|$|[0-9+(])|\((?:收|先生|女士|男|女)\)|(?:名下|本人|买的|下的单|下单|拍的|订的|购买的|代收|签收|付的|付款的)"
)
_BOUNDARY = re.compile(rf"(?:^|[^{_H}])")
_RUN = re.compile(rf"(?<![{_H}])[{_H}]{{2,4}}(?![{_H}·])")
PHONE_AFTER = re.compile(
    r"[ ,:;/()|\t-]{0,3}(?:(?:手机|电话|联系)号?码?[ :]{0,2})?(?:\+?86[ -]?)?(?:1[3-9][0-9][ -]?[0-9]{4}|0[0-9]{2,3}[ -]?[2-9])"
)
_PHONE_BEFORE = re.compile(r"[0-9]{4}[ ,:;/()|\t-]{1,3}$")
_CLAUSE_FOLLOW = re.compile(
    "的(?:订单|快递|包裹|地址|手机|电话|账号|帐号|积分|生日|会员|身份|单|卡|货|件|名|信息|资料|优惠|退款)|(?:买|拍|下|订|付|收|签|退|寄|说|打|给|在|帮|是|已|这边|收到|没收|一直|今天|昨天|来)"
)


_LOOSE = frozenset({"买的", "下的单", "下单", "拍的", "订的", "购买的", "付的", "付款的", "本人", "代收", "签收"})
"""What follows names and other words alike."""
_COURTESY = frozenset({"先生", "女士", "小姐", "太太"})


def _from_left(text: str) -> list[Span]:
    found: list[Span] = []
    for match in LABELLED.finditer(text):
        name = han_name(text, match.end(), least=2, closed=True) or han_name(text, match.end(), least=2)
        if name is None:
            name = _bare_label(text, match)
        if name:
            found.append(Span(Label.PERSON, match.end(), name[0], 0.9, "person:label"))
        elif text[match.end() : match.end() + 1] in lexicon.SURNAMES and _TITLE_NEXT.match(text, match.end() + 1):
            found.append(Span(Label.PERSON, match.end(), match.end() + 1, 0.6, "person:surname_title"))
    for match in INTRODUCED.finditer(text):
        place = match.end()
        least = 2 if _STRONG.search(match[0]) else 3
        if text[place : place + 1] in lexicon.RARE_SURNAMES:
            least += 1
        name = han_name(text, place, least=least)
        if name:
            found.append(Span(Label.PERSON, place, name[0], min(0.88, 0.6 + 0.05 * name[1]), "person:introduced"))
    for match in _LED.finditer(text):
        place = match.end()
        if text[place : place + 1] not in lexicon.RARE_SURNAMES:
            name = han_name(text, place, least=4)
            if name:
                found.append(Span(Label.PERSON, place, name[0], 0.65, "person:led"))
    return found


def _bare_label(text: str, match: re.Match[str]) -> tuple[int, int] | None:
    """After `姓名:` two to four hanzi that nothing continues are a name, though brand, word or rare surname they be."""
    if not re.search("[: ]", match[0]):
        return None
    run = _RUN.match(text, match.end())
    if run is None:
        return None
    surname = surname_at(text, match.end()) or int(run[0][0] in lexicon.OLD_SURNAMES)
    given = run[0][surname:]
    if surname and 1 <= len(given) <= 2 and all(char not in lexicon.NEVER_GIVEN for char in given):
        return run.end(), 2
    return None


def _from_right(text: str) -> list[Span]:
    found: list[Span] = []
    for match in _TITLED.finditer(text):
        end = match.start()
        if end and text[end - 1] == " ":
            end -= 1
        firm = match[0] not in _LOOSE
        best: tuple[int, int] | None = None
        for size in (4, 3, 2):
            start = end - size
            if start < 0:
                continue
            surname = surname_at(text, start)
            if not surname or size - surname not in {1, 2}:
                continue
            weights = [weight_of(char) for char in text[start + surname : end]]
            total = sum(weights)
            if min(weights) < 0:
                continue
            name = text[start:end]
            wordlike = surname == 1 and (name[:2] in lexicon.NOT_NAMES or name in lexicon.BRANDS)
            if wordlike and not (size == 3 and match[0] in _COURTESY):
                continue
            if text[start] in lexicon.RARE_SURNAMES and start and _HANZI.match(text[start - 1]):
                total -= 1
            if not firm and start and _HANZI.match(text[start - 1]):
                total -= 3 if size == 2 else 1
            if total >= (1 if firm else 2) and (best is None or total > best[1] + 1):
                best = (start, total)
        if best:
            found.append(Span(Label.PERSON, best[0], end, 0.8, "person:title"))
    return found


def _standing_alone(text: str) -> list[Span]:
    found: list[Span] = []
    for match in _RUN.finditer(text):
        place = match.start()
        surname = surname_at(text, place)
        given = match[0][surname:]
        if not surname or not 1 <= len(given) <= 2 or match[0][:2] in lexicon.NOT_NAMES or match[0] in lexicon.BRANDS:
            continue
        weights = [weight_of(char) for char in given]
        if min(weights) < 0:
            continue
        near_phone = PHONE_AFTER.match(text, match.end()) or _PHONE_BEFORE.search(text, max(0, place - 8), place)
        if near_phone:
            found.append(Span(Label.PERSON, *match.span(), 0.8, "person:beside_phone"))
        elif (
            sum(weights) >= (3 if len(given) == 2 and surname == 1 else 4 if surname == 1 else 1 + len(given))
            and text[place] not in lexicon.RARE_SURNAMES
        ):
            found.append(Span(Label.PERSON, *match.span(), 0.6, "person:alone"))
    return found


_CLAUSE = re.compile(rf"(?<![{_H}])(?=[{_H}]{{3}})")


def _at_clause_start(text: str) -> list[Span]:
    found: list[Span] = []
    for match in _CLAUSE.finditer(text):
        place = match.start()
        if not surname_at(text, place):
            continue
        name = han_name(text, place, least=4, closed=True)
        if name and text[place] not in lexicon.RARE_SURNAMES and _CLAUSE_FOLLOW.match(text, name[0]):
            found.append(Span(Label.PERSON, place, name[0], 0.7, "person:clause"))
    return found


def find(text: str) -> list[Span]:
    """Return the Han names in folded text; spans may overlap."""
    return [*_from_left(text), *_from_right(text), *_standing_alone(text), *_at_clause_start(text)]
