"""What marketing sees of a count never moves by less than its rounding."""

from hypothesis import given
from hypothesis import strategies as st

from pdms.segments.counts import BASE, rounded


@given(st.integers(0, 10**7), st.sampled_from([10, 20, 50, 100]))
def test_one_member_more_changes_nothing_or_a_whole_step(count, min_cell):
    before, after = rounded(count, min_cell=min_cell), rounded(count + 1, min_cell=min_cell)
    if before.value is not None and after.value is not None:
        assert after.value - before.value in (0, BASE)
    else:
        assert before.value is None
        assert after in (before, rounded(min_cell, min_cell=min_cell))


@given(st.integers(0, 10**7), st.sampled_from([10, 20, 50, 100]))
def test_what_is_shown_is_a_multiple_near_the_truth_or_only_small(count, min_cell):
    shown = rounded(count, min_cell=min_cell)
    if count < min_cell:
        assert str(shown) == f"<{min_cell}"
    else:
        assert shown.value is not None
        assert shown.value % BASE == 0
        assert abs(shown.value - count) <= BASE // 2
