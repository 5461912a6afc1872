"""Overlaps are settled by score, then length, then place."""

import itertools

from pdms.discovery.spans import Label, Span, settle


def _span(start: int, end: int, score: float, label: Label = Label.PHONE) -> Span:
    return Span(label, start, end, score, "test")


def test_higher_score_wins_and_losers_that_touch_no_winner_stay() -> None:
    first, middle, last = _span(0, 5, 0.5), _span(4, 9, 0.9), _span(8, 12, 0.6)
    outside = _span(20, 22, 0.1)
    assert settle([outside, last, first, middle]) == [middle, outside]
    weak = _span(4, 9, 0.1)
    assert settle([first, weak, last]) == [first, last]


def test_equal_scores_prefer_the_longer_then_the_earlier() -> None:
    short, long = _span(0, 3, 0.5), _span(1, 8, 0.5)
    assert settle([short, long]) == [long]
    assert settle([_span(2, 4, 0.5), _span(3, 5, 0.5)]) == [_span(2, 4, 0.5)]


def test_neighbours_are_not_merged() -> None:
    spans = [_span(0, 3, 0.5), _span(3, 6, 0.5)]
    assert settle(spans) == spans


def test_long_chain_of_overlaps_is_settled() -> None:
    chain = [_span(place, place + 3, 0.5 + (place % 7) / 100) for place in range(0, 20_000, 2)]
    kept = settle(chain)
    assert all(one.end <= two.start for one, two in itertools.pairwise(kept))
    assert len(kept) > 4_000
