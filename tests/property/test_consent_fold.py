"""The consent fold: order of arrival never matters, withdrawals are not undone by older or equal evidence."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pdms.consent.state import RANK, Fact, weight, winning
from pdms.taxonomy import ConsentState, ConsentType

START = datetime(2026, 1, 1, tzinfo=UTC)
instants = st.integers(0, 6).map(lambda n: START + timedelta(hours=n))
facts = st.builds(
    Fact,
    state=st.sampled_from(sorted(RANK)),
    type=st.sampled_from([ConsentType.CONSENT, ConsentType.SEPARATE]),
    occurred_at=instants,
    known_at=instants,
    seq=st.integers(1, 10_000),
)
histories = st.lists(facts, max_size=12, unique_by=lambda f: f.seq)
ALWAYS = START + timedelta(days=365)


@given(histories, st.randoms(use_true_random=False))
def test_order_of_arrival_does_not_matter(history: list[Fact], dice: object) -> None:
    shuffled = list(history)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    assert winning(history, as_of=ALWAYS, known=ALWAYS) == winning(shuffled, as_of=ALWAYS, known=ALWAYS)


@given(histories)
def test_keeping_the_heavier_one_by_one_equals_the_fold(history: list[Fact]) -> None:
    standing: Fact | None = None
    for fact in history:
        if standing is None or weight(fact.state, fact.occurred_at, fact.seq) > weight(
            standing.state, standing.occurred_at, standing.seq
        ):
            standing = fact
    assert standing == winning(history, as_of=ALWAYS, known=ALWAYS)


@given(histories, facts)
def test_PIPL_15_1_given_never_outweighs_a_withdrawal_of_the_same_or_a_later_instant(
    history: list[Fact], late: Fact
) -> None:
    before = winning(history, as_of=ALWAYS, known=ALWAYS)
    if before is None or before.state not in (ConsentState.WITHDRAWN, ConsentState.REFUSED):
        return
    given_late = Fact(ConsentState.GIVEN, late.type, min(late.occurred_at, before.occurred_at), late.known_at, 20_000)
    after = winning([*history, given_late], as_of=ALWAYS, known=ALWAYS)
    assert after == before


@given(histories, instants, instants)
def test_PIPL_15_2_the_past_is_judged_by_what_was_known_then(
    history: list[Fact], as_of: datetime, known: datetime
) -> None:
    later = [
        Fact(ConsentState.WITHDRAWN, ConsentType.CONSENT, as_of + timedelta(seconds=1), known, 30_000),
        Fact(ConsentState.WITHDRAWN, ConsentType.CONSENT, as_of, known + timedelta(seconds=1), 30_001),
    ]
    assert winning(history, as_of=as_of, known=known) == winning([*history, *later], as_of=as_of, known=known)


@given(histories)
def test_a_request_never_outweighs_a_decision(history: list[Fact]) -> None:
    found = winning(history, as_of=ALWAYS, known=ALWAYS)
    if any(fact.state is not ConsentState.REQUESTED for fact in history):
        assert found is not None
        assert found.state is not ConsentState.REQUESTED
