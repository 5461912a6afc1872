"""Look-up: untruncated indexes are equal exactly where normalised values are; buckets never decide."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdms.crypto import BlindIndex, SuiteName, new_key
from pdms.policy.definitions import SearchDefinition
from pdms.vault import searches
from pdms.vault.searches import PARTS, Searches, fits, folded, join_entries, split_entries

VALUES = st.text(max_size=40)
KEYS = {label: new_key() for label in ("index:search-a", "index:search-b")}


class Keys:
    """A keyring of two search keys."""

    def system_key(self, label: str) -> bytes:
        return KEYS[label]


class OnlySearches:
    """As much of a policy as searches read."""

    def __init__(self, bits: int, form: str = "whole") -> None:
        self.searches = {
            "a": SearchDefinition("a", 1, "name", form, bits),
            "b": SearchDefinition("b", 2, "phone", "last_four", bits),
        }


@pytest.mark.parametrize("suite", list(SuiteName))
@given(one=VALUES, other=VALUES)
def test_untruncated_indexes_are_equal_where_values_are_and_nowhere_else(suite, one, other):
    index = BlindIndex(KEYS["index:search-a"], suite=suite)
    first, second = index.digest_many([one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass")])
    assert (first == second) == (one == other)


@given(values=st.lists(VALUES, max_size=30), bits=st.integers(8, 24), form=st.sampled_from(sorted(PARTS)), asked=VALUES)
def test_whoever_fits_is_among_the_candidates_and_whoever_only_shares_a_bucket_is_not_confirmed(
    values, bits, form, asked
):
    made = Searches(Keys(), OnlySearches(bits, form))
    own = [{bucket for code, bucket in made.entries({"name": value}) if code == 1} for value in values]
    wanted = set(made.asked("a", asked))
    for value, buckets in zip(values, own, strict=True):
        if fits(form, asked=asked, held=value) and value:
            assert wanted <= buckets
        if form == "whole" and value != asked:
            assert not fits(form, asked=asked, held=value)
        if form == "bigrams" and fits(form, asked=asked, held=value):
            assert folded(asked) in folded(value)
        assert all(0 <= bucket < 1 << bits for bucket in buckets)


@given(columns=st.lists(st.tuples(VALUES, VALUES), max_size=20), bits=st.integers(8, 24))
def test_by_column_and_one_by_one_are_the_same(columns, bits):
    made = Searches(Keys(), OnlySearches(bits, "bigrams"))
    names, phones = [list(one) for one in zip(*columns, strict=True)] if columns else ([], [])
    bulk = made.of_columns({"name": names, "phone": phones}, len(columns))
    assert bulk == [made.entries({"name": name, "phone": phone}) for name, phone in columns]
    assert [split_entries(join_entries(one)) for one in bulk] == bulk


def test_a_plan_changes_with_declarations_and_keys():
    plans = {Searches(Keys(), OnlySearches(bits, form)).plan for bits in (8, 9) for form in sorted(PARTS)}
    kept = dict(KEYS)
    try:
        KEYS["index:search-b"] = new_key()
        plans.add(Searches(Keys(), OnlySearches(8)).plan)
    finally:
        KEYS.update(kept)
    assert len(plans) == 7
    assert searches.NO_PLAN not in plans
