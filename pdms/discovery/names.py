"""Names of persons, without a language model: surnames, characters of given names, and the words around them.

Guarantee: bounded work at each place where a name may begin. It deliberately does not claim to find every name: a name
that nothing around it introduces is taken only when its characters leave little doubt. The recall reached is measured
(`scripts/bench discovery`), and free text that is kept for longer should be read with that number in mind.
"""

import re

from pdms.discovery import lexicon
from pdms.discovery.rules import Needs
from pdms.discovery.spans import Label, Span

_H = "\u4e00-\u9fff"
_HANZI = re.compile(f"[{_H}]")

# ---- Han names ---------------------------------------------------------------------------------------------------


def _weight(char: str) -> int:
    """How much a character speaks for a given name: 2, 1, 0; -9 against it."""
    if char in lexicon.GIVEN_STRONG:
        return 2
    if char in lexicon.NEVER_GIVEN or not _HANZI.match(char):
        return -9
    return 1 if char in lexicon.GIVEN_WEAK else 0


def _ends_well(text: str, place: int) -> bool:
    """Whether what stands at `place` may follow a name: nothing, no hanzi, a function character, a known word."""
    if place >= len(text) or not _HANZI.match(text[place]):
        return True
    return text[place] in lexicon.NEVER_GIVEN or text[place : place + 2] in lexicon.FOLLOWERS


def _surname(text: str, place: int) -> int:
    """Length of the surname at `place`, 0 if none stands there."""
    if text[place : place + 2] in lexicon.COMPOUND_SURNAMES:
        return 2
    return 1 if text[place : place + 1] in lexicon.SURNAMES else 0


def han_name(text: str, place: int, *, least: int, closed: bool = False) -> tuple[int, int] | None:
    """Return end and weight of the Han name that begins at `place`, if it weighs at least `least`.

    Weight: 0-2 for each given character, 2 for a good ending; `closed` demands that ending.
    """
    size = _surname(text, place)
    if not size:
        return None
    best: tuple[int, int] | None = None
    weight = 0
    for extra in (1, 2):
        at = place + size + extra - 1
        if at >= len(text):
            break
        one = _weight(text[at])
        if one < 0 or (extra == 2 and text[at : at + 2] in lexicon.FOLLOWERS):
            break
        weight += one
        ends = _ends_well(text, at + 1)
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


_TITLE = (
    r"(?:先生|女士|小姐|太太|师傅|老师|经理|主任|医生|大夫|阿姨|叔叔|同学|总(?![一-鿿])|哥|姐|老板|教练|律师|店长|客服)"
)
_LINK = r"(?:[ :\"']|姓名|名字|真实|是|为|叫做?|写成?的?|写错|填成?的?|改成|改为|换成|换为|变更为|登记|应该|成了?|一下|错了?|请|,){0,5}"

