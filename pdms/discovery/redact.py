"""Personal data out of free text, before the text becomes a fact.

Guarantee: every span that the recognisers find is replaced by `<LABEL>`, and redacting the result again changes
nothing (placeholders are no text to them, and what a replacement laid bare is looked at again). Any `str` is
accepted, of any size. It deliberately promises no more than the measured recall: names in particular can
stay (`names`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MOST_ROUNDS = 6
"""Redaction is repeated until nothing more is found; real text needs two rounds, made-up text three or four."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """The text without what was found, and how often each label was."""

    text: str = field(repr=False)
    counts: Mapping[str, int]


def redact(text: str) -> Redacted:
    """Return `text` with every find replaced by `<LABEL>`."""
    from pdms.discovery.recognizers import find

    counts: Counter[str] = Counter()
    for _ in range(MOST_ROUNDS):
        spans = find(text)
        if not spans:
            break
        pieces: list[str] = []
        place = 0
        for span in spans:
            pieces.extend((text[place : span.start], f"<{span.label}>"))
            place = span.end
            counts[str(span.label)] += 1
        pieces.append(text[place:])
        text = "".join(pieces)
    return Redacted(text, dict(counts))


def redact_many(texts: Sequence[str]) -> list[Redacted]:
    """Redact a batch: same order, same length; a text that occurs several times is read once."""
    known: dict[str, Redacted] = {}
    found: list[Redacted] = []
    for text in texts:
        done = known.get(text)
        if done is None:
            done = known[text] = redact(text)
        found.append(done)
    return found
