"""Working days of mainland China, from the published arrangement of each year (holidays and working weekends, 调休).

Guarantees: pure. In a year that has not been published every Monday to Friday counts as a working day, its holidays
too: whoever counts a deadline so is early rather than late (APP191, T35273-8.7), and `published` tells that the date is
provisional. One thing it cannot know: a weekend that will be worked in lieu of a holiday; a deadline counted before the
arrangement is out (each November) may lie a day or two late until it is counted again. Days are calendar dates in
Asia/Shanghai.
"""

from collections.abc import Mapping
from datetime import date, timedelta

from pdms.errors import InvalidInput
from pdms.policy.definitions import CalendarYear

SATURDAY = 5


def is_working_day(day: date, *, calendars: Mapping[int, CalendarYear]) -> bool:
    """Return whether `day` is a working day; where its year is not published, whether it is a Monday to Friday."""
    year = calendars.get(day.year)
    if year is None:
        return day.weekday() < SATURDAY
    if day in year.holidays:
        return False
    return day.weekday() < SATURDAY or day in year.working_weekends


def published(first: date, last: date, *, calendars: Mapping[int, CalendarYear]) -> bool:
    """Return whether the calendar of every year from `first` to `last` is on file."""
    return all(year in calendars for year in range(first.year, last.year + 1))


def add_working_days(start: date, days: int, *, calendars: Mapping[int, CalendarYear]) -> date:
    """Return the `days`-th working day after `start` (the start itself does not count, Civil Code 201).

    :raises InvalidInput: `days` is below one.
    """
    if days < 1:
        raise InvalidInput("days: one working day at least")
    day = start
    while days:
        day += timedelta(days=1)
        days -= is_working_day(day, calendars=calendars)
    return day


def working_days_between(start: date, end: date, *, calendars: Mapping[int, CalendarYear]) -> int:
    """Return how many working days lie after `start` up to and including `end`; 0 where `end` is not later."""
    count, day = 0, start
    while day < end:
        day += timedelta(days=1)
        count += is_working_day(day, calendars=calendars)
    return count
