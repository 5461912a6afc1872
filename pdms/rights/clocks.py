"""Legal clocks of subject requests. Pure: the calendar is given, the wall clock is not read.

The law says only "timely" (PIPL-45, 46; NDR-23). The clock starts at receipt, in Shanghai days, and ends at the earlier
of 15 working days (App rules, APP191) and 30 days (GB/T 35273 8.7). Withdrawal and opt-outs are synchronous.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from pdms.clock import SHANGHAI
from pdms.policy.calendar import add_working_days
from pdms.policy.definitions import CalendarYear

WORKING_DAYS = 15
CALENDAR_DAYS = 30


def due_on(received_at: datetime, *, calendars: Mapping[int, CalendarYear]) -> date:
    """Return the last day on which an answer is in time.

    :raises InvalidInput: the working days of a year that the clock needs are not published in `policies/calendars/`.
    """
    received = received_at.astimezone(SHANGHAI).date()
    return min(add_working_days(received, WORKING_DAYS, calendars=calendars), received + timedelta(days=CALENDAR_DAYS))