_LABELLED = re.compile(
    rf"(?:姓名|名字|户名|开户名|收件人|收货人|收件|收货|联系人|持卡人|开户人|收款人|付款人|寄件人|发件人|投保人|被保险人|乘机人|入住人|预订人|预约人|申请人|法人|经办人|"
    rf"签收人|监护人|紧急联系人|户主|机主|车主|购买人|下单人|订购人|会员名|客户名|实名人|抬头(?:写|是|:|开)?个?人?){_LINK}"
)
_INTRODUCED = re.compile(
    rf"(?:我是|我叫|我名字|名叫|叫做|本人|我姓名|他叫|她叫|我的名字|在下|改成|换成|改为|写成|转给|交给|寄给|送给|发给|"
    rf"帮我查|查一下|查下|查询|谢谢|感谢|多谢|辛苦|辛苦了|表扬|投诉|点赞|夸夸|联系|告诉|通知|"
    rf"老公|老婆|爱人|丈夫|妻子|儿子|女儿|孩子|小孩|宝宝|妈妈|爸爸|我妈|我爸|母亲|父亲|公公|婆婆|岳父|岳母|爷爷|奶奶|外公|外婆|"
    rf"舅舅|朋友|同事|同学|室友|闺蜜|弟弟|哥哥|姐姐|妹妹|我弟|我哥|我姐|我妹|表弟|表哥|表姐|表妹|侄子|侄女|外甥|邻居|对象|男友|女友|"
    rf"男朋友|女朋友|老师|老板|学生|客服|店员|导购|营业员|骑手|快递员|快递小哥|外卖员|配送员|送货员|师傅|安装工|主播|顾问|经理|店长|"
    rf"主管|专员|销售|工程师|管家|教练|设计师|美容师|发型师|医生|大夫|护士|律师|小哥|建行|工行|农行|中行|招行|交行|邮储|银行|买家|卖家|顾客|客户|会员|用户|用户名|昵称)"
    rf"{_LINK}(?:小哥|师傅|同事)?"
)
_LED = re.compile(
    "(?:昨天|今天|前天|刚才|上次|当时|送到|麻烦|联系|查|找|请|让|由|给|替|和|跟|与|叫|是|及|、)(?:一下|下)?"
)
"""Words that lead to a name as often as to anything else."""
_STRONG = re.compile(
    rf"(?:我叫|名叫|叫做|本人|他叫|她叫|我的名字|老公|老婆|爱人|丈夫|妻子|儿子|女儿|孩子|客服|店员|导购|骑手|快递员|收货人改成|改成){_LINK}$"
)
_TITLED = re.compile(
    rf"{_TITLE}(?![{_H}]?[资册])|收(?=[ ,。!?;)\n]|$|[0-9+(])|\((?:收|先生|女士|男|女)\)|(?:名下|本人|买的|下的单|下单|拍的|订的|购买的|代收|签收|付的|付款的)"
)
_BOUNDARY = re.compile(rf"(?:^|[^{_H}])")
_RUN = re.compile(rf"(?<![{_H}])[{_H}]{{2,4}}(?![{_H}·])")
_PHONE_AFTER = re.compile(
    r"[ ,:;/()|\t-]{0,3}(?:(?:手机|电话|联系)号?码?[ :]{0,2})?(?:\+?86[ -]?)?(?:1[3-9][0-9]|0[0-9]{2,3}[ -]?[2-9])"
)
_PHONE_BEFORE = re.compile(r"[0-9]{4}[ ,:;/()|\t-]{1,3}$")
_CLAUSE_FOLLOW = re.compile(
    "的(?:订单|快递|包裹|地址|手机|电话|账号|帐号|积分|生日|会员|身份|单|卡|货|件|名|信息|资料|优惠|退款)|(?:买|拍|下|订|付|收|签|退|寄|说|打|给|在|帮|是|已|这边|收到|没收|一直|今天|昨天|来)"
)


def _from_left(text: str) -> list[Span]:
    found: list[Span] = []
    for match in _LABELLED.finditer(text):
        name = han_name(text, match.end(), least=2, closed=True) or han_name(text, match.end(), least=2)
        if name is None:
            name = _bare_label(text, match)
        if name:
            found.append(Span(Label.PERSON, match.end(), name[0], 0.9, "person:label"))
        elif titled := re.compile(rf"[{_H}](?={_TITLE})").match(text, match.end()):
            if titled[0] in lexicon.SURNAMES:
                found.append(Span(Label.PERSON, *titled.span(), 0.6, "person:surname_title"))
    for match in _INTRODUCED.finditer(text):
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
    """After `姓名:` any two to four hanzi that nothing continues are a name, brand or word though they may be."""
    if not re.search("[: ]", match[0]):
        return None
    run = _RUN.match(text, match.end())
    if run and _surname(text, match.end()) and all(_weight(char) >= 0 for char in run[0][1:]):
        return run.end(), 2
    return None


def _from_right(text: str) -> list[Span]:
    found: list[Span] = []
    for match in _TITLED.finditer(text):
        end = match.start()
        if end and text[end - 1] == " ":
            end -= 1
        firm = match[0] not in {
            "买的",
            "下的单",
            "下单",
            "拍的",
            "订的",
            "购买的",
            "付的",
            "付款的",
            "本人",
            "代收",
            "签收",
        }
        best: tuple[int, int] | None = None
        for size in (4, 3, 2):
            start = end - size
            if start < 0:
                continue
            surname = _surname(text, start)
            if not surname or size - surname not in {1, 2}:
                continue
            weights = [_weight(char) for char in text[start + surname : end]]
            total = sum(weights)
            if min(weights) < 0:
                continue
            name = text[start:end]
            if surname == 1 and (name[:2] in lexicon.NOT_NAMES or name in lexicon.BRANDS):
                continue
            if text[start] in lexicon.RARE_SURNAMES and start and _HANZI.match(text[start - 1]):
                total -= 1
            if not firm and start and _HANZI.match(text[start - 1]):
                total -= 2
            if total >= (1 if firm else 2) and (best is None or total > best[1] + 1):
                best = (start, total)
        if best:
            found.append(Span(Label.PERSON, best[0], end, 0.8, "person:title"))
    return found


