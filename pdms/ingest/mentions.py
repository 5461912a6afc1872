"""Member numbers and logins in free text: they have no form of their own, but the vault knows them.

Guarantee: a word with a digit that is some member's number in this system, or some member's login, does not reach
facts. It opens nothing: words are compared under the blind indexes. A login of letters alone is not told from a word of
the language and stays; so does a number split by blanks.
"""

import re
from collections.abc import Sequence

from pdms.ingest.normalise import login
from pdms.unit_of_work import UnitOfWork
from pdms.vault import service as vault

MENTION = "<MEMBER>"
_WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.@+-]*[A-Za-z0-9])?")
_SHORTEST = 4


def without_mentions(uow: UnitOfWork, texts: Sequence[str], *, system: str) -> list[str]:
    """Return `texts` with every member number and login that the vault knows replaced by `<MEMBER>`."""
    words = {word for text in texts for word in _WORD.findall(text) if _may_name(word)}
    if not words:
        return list(texts)
    normalised = {word: login(word) for word in words}
    known = vault.known_words(uow, {*words, *normalised.values()}, system=system, index="login")
    names = {word for word in words if word in known or normalised[word] in known}
    if not names:
        return list(texts)
    return [_WORD.sub(lambda found: MENTION if found[0] in names else found[0], text) for text in texts]


def _may_name(word: str) -> bool:
    return len(word) >= _SHORTEST and any(character.isdigit() for character in word)
