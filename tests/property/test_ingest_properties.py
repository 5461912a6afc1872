"""Normalising twice is normalising once, whatever comes; a rule is named, never another error."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from common.policies import SHIPPED
from pdms.ingest.normalise import NORMALISERS, Broken, clean, day, field_normaliser
from pdms.ingest.rules import RULES
from pdms.ingest.values import code_reader, instant_reader, money_reader, price_reader, quantity, truth
from pdms.policy.loader import load
from pdms.vault.age import PASSED, age_stage, turning_dates
from pdms.vault.masks import MASKS, mask

NOW = datetime(2026, 11, 22, tzinfo=UTC)
POLICY = load(SHIPPED)

digits = st.text("0123456789０１２３４５６７８９ -+()X", max_size=24)
anything = st.one_of(
    st.text(max_size=40),
    digits,
    st.from_regex(r"\A(\+?86)?1[3-9][0-9]{9}\Z"),
    st.emails(),
    st.from_regex(r"\A[0-9]{4}[-/.年][0-9]{1,2}[-/.月][0-9]{1,2}日?\Z"),
    st.text(st.characters(), max_size=10),
)


@pytest.mark.parametrize("normaliser", [*sorted(NORMALISERS), "date"])
@given(value=anything)
@example(value="\u2000a\u3000")
@example(value="ﷺ")
@example(value="ǰ̣")
@example(value="İ")
@example(value="ß@shop.example")
@example(value="\x1c1")
def test_normalisers_are_idempotent(normaliser, value):
    function = day if normaliser == "date" else NORMALISERS[normaliser]
    try:
        once = function(value)
    except Broken:
        return
    assert function(once) == once
    assert once == once.strip()
    once.encode()  # whatever passes can be sealed


@given(value=st.text(max_size=60))
def test_cleaning_is_idempotent_and_leaves_one_line(value):
    try:
        once = clean(value)
    except Broken:
        return
    assert clean(once) == once
    assert len(once.splitlines()) <= 1


def rule_of(read, value):
    try:
        read(value)
    except Broken as broken:
        return broken.rule
    return None


@pytest.mark.parametrize("field", sorted(POLICY.fields))
@given(value=anything)
def test_a_field_takes_any_text_or_names_a_rule(field, value):
    assert rule_of(field_normaliser(POLICY, field, today=date(2026, 11, 22)), value) in {None, *RULES}


@given(value=anything)
def test_readers_of_facts_take_any_text_or_name_a_rule(value):
    for read in (
        instant_reader(zone="Asia/Shanghai", now=NOW), instant_reader(zone="UTC", now=NOW, form="epoch_ms"),
        money_reader(), money_reader(form="cents"), price_reader(), quantity, truth, code_reader(),
    ):  # fmt: skip
        assert rule_of(read, value) in {None, *RULES}


@given(born=st.dates(date(1900, 1, 1), date(2026, 11, 22)), today=st.dates(date(2026, 11, 22), date(2060, 1, 1)))
def test_nobody_is_older_to_the_gate_than_to_the_law(born, today):
    t14, t18 = turning_dates(born.isoformat(), date(2026, 11, 22))
    age = today.year - born.year - ((today.month, today.day) <= (born.month, born.day))
    stage = age_stage(t14, t18, today)
    if age < 14:
        assert stage == "child"
    elif age < 18:
        assert stage in {"child", "minor"}
    else:
        assert stage in {"minor", "adult"}
    # at most a month late
    if (today - born).days > 18 * 366 + 31:
        assert stage == "adult"
    for turned in (t14, t18):
        assert turned == PASSED or turned.day == 1


@given(name=st.sampled_from(sorted(set(MASKS) - {"none"})), value=st.text(min_size=1, max_size=40))
def test_a_mask_never_shows_the_value_it_hides(name, value):
    if name == "email" and value.rpartition("@")[2]:
        value = "local-part@" + value.rpartition("@")[2]
    shown = mask(name, value)
    assert shown != value or set(value) <= {"*", value[0]}
