"""Periods of budgets: months, quarters and years of the calendar in Asia/Shanghai."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from pdms.clock import SHANGHAI

_MONTHS = {"month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True, slots=True)
class Period:
    """`name` is the first month, `2026-04`; `next_begins` the day on which the budget is whole again."""

    name: str
    began: datetime
    """Its first instant."""
    next_begins: date

    @property
    def number(self) -> int:
        """The name as a number, for the log: 202604."""
        return int(self.name.replace("-", ""))


def period_at(now: datetime, kind: Literal["month", "quarter", "year"]) -> Period:
    """Return the period that an aware instant lies in."""
    today = now.astimezone(SHANGHAI).date()
    length = _MONTHS[kind]
    first = (today.month - 1) // length * length
    end = today.year * 12 + first + length
    began = datetime(today.year, first + 1, 1, tzinfo=SHANGHAI)
    return Period(f"{today.year}-{first + 1:02}", began, date(end // 12, end % 12 + 1, 1))