def _standing_alone(text: str) -> list[Span]:
    found: list[Span] = []
    for match in _RUN.finditer(text):
        place = match.start()
        surname = _surname(text, place)
        given = match[0][surname:]
        if not surname or not 1 <= len(given) <= 2 or match[0][:2] in lexicon.NOT_NAMES or match[0] in lexicon.BRANDS:
            continue
        weights = [_weight(char) for char in given]
        if min(weights) < 0:
            continue
        near_phone = _PHONE_AFTER.match(text, match.end()) or _PHONE_BEFORE.search(text, max(0, place - 8), place)
        if near_phone:
            found.append(Span(Label.PERSON, *match.span(), 0.85, "person:beside_phone"))
        elif sum(weights) >= (4 if surname == 1 else 1 + len(given)) and text[place] not in lexicon.RARE_SURNAMES:
            found.append(Span(Label.PERSON, *match.span(), 0.6, "person:alone"))
    return found


_CLAUSE = re.compile(rf"(?<![{_H}])(?=[{_H}]{{3}})")


def _at_clause_start(text: str) -> list[Span]:
    found: list[Span] = []
    for match in _CLAUSE.finditer(text):
        place = match.start()
        if not _surname(text, place):
            continue
        name = han_name(text, place, least=4, closed=True)
        if name and text[place] not in lexicon.RARE_SURNAMES and _CLAUSE_FOLLOW.match(text, name[0]):
            found.append(Span(Label.PERSON, place, name[0], 0.7, "person:clause"))
    return found


# ---- names of other peoples of China ---------------------------------------------------------------------------

_PARTS = "|".join(sorted(lexicon.TIBETAN_PARTS + lexicon.MONGOLIAN_PARTS, key=len, reverse=True))
_PAIRED = re.compile(f"(?:{_PARTS})(?:{_PARTS})(?:{'|'.join(lexicon.TIBETAN_PARTS)})?")
_ONE_PART = re.compile(f"(?:{_PARTS})")
_RUN_OF_FOUR = re.compile(f"[{''.join(sorted(lexicon.TRANSLITERATION))}]{{3,8}}")


def _dotted(text: str) -> list[Span]:
    """`买买提·艾力`: from each dot as far as characters of transliterated names reach."""
    found: list[Span] = []
    reached = -1
    for match in re.finditer("·", text):
        if match.start() < reached:
            continue
        start = match.start()
        floor = max(0, start - 8)
        while start > floor and text[start - 1] in lexicon.TRANSLITERATION:
            start -= 1
        end = match.end()
        dots = 0
        while end < len(text) and end - match.end() < 16 and dots < 3:
            if text[end] in lexicon.TRANSLITERATION and not (text[end : end + 2] in lexicon.FOLLOWERS):
                end += 1
            elif text[end] == "·" and text[end - 1] != "·":
                end, dots = end + 1, dots + 1
            else:
                break
        while end > match.end() and text[end - 1] == "·":
            end -= 1
        if match.start() - start >= 2 and end - match.end() >= 2:
            found.append(Span(Label.PERSON, start, end, 0.9, "person:dotted"))
            reached = end
    return found


def _transliterated(text: str, place: int) -> int:
    """End of a run of three or more characters of transliterated names that begins at `place`, 0 if it is none."""
    if text[place : place + 2] in lexicon.TRANSLITERATED_WORDS:
        return 0
    end = place
    while (
        end < len(text)
        and end - place < 8
        and text[end] in lexicon.TRANSLITERATION
        and text[end : end + 2] not in lexicon.FOLLOWERS
    ):
        end += 1
    return end if end - place >= 3 and _ends_well(text, end) else 0


def _peoples(text: str) -> list[Span]:
    found = [Span(Label.PERSON, *match.span(), 0.85, "person:parts") for match in _PAIRED.finditer(text)]
    for pattern in (_LABELLED, _INTRODUCED):
        for match in pattern.finditer(text):
            place = match.end()
            if end := _transliterated(text, place):
                found.append(Span(Label.PERSON, place, end, 0.75, "person:transliterated"))
            elif (one := _ONE_PART.match(text, place)) and _ends_well(text, one.end()):
                found.append(Span(Label.PERSON, *one.span(), 0.75, "person:part"))
    for match in _RUN_OF_FOUR.finditer(text):
        if _transliterated(text, match.start()) == match.end() and (
            _PHONE_AFTER.match(text, match.end())
            or text.startswith("收", match.end())
            or re.match(_TITLE, text[match.end() : match.end() + 2])
        ):
            found.append(Span(Label.PERSON, *match.span(), 0.75, "person:transliterated"))
    return found


