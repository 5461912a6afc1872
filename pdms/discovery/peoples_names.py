"""Names of China's other peoples: dotted (买买提·艾力), of known parts (扎西顿珠), or transliterated after a word that
introduces a name (收件人阿依努尔).

Guarantee: a run reaches as far as characters of transliterated names do and no further. Brands made of the same
characters (阿迪达斯) are told apart by their beginnings, as far as `lexicon` lists them.
"""

import re

from pdms.discovery import lexicon
from pdms.discovery.han_names import INTRODUCED, LABELLED, PHONE_AFTER, TITLE, ends_well
from pdms.discovery.spans import Label, Span

_PARTS = "|".join(sorted(lexicon.TIBETAN_PARTS + lexicon.MONGOLIAN_PARTS, key=len, reverse=True))
PAIRED = re.compile(f"(?:{_PARTS})(?:{_PARTS})(?:{'|'.join(lexicon.TIBETAN_PARTS)})?")
_ONE_PART = re.compile(f"(?:{_PARTS})")
_TITLE = re.compile(TITLE)
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
            if text[end] in lexicon.TRANSLITERATION and text[end : end + 2] not in lexicon.FOLLOWERS:
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


def transliterated(text: str, place: int) -> int:
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
    return end if end - place >= 3 and ends_well(text, end) else 0


def _followed(text: str, place: int) -> bool:
    """Whether what stands at `place` says that a person was named before it."""
    return bool(PHONE_AFTER.match(text, place) or text.startswith("收", place) or _TITLE.match(text, place))


def _peoples(text: str) -> list[Span]:
    found = [Span(Label.PERSON, *match.span(), 0.85, "person:parts") for match in PAIRED.finditer(text)]
    for pattern in (LABELLED, INTRODUCED):
        for match in pattern.finditer(text):
            place = match.end()
            if end := transliterated(text, place):
                found.append(Span(Label.PERSON, place, end, 0.75, "person:transliterated"))
            elif (one := _ONE_PART.match(text, place)) and ends_well(text, one.end()):
                found.append(Span(Label.PERSON, *one.span(), 0.75, "person:part"))
    found.extend(
        Span(Label.PERSON, *match.span(), 0.75, "person:transliterated")
        for match in _RUN_OF_FOUR.finditer(text)
        if transliterated(text, match.start()) == match.end() and _followed(text, match.end())
    )
    return found


def find(text: str) -> list[Span]:
    """Return such names in folded text; spans may overlap."""
    return [*_peoples(text), *_dotted(text)]
