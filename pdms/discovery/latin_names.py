# ruff: noqa: E501, S105  (patterns are read as units; a token here is a word)
"""Names in Latin letters: English, pinyin, and whatever a greeting, a signature or a label introduces.

Guarantee: a capitalised word alone is a name only if it is a known given name and nothing else; brands that are
persons' names (Calvin Klein) stay.
"""

import re

from pdms.discovery import lexicon
from pdms.discovery.spans import Label, Span

_TOKEN = r"[A-Z][a-z]{1,20}(?:['-][A-Z]?[a-z]{1,20})?"
_LATIN_NAME = rf"(?P<v>(?:(?:Mr|Mrs|Ms|Miss|Dr|Prof)\.? )?(?:{_TOKEN}|[A-Z]\.?(?= [A-Z][a-z]))(?: (?:[A-Z]\.|(?:van der|van|von|de la|de|da|bin|al|el|O')(?= ?[A-Z])))?(?: ?{_TOKEN}| (?:Mc|Mac|O')[A-Z][a-z]{{1,20}}){{0,2}})(?![A-Za-z])"
_LATIN_SURE = re.compile(
    rf"(?<![A-Za-z])(?i:my name is|my name's|name is|name's|name:|full name:?|i am called|call me|signed by|attn:?|attention:|recipient:?|receiver:?|consignee:?|card ?holder:?|account holder:?|"
    rf"contact:|contact person:?|contact name:?|ask for|asking for|speak to|speak with|spoke to|spoke with|talk to|talked to|talked with|chatted with|deliver to|ship to|send to|send it to|addressed to|"
    rf"in the name of|on behalf of|belongs to|registered to|under the name|under the name of|(?:my|his|her|our) (?:husband|wife|son|daughter|mother|father|brother|sister|friend|mom|mum|dad|roommate|"
    rf"colleague|boss|partner|neighbou?r|cousin|uncle|aunt|fianc[eé]e?|girlfriend|boyfriend|grandmother|grandfather|assistant),?|(?:the |your )?(?:courier|driver|agent|technician|representative|rep|delivery (?:man|guy|person))|mr\.?|mrs\.?|ms\.?|miss|dr\.?|prof\.?)(?:(?<=[:.,]) {{0,2}}| {{1,2}}){_LATIN_NAME}"
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
_LATIN_SINGLE = re.compile(
    r"(?<![A-Za-z.'@_/-])(?<!San )(?<!St\. )(?<!Saint )(?<!Santa )[A-Z][a-z]{2,14}(?![A-Za-z@_/-]|'s [A-Z]|\.[a-z])"
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


def find(text: str) -> list[Span]:
    """Return the Latin names in folded text; spans may overlap."""
    found: list[Span] = []
    for pattern, sure in ((_LATIN_SURE, True), (_LATIN_GREETED, True), (_LATIN_LIKELY, False), (_LATIN_ACTS, False)):
        for match in pattern.finditer(text):
            span = _latin_name(text, match, sure=sure)
            found.extend([span] if span else [])
    for match in _LATIN_PAIR.finditer(text):
        one, two = match["a"].lower(), match["b"].lower()
        if f"{one} {two}" in lexicon.BRANDS_ENGLISH or one in lexicon.WORDS_ENGLISH or two in lexicon.WORDS_ENGLISH:
            continue
        pinyin = (one in lexicon.PINYIN_SURNAMES and _SYLLABLE.fullmatch(two)) or (
            two in lexicon.PINYIN_SURNAMES and _SYLLABLE.fullmatch(one)
        )
        if one in lexicon.GIVEN_ENGLISH or pinyin:
            found.append(Span(Label.PERSON, *match.span(), 0.7, "person:english_pair"))
    for match in _LATIN_SINGLE.finditer(text):
        low = match[0].lower()
        if low in lexicon.GIVEN_ENGLISH and low not in lexicon.AMBIGUOUS_GIVEN:
            found.append(Span(Label.PERSON, *match.span(), 0.55, "person:english_given"))
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


def is_pinyin_name(first: str, second: str) -> bool:
    """Whether two lower-case words are a Chinese surname and given name in pinyin, in either order."""
    one = first in lexicon.PINYIN_SURNAMES and _SYLLABLE.fullmatch(second)
    return bool(one or (second in lexicon.PINYIN_SURNAMES and _SYLLABLE.fullmatch(first)))
