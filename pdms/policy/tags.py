"""Words that may not be made into a tag of members: no name of a group may speak of illness, faith or the like.

ALG-10 and GB/T 35273 7.4 forbid tags that are unlawful or discriminate. Guarantee: what the policy lists is found in
any name or label, whatever its case, Latin words as whole words only. It reads words and not meanings: a list says what
is certainly refused, never that the rest is fair.
"""

import re
from collections.abc import Iterable
from functools import lru_cache


@lru_cache(maxsize=64)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    parts = []
    for word in words:
        plain = re.escape(word.casefold()).replace(r"\ ", r"[\W_]+")
        latin = word.isascii()
        parts.append(rf"(?<![a-z0-9]){plain}(?![a-z0-9])" if latin else plain)
    return re.compile("|".join(parts))


def denied(words: tuple[str, ...], texts: Iterable[str]) -> bool:
    """Return whether one of `words` occurs in one of `texts`."""
    if not words:
        return False
    found = _pattern(words).search
    return any(found(text.casefold()) is not None for text in texts)
