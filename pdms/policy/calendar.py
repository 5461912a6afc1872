"""Working days of mainland China, from the published arrangement of each year (holidays and working weekends, 调休).

Guarantees: pure; a year that has not been published is an error and never a guess, since a wrong deadline is a breach
of the member's right (APP191, T35273-8.7). Days are calendar dates in Asia/Shanghai.
"""

from collections.abc import Mapping
from datetime import date, timedelta

from pdms.errors import InvalidInput
from pdms.policy.definitions import CalendarYear

SATURDAY = 5


def is_working_day(day: date, *, calendars: Mapping[int, CalendarYear]) -> bool:
    """Return whether `day` is a working day. :raises InvalidInput: its year has no published calendar."""
    year = calendars.get(day.year)
    if year is None:
        raise InvalidInput(
            f"calendars/cn-{day.year}.yaml: the working days of {day.year} are not on file; "
            "add the State Council's arrangement once it is published",
            code="CALENDAR_UNPUBLISHED",
        )
    if day in year.holidays:
        return False
    return day.weekday() < SATURDAY or day in year.working_weekends


def add_working_days(start: date, days: int, *, calendars: Mapping[int, CalendarYear]) -> date:
    """Return the `days`-th working day after `start` (the start itself does not count, Civil Code 201).

    :raises InvalidInput: `days` is below one, or a year on the way has no published calendar.
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