# ---- Latin names -------------------------------------------------------------------------------------------------

_TOKEN = r"[A-Z][a-z]{1,20}(?:['-][A-Z]?[a-z]{1,20})?"
_LATIN_NAME = rf"(?P<v>(?:(?:Mr|Mrs|Ms|Miss|Dr|Prof)\.? )?(?:{_TOKEN}|[A-Z]\.?(?= [A-Z][a-z]))(?: (?:[A-Z]\.|(?:van der|van|von|de la|de|da|bin|al|el|O')(?= ?[A-Z])))?(?: ?{_TOKEN}| (?:Mc|Mac|O')[A-Z][a-z]{{1,20}}){{0,2}})(?![A-Za-z])"
_LATIN_SURE = re.compile(
    rf"(?<![A-Za-z])(?i:my name is|my name's|name is|name's|name:|full name:?|i am called|call me|signed by|attn:?|attention:|recipient:?|receiver:?|consignee:?|card ?holder:?|account holder:?|"
    rf"contact:|contact person:?|contact name:?|ask for|asking for|speak to|speak with|spoke to|spoke with|talk to|talked to|talked with|chatted with|deliver to|ship to|send to|send it to|addressed to|"
    rf"in the name of|on behalf of|belongs to|registered to|under the name|under the name of|(?:my|his|her|our) (?:husband|wife|son|daughter|mother|father|brother|sister|friend|mom|mum|dad|roommate|"
    rf"colleague|boss|partner|neighbou?r|cousin|uncle|aunt|fianc[eé]e?|girlfriend|boyfriend|grandmother|grandfather|assistant),?|(?:the |your )?(?:courier|driver|agent|technician|representative|rep|delivery (?:man|guy|person))|mr\.?|mrs\.?|ms\.?|miss|dr\.?|prof\.?) {{0,2}}{_LATIN_NAME}"
)
_LATIN_LIKELY = re.compile(
    rf"(?<![A-Za-z])(?i:this is|i'm|i am|it's|it is|dear|hi|hello|hey|thanks|thank you|thanks to|regards|kind regards|best regards|sincerely|cheers|best|yours|love|from|by|"
    rf"customer|seller|manager|clerk|advisor|with|to|for|and|met|called|colleague|assistant)[,.:!]? {{0,2}}\n?{_LATIN_NAME}"
)
_LATIN_GREETED = re.compile(
    rf"(?:(?<![A-Za-z])(?i:hi|hello|hey|dear) {_LATIN_NAME}(?= ?[,!:\n])|(?<![A-Za-z])(?i:regards|sincerely|cheers|best wishes|yours truly|many thanks|thanks|thank you|yours),? ?\n? ?{_LATIN_NAME.replace('?P<v>', '?P<w>')}(?=[.!]?\s*$))"
)
_LATIN_ACTS = re.compile(
    rf"(?<![A-Za-z.'-]){_LATIN_NAME}(?= (?:helped|assisted|delivered|installed|called|said|told|signed|lives|replied|answered|came|knocked|served|was (?:very|so|super|extremely|really|helpful|great|rude|kind|"
    rf"polite|friendly|amazing)|is (?:very|so|super|extremely|really|helpful|great|rude|kind|polite|friendly|amazing)|did|has been|at the|from (?:customer|support|your|the)|in (?:customer|support)|(?:will|can|should) (?:pick|collect|sign|receive)))"
)
_LATIN_PAIR = re.compile(
    rf"(?<![A-Za-z.'-])(?P<a>{_TOKEN}) (?:[A-Z]\. )?(?P<b>{_TOKEN}|(?:Mc|Mac|O')[A-Z][a-z]{{1,20}})(?![A-Za-z])"
)
_LOWER = re.compile(
    r"(?<![A-Za-z])(?:my name is|my name's|name:|i'm|i am|this is|call me) (?P<v>(?P<a>[a-z]{2,20})(?: [a-z]{2,20})?)(?![A-Za-z])",
    re.IGNORECASE,
)
_SYLLABLE = re.compile(
    r"(?:(?:[bpmfdtnlgkhjqxrzcsyw]|zh|ch|sh)?(?:iang|iong|uang|ang|eng|ing|ong|ian|iao|uai|uan|van|ai|an|ao|ei|en|er|ia|ie|in|iu|ou|ua|ue|ui|un|uo|ve|a|e|i|o|u|v)){1,3}"
)


