"""Legal clocks of subject requests. Pure: the calendar is given, the wall clock is not read.

The law says only "timely" (PIPL-45, 46; NDR-23). The clock starts at receipt, in Shanghai days, and ends at the earlier
of 15 working days (App rules, APP191) and 30 days (GB/T 35273 8.7). Withdrawal and opt-outs are synchronous.
Where a year on the way has no published calendar, the end is provisional: every Monday to Friday counts.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from pdms.clock import SHANGHAI
from pdms.policy.calendar import add_working_days, published
from pdms.policy.definitions import CalendarYear

WORKING_DAYS = 15
CALENDAR_DAYS = 30


def due_on(received_at: datetime, *, calendars: Mapping[int, CalendarYear]) -> date:
    """Return the last day on which an answer is in time; see `is_provisional`."""
    received = received_at.astimezone(SHANGHAI).date()
    return min(add_working_days(received, WORKING_DAYS, calendars=calendars), received + timedelta(days=CALENDAR_DAYS))


def is_provisional(received_at: datetime, due: date, *, calendars: Mapping[int, CalendarYear]) -> bool:
    """Return whether a day that `due_on` gave rests on a year whose working days are not in `policies/calendars/`."""
    return not published(received_at.astimezone(SHANGHAI).date() + timedelta(days=1), due, calendars=calendars)
