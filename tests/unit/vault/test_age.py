from datetime import date

import pytest

from pdms.taxonomy import AgeStage
from pdms.vault.age import PASSED, age_stage, latest_birth, passed_before, turning_dates

TODAY = date(2026, 11, 22)


def test_an_adults_birth_date_leaves_only_the_sentinel():
    assert turning_dates("1990-05-17", TODAY) == (PASSED, PASSED)


def test_a_minor_keeps_only_the_first_of_the_month_after_the_birthday():
    assert turning_dates("2010-05-17", TODAY) == (PASSED, date(2028, 6, 1))
    assert turning_dates("2015-12-01", TODAY) == (date(2030, 1, 1), date(2034, 1, 1))


def test_nobody_counts_as_older_than_they_are():
    t14, t18 = turning_dates("2008-11-22", TODAY)  # eighteen on this very day; full only tomorrow, rounded to December
    assert t14 == PASSED
    assert t18 == date(2026, 12, 1)
    assert age_stage(t14, t18, TODAY) is AgeStage.MINOR
    assert age_stage(t14, t18, date(2026, 12, 1)) is AgeStage.ADULT


def test_unknown_birth_date_is_unknown_age():
    assert turning_dates("", TODAY) == (None, None)
    assert age_stage(None, None, TODAY) is AgeStage.UNKNOWN
    assert age_stage(PASSED, None, TODAY) is AgeStage.UNKNOWN


def test_stages():
    assert age_stage(date(2027, 1, 1), date(2031, 1, 1), TODAY) is AgeStage.CHILD
    assert age_stage(PASSED, date(2026, 11, 23), TODAY) is AgeStage.MINOR
    assert age_stage(PASSED, PASSED, TODAY) is AgeStage.ADULT


def test_of_two_birth_dates_the_younger_counts():
    assert latest_birth("1990-01-01", "11010120120307123X") == "2012-03-07"
    assert latest_birth("2013-01-01", "11010120120307123X") == "2013-01-01"
    assert latest_birth("", "11010120120307123X") == "2012-03-07"
    assert latest_birth("1990-01-01", "not a number") == "1990-01-01"


@pytest.mark.parametrize("today", [TODAY, date(2026, 1, 31), date(2024, 2, 29), date(2026, 12, 31)])
def test_the_fast_test_for_columns_agrees_with_the_dates(today):
    limit = passed_before(18, today)
    for year in range(today.year - 20, today.year - 16):
        for month in range(1, 13):
            birth = f"{year}-{month:02d}-15"
            assert (birth[:7] <= limit) == (turning_dates(birth, today)[1] == PASSED)
