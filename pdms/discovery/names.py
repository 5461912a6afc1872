"""Names of persons, without a language model.

Guarantee: bounded work at each place where a name may begin. It deliberately does not claim to find every name: a name
that nothing around it introduces is taken only when its characters leave little doubt. The recall reached is measured
(`scripts/bench discovery`), and free text that is kept for longer should be read with that number in mind.
"""

import re

from pdms.discovery import han_names, latin_names, lexicon, peoples_names
from pdms.discovery.rules import Needs
from pdms.discovery.spans import Span

_H = "\u4e00-\u9fff"


def find(text: str, held: Needs) -> list[Span]:
    """Return every likely name in folded text; spans may overlap."""
    found: list[Span] = []
    if Needs.HANZI in held:
        found.extend(han_names.find(text))
        found.extend(peoples_names.find(text))
    if Needs.LATIN in held:
        found.extend(latin_names.find(text))
    return found


def is_whole_name(text: str) -> bool:
    """Whether the whole of a short folded text is a Chinese person's name."""
    if not 2 <= len(text) <= 24:
        return False
    if "·" in text:
        return all(re.fullmatch(rf"[{_H}]{{1,10}}", part) for part in text.split("·"))
    surname = han_names.surname_at(text, 0)
    if surname and 1 <= len(text) - surname <= 2:
        known = text[:2] not in lexicon.NOT_NAMES and text not in lexicon.BRANDS
        return known and all(han_names.weight_of(char) >= 0 for char in text[surname:])
    return bool(peoples_names.PAIRED.fullmatch(text)) or (
        len(text) >= 3 and peoples_names.transliterated(text, 0) == len(text)
    )