def _known(token: str) -> bool:
    low = token.lower()
    return low in lexicon.GIVEN_ENGLISH or low in lexicon.PINYIN_SURNAMES


def _latin_name(text: str, match: re.Match[str], *, sure: bool) -> Span | None:
    start, end = match.span("w" if match.re is _LATIN_GREETED and match["w"] else "v")
    tokens = [
        (token.start() + start, token.end() + start, token[0]) for token in re.finditer(r"[^ ]+", text[start:end])
    ]
    if tokens and re.fullmatch(r"(?:Mr|Mrs|Ms|Miss|Dr|Prof)\.?", tokens[0][2]):
        tokens, sure = tokens[1:], True
    kept: list[tuple[int, int, str]] = []
    for token in tokens:
        word = token[2].rstrip(".").lower()
        if word in lexicon.WORDS_ENGLISH and not (kept and word in {"will", "may"}):
            break
        kept.append(token)
    if not kept or " ".join(token[2] for token in kept).lower() in lexicon.BRANDS_ENGLISH:
        return None
    if not sure and not any(_known(token[2]) for token in kept):
        return None
    return Span(Label.PERSON, kept[0][0], kept[-1][1], 0.85 if sure else 0.75, "person:english")


def _latin(text: str) -> list[Span]:
    found: list[Span] = []
    for pattern, sure in ((_LATIN_SURE, True), (_LATIN_GREETED, True), (_LATIN_LIKELY, False), (_LATIN_ACTS, False)):
        for match in pattern.finditer(text):
            if span := _latin_name(text, match, sure=sure):
                found.append(span)
    for match in _LATIN_PAIR.finditer(text):
        one, two = match["a"].lower(), match["b"].lower()
        if f"{one} {two}" in lexicon.BRANDS_ENGLISH or one in lexicon.WORDS_ENGLISH or two in lexicon.WORDS_ENGLISH:
            continue
        pinyin = (one in lexicon.PINYIN_SURNAMES and _SYLLABLE.fullmatch(two)) or (
            two in lexicon.PINYIN_SURNAMES and _SYLLABLE.fullmatch(one)
        )
        if one in lexicon.GIVEN_ENGLISH or pinyin:
            found.append(Span(Label.PERSON, *match.span(), 0.7, "person:english_pair"))
    for match in _LOWER.finditer(text):
        if match["a"].lower() in lexicon.GIVEN_ENGLISH and match["a"].lower() not in {
            "will",
            "may",
            "mark",
            "grace",
            "joy",
            "dawn",
            "don",
            "rose",
        }:
            second = match["v"].partition(" ")[2].lower()
            end = match.end("a") if second in lexicon.WORDS_ENGLISH or not second else match.end("v")
            found.append(Span(Label.PERSON, match.start("v"), end, 0.6, "person:lower"))
    return found


def find(text: str, held: Needs) -> list[Span]:
    """Return every likely name in folded text; spans may overlap."""
    found: list[Span] = []
    if Needs.HANZI in held:
        found.extend(_from_left(text))
        found.extend(_from_right(text))
        found.extend(_standing_alone(text))
        found.extend(_at_clause_start(text))
        found.extend(_peoples(text))
        if Needs.MIDDLE_DOT in held:
            found.extend(_dotted(text))
    if Needs.LATIN in held:
        found.extend(_latin(text))
    return found


def is_whole_name(text: str) -> bool:
    """Whether the whole of a short folded text is a Chinese person's name."""
    if not 2 <= len(text) <= 24:
        return False
    if "·" in text:
        return all(re.fullmatch(rf"[{_H}]{{1,10}}", part) for part in text.split("·"))
    surname = _surname(text, 0)
    if surname and 1 <= len(text) - surname <= 2:
        known = text[:2] not in lexicon.NOT_NAMES and text not in lexicon.BRANDS
        return known and all(_weight(char) >= 0 for char in text[surname:])
    return bool(_PAIRED.fullmatch(text)) or (len(text) >= 3 and _transliterated(text, 0) == len(text))


def is_pinyin_name(first: str, second: str) -> bool:
    """Whether two lower-case words are a Chinese surname and given name in pinyin, in either order."""
    one = first in lexicon.PINYIN_SURNAMES and _SYLLABLE.fullmatch(second)
    return bool(one or (second in lexicon.PINYIN_SURNAMES and _SYLLABLE.fullmatch(first)))
