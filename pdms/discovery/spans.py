"""What a detector says: a labelled span; and how overlapping spans are settled.

Guarantee: `settle` returns spans in text order that do not overlap. It deliberately does not merge neighbours of the
same label: counts stay counts of finds.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Label(StrEnum):
    """What a span is. Closed list; the placeholder that replaces a span is `<LABEL>`."""

    PERSON = "PERSON"
    PHONE = "PHONE"
    EMAIL = "EMAIL"
    ADDRESS = "ADDRESS"
    ID_CARD = "ID_CARD"
    BANK_CARD = "BANK_CARD"
    BIRTH_DATE = "BIRTH_DATE"
    PASSPORT = "PASSPORT"
    HMT_PERMIT = "HMT_PERMIT"
    PLATE = "PLATE"
    IP = "IP"
    MAC = "MAC"
    IMEI = "IMEI"
    GPS = "GPS"
    WECHAT = "WECHAT"
    QQ = "QQ"
    USCC = "USCC"


@dataclass(frozen=True, slots=True)
class Span:
    """`text[start:end]` is personal data of this label; `score` is in (0, 1], `rule` names what found it."""

    label: Label
    start: int
    end: int
    score: float
    rule: str


def settle(spans: Iterable[Span]) -> list[Span]:
    """Return the spans that remain when the higher score wins each overlap, then the longer, then the earlier one."""
    found = sorted(spans, key=lambda span: (span.start, span.end))
    if len(found) < 2:
        return found
    kept: list[Span] = []
    cluster: list[Span] = []
    reach = -1
    for span in found:
        if cluster and span.start >= reach:
            kept.extend(_best(cluster))
            cluster = []
        cluster.append(span)
        reach = max(reach, span.end) if len(cluster) > 1 else span.end
    kept.extend(_best(cluster))
    return kept


def _best(cluster: list[Span]) -> list[Span]:
    """Settle one cluster of overlapping spans; losers that do not touch a winner stay."""
    if len(cluster) == 1:
        return cluster
    starts: list[int] = []
    chosen: dict[int, Span] = {}
    for span in sorted(cluster, key=lambda span: (-span.score, span.start - span.end, span.start)):
        place = bisect_left(starts, span.start)
        free_before = place == 0 or chosen[starts[place - 1]].end <= span.start
        free_after = place == len(starts) or span.end <= starts[place]
        if free_before and free_after:
            starts.insert(place, span.start)
            chosen[span.start] = span
    return [chosen[start] for start in starts]
